import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeIdentity } from '@batondb/core/transport/certificate';
import { compareFingerprints, fingerprintDirectory } from '@batondb/testbed/compare';
import { blockTraffic } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { type ProcessInfo, waitUntil } from '@batondb/testbed/process-table';
import { replayBytes, startProxy } from '@batondb/testbed/proxy';
import type { ProxyAction } from '@batondb/testbed/proxy-process';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import { beforeAgent, makeAgent } from './agent-hooks.ts';
import {
  assertAllDone,
  assertExit,
  assertIdentical,
  assertNothingRuns,
  eventsOf,
  isSoak,
  makeTargets,
  resultOf,
  runCopy,
  startCopy,
  summaryOf,
} from './copy-on-bed.ts';
import { Crowd, knock, knockPlain, redirectPort, startImpostor } from './strangers.ts';

// Who interferes with the wire or knocks at the data port, against real agents. Members that misbehave: copy.sender.test.ts.

const mib = 1024 * 1024;
const port = 4410;
const seed = seedOfRun();
let trees: Sandbox;
/** 24 MiB of noise in two files, and 50 small ones. */
let source: string;

before(() => {
  requireRoot('the test of security');
  trees = makeSandbox();
  source = trees.join('tree');
  makeLargeFiles(source, { files: 2, bytesEach: 12 * mib, compressible: 0 });
  makeSmallFiles(source, 50);
});

after(async () => {
  await trees[Symbol.asyncDispose]();
});

/** Two hosts, the second with an empty target directory. */
async function startPair(): Promise<{ bed: Bed; b: Host; target: string } & AsyncDisposable> {
  const bed = await startHosts({ count: 2 });
  const b = bed.host('b');
  const [target = ''] = await makeTargets([b]);
  return { bed, b, target, [Symbol.asyncDispose]: () => bed[Symbol.asyncDispose]() };
}

/** Fails the test when a target directory has more than its staging directories. */
function assertNothingPublished(host: Host): void {
  assert.deepEqual(
    readdirSync(host.join('in')).filter((name) => !/^\.baton-[0-9a-f]{16}\.partial$/.test(name)),
    [],
  );
}

// Proves: one byte flipped anywhere on the wire, in a handshake or in data, in either direction, ends that connection; nothing of
// it is written, and the copy goes on over another one.
test('a flipped byte', async (t) => {
  await using pair = await startPair();
  const { bed, b, target } = pair;
  const random = new Random(seed).fork('flips');
  t.diagnostic(`BATON_SEED=${seed}`);
  type Usual = { readonly connections: number; readonly toClientBytes: number };
  const run = async (name: string, action: ProxyAction, connections: number): Promise<Usual> => {
    await using proxy = await startProxy(b, { port, action, connections });
    const args = ['--port', String(port), '--streams', '2', '--compress', 'none', '--as', name, `a:${source}`, target];
    const result = await runCopy(bed, args);
    assertAllDone(result, [target]);
    if (action.kind === 'flip') await proxy.waitUntilActed();
    assert.deepEqual(eventsOf(result.events, 'unit-damaged'), []);
    await assertIdentical(source, b.join('in', name));
    const toClientBytes = Math.max(...proxy.reported('closed').map((closed) => closed.toClientBytes));
    return { connections: proxy.reported('connection').length, toClientBytes };
  };
  const usual = await run('usual', { kind: 'pass' }, 1);
  const flips = [
    ['toServer', 10, 1],
    ['toServer', 600, 1],
    ['toClient', 10, 1],
    ['toClient', 700, 1],
    // Beyond what the probe of preflight has: in the data.
    ['toServer', 5_000_000, 2],
    ...Array.from({ length: isSoak ? 20 : 2 }, () => ['toServer', random.integer(10_000, 8_000_000), 3] as const),
  ] as const;
  for (const [index, [direction, offset, connections]] of flips.entries()) {
    const seen = await run(`flip-${index}`, { kind: 'flip', direction, offset }, connections);
    const message = `${direction} ${offset}: ${seen.connections} connections, ${usual.connections} without a flip`;
    assert.ok(seen.connections > usual.connections, message);
  }
  // The last words of a receiver, which say that all is there: whoever misses them may ask again, or hear it otherwise.
  await run('last-words', { kind: 'flip', direction: 'toClient', offset: usual.toClientBytes - 60 }, 5);
  await assertNothingRuns(bed);
});

// Proves: a wire on which every connection is damaged ends in an error that says so, with nothing under the final name; when it is
// mended, the same command completes the copy.
test('a wire that always flips', async () => {
  await using pair = await startPair();
  const { bed, b, target } = pair;
  const args = ['--port', String(port), '--compress', 'none', `a:${source}`, target];
  {
    const action = { kind: 'flip', direction: 'toServer', offset: 100_000 } as const;
    await using proxy = await startProxy(b, { port, action, connections: 1_000_000 });
    const result = await runCopy(bed, args);
    assertExit(result, 50);
    const { error, state } = resultOf(summaryOf(result), target);
    assert.equal(state, 'failed');
    assert.equal(error?.code, 'STALLED');
    assert.match(
      error.message,
      /received nothing from any sender for too long; the last attempt ended with: .*(broke|closed)/,
    );
    assert.ok(proxy.reported('acted').length > 5);
    assertNothingPublished(b);
  }
  await assertNothingRuns(bed);
  assertAllDone(await runCopy(bed, args), [target]);
  await assertIdentical(source, b.join('in', 'tree'));
  assert.deepEqual(readdirSync(b.join('in')), ['tree']);
});

// Proves: strangers at the data port are turned away without a byte: with a certificate of their own, without one, without TLS, with
// recorded first bytes of a member; and a hundred that only wait keep nobody out. The copy is not disturbed.
test('strangers at the data port', async () => {
  await using pair = await startPair();
  const { bed, b, target } = pair;
  const action = { kind: 'record', direction: 'toServer', length: 4000 } as const;
  await using proxy = await startProxy(b, { port, action, connections: 1_000_000 });
  using crowd = new Crowd(b.ipv6, port, 100);
  const args = ['--port', String(port), '--bwlimit', '3MB', '--streams', '2', `a:${source}`, target];
  await using run = startCopy(bed, args);
  await run.untilProgress(0.05);
  await waitUntil('the crowd has come', () => crowd.accepted >= 150, 30_000);
  const { privateKeyPem: key, certificatePem: cert } = makeIdentity();
  const none = { contentBytes: 0 };
  for (const [what, options] of [
    ['its own certificate', { key, cert }],
    ['no certificate', {}],
    ['an older TLS', { key, cert, maxVersion: 'TLSv1.2' }],
    ["a member's name", { key, cert, servername: 'baton' }],
  ] as const) {
    const { ended, contentBytes } = await knock(b.ipv4, port, options);
    assert.deepEqual([{ contentBytes }, ended === 'still open'], [none, false], `${what}: ${ended}`);
  }
  for (const text of ['GET / HTTP/1.1\r\n\r\n', 'BATN\x01\0', '\0'.repeat(5000)]) {
    const { ended } = await knockPlain(b.ipv4, port, Buffer.from(text, 'latin1'));
    assert.notEqual(ended, 'still open', JSON.stringify(text.slice(0, 10)));
  }
  const recordings = proxy.reported('recorded').map(({ base64 }) => Buffer.from(base64, 'base64'));
  // The crowd says nothing, so what was recorded is of members: the probe of preflight, or a stream of the copy.
  const spoken = recordings.filter(({ length }) => length > 1000);
  for (const bytes of spoken) {
    const { ended } = await replayBytes(bed.host('a'), b.ipv4, port, bytes, 15_000);
    assert.notEqual(ended, 'timeout', 'a replayed handshake is not waited for');
  }
  assert.ok(
    run.events.every(({ type }) => type !== 'target-done'),
    'all of it happened during the copy',
  );
  assert.ok(spoken.length > 0, 'something was replayed');
  const result = await run.finished;
  assertAllDone(result, [target]);
  assert.deepEqual(eventsOf(result.events, 'rerouted'), []);
  await assertIdentical(source, b.join('in', 'tree'));
});

// Proves: whoever answers in the place of a target, with TLS or without, is given nothing: neither the first frame nor data. During
// preflight that is a finding; in mid-copy the copy waits for the real one.
test('a server in the place of a target', async () => {
  await using pair = await startPair();
  const { bed, b, target } = pair;
  const args = ['--port', String(port), `a:${source}`, target];
  for (const kind of ['tls', 'plain'] as const) {
    const untouched = await fingerprintDirectory(b.path);
    await using impostor = await startImpostor(b, kind);
    await using _redirected = await redirectPort(b, port, impostor.seen().port);
    const refused = await runCopy(bed, args);
    assertExit(refused, 30);
    const [finding] = eventsOf(refused.events, 'findings').flatMap(({ findings }) => findings);
    assert.equal(finding?.error.code, 'NOT_TRUSTED');
    assert.match(finding.error.message, kind === 'tls' ? /certificate/ : /./);
    assert.ok(impostor.seen().connections > 0);
    if (kind === 'tls') assert.equal(impostor.seen().contentBytes, 0, 'not even a HELLO');
    assert.deepEqual(compareFingerprints(untouched, await fingerprintDirectory(b.path)), []);
  }
  await using impostor = await startImpostor(b, 'tls');
  await using run = startCopy(bed, ['--bwlimit', '4MB', ...args]);
  await run.untilProgress(0.2);
  {
    await using _redirected = await redirectPort(b, port, impostor.seen().port);
    {
      await using _broken = await blockTraffic(b, { ports: String(port), how: 'reject' });
      await waitUntil(
        'the connections break',
        async () => (await b.exec(['ss', '-tnH', 'state', 'established', 'sport', '=', `:${port}`])).stdout === '',
        20_000,
      );
    }
    await waitUntil('the sender meets the impostor', () => impostor.seen().connections > 0, 30_000);
    assert.equal(impostor.seen().contentBytes, 0);
  }
  const result = await run.finished;
  assertAllDone(result, [target]);
  await assertIdentical(source, b.join('in', 'tree'));
});

// Proves: a member of one job is a stranger to another: neither takes the other's data port for its own, and the copy that runs is
// not disturbed.
test('a peer of another job', async () => {
  await using pair = await startPair();
  const { bed, b, target } = pair;
  await b.exec(['mkdir', b.join('other')]);
  await using run = startCopy(bed, [
    '--port',
    '4411',
    '--bwlimit',
    '2MB',
    '--priority',
    'normal',
    `a:${source}`,
    target,
  ]);
  await run.untilProgress(0.05);
  await using _redirected = await redirectPort(b, port, 4411);
  const other = await runCopy(bed, ['--port', String(port), `a:${source}`, `b:${b.join('other')}`]);
  assertExit(other, 30);
  const codes = eventsOf(other.events, 'findings').flatMap(({ findings }) => findings.map(({ error }) => error.code));
  assert.deepEqual(codes, ['NOT_TRUSTED']);
  assert.deepEqual(readdirSync(b.join('other')), []);
  assert.ok(
    run.events.every(({ type }) => type !== 'target-done'),
    'the other copy still runs',
  );
  const result = await run.finished;
  assertAllDone(result, [target]);
  assert.deepEqual(eventsOf(result.events, 'rerouted'), []);
  await assertIdentical(source, b.join('in', 'tree'));
});

/** Names and values of a process's environment. */
function environmentOf({ pid }: ProcessInfo): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').slice(0, -1);
  } catch {
    return []; // It has ended.
  }
}

/** Looks like a key, a digest, a certificate or a token. */
const secretLike = /PRIVATE KEY|CERTIFICATE|[0-9a-f]{32}|(?<![\w/.+-])[A-Za-z0-9+/]{40,}={0,2}(?![\w/.+-])/;

// Proves: no process of a copy has a key, a fingerprint or the job's id in its arguments or environment; and what a target stages is
// closed to all others, whatever umask its login has.
test('nothing secret in sight', async () => {
  await using bed = await startHosts({ count: 3 });
  const [b, c] = [bed.host('b'), bed.host('c')];
  const targets = await makeTargets([b, c]);
  beforeAgent(b.home, 'umask 000');
  beforeAgent(c.home, 'umask 777');
  const args = ['--agent', makeAgent(bed), '--bwlimit', '4MB', `a:${source}`, ...targets];
  await using run = startCopy(bed, args);
  await run.untilProgress(0.2, targets[1]);
  const processes = [...run.processes(), ...bed.hosts.flatMap((host) => [...host.processes(), ...host.sshSessions()])];
  assert.ok(processes.length >= 7, 'the command, three ssh and three agents');
  for (const one of processes) {
    for (const word of one.argv) assert.doesNotMatch(word, secretLike, `argv of ${one.pid}: ${one.argv.join(' ')}`);
    for (const line of environmentOf(one)) {
      if (
        /^(BATON_TESTBED_RUN|SSH_AUTH_SOCK|PATH|LS_COLORS)=/.test(line) ||
        !bed.hosts.some(({ namespaceInode }) => namespaceInode === one.namespaceInode)
      )
        continue;
      assert.doesNotMatch(line, secretLike, `environment of ${one.pid} ${one.argv.join(' ')}`);
    }
  }
  for (const host of bed.hosts) {
    const [agent] = host.agents();
    assert.deepEqual(agent?.argv.slice(-1), ['agent']);
    assert.ok(
      agent.argv.slice(1, -1).every((word) => /^(--[a-z-]+(=[\w-]+)?|\/\S*(main\.[tj]s|agent\/run\.js))$/.test(word)),
      agent.argv.join(' '),
    );
    const added = environmentOf(agent).map((line) => line.split('=')[0] ?? '');
    assert.deepEqual(
      added.filter((name) => /BATON|TLS|KEY|TOKEN|SECRET|PASS/i.test(name)),
      [],
    );
  }
  for (const host of [b, c]) {
    const [name = ''] = readdirSync(host.join('in'));
    const staging = host.join('in', name);
    const modes = ['', 'journal', 'tree'].map((part) => (statSync(join(staging, part)).mode & 0o7777).toString(8));
    assert.deepEqual(modes, ['700', '600', '700'], host.name);
    assert.equal(statSync(staging).uid, 0);
  }
  assertAllDone(await run.finished, targets);
  for (const host of [b, c]) {
    await assertIdentical(source, host.join('in', 'tree'));
    assert.ok(!existsSync(join(host.home, '.baton')));
  }
});
