import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { CopyEvent, Finding } from '@batondb/copy/events';
import { compareFingerprints, type Fingerprint, fingerprintDirectory } from '@batondb/testbed/compare';
import { blockTraffic } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { readOnlyMount, smallFileSystem } from '@batondb/testbed/mounts';
import { waitUntil } from '@batondb/testbed/process-table';
import { requireRoot } from '@batondb/testbed/requirements';
import type { BatonResult } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import { greetWith, makeAgent } from './agent-hooks.ts';
import {
  assertAllDone,
  assertExit,
  assertIdentical,
  assertNothingRuns,
  eventsOf,
  makeTargets,
  runCopy,
} from './copy-on-bed.ts';

// What is found before a byte moves.

const mib = 1024 * 1024;
let trees: Sandbox;
/** 12 MiB in one file, and 60 small ones. */
let source: string;

before(() => {
  requireRoot('the test of preflight');
  trees = makeSandbox();
  source = trees.join('tree');
  makeLargeFiles(source, { files: 1, bytesEach: 12 * mib });
  makeSmallFiles(source, 60);
});

after(async () => {
  await trees[Symbol.asyncDispose]();
});

/** Everything of all hosts and of the source; not what ssh logs. */
async function fingerprintAll(bed: Bed): Promise<readonly Fingerprint[]> {
  return [await fingerprintDirectory(bed.path, { ignore: ['.bed'] }), await fingerprintDirectory(trees.path)];
}

async function assertUntouched(bed: Bed, earlier: readonly Fingerprint[]): Promise<void> {
  await assertNothingRuns(bed);
  const now = await fingerprintAll(bed);
  for (const [index, fingerprint] of earlier.entries())
    assert.deepEqual(compareFingerprints(fingerprint, now[index] ?? new Map<string, string>()), []);
}

function findingsOf(result: BatonResult<CopyEvent>): Finding[] {
  return eventsOf(result.events, 'findings').flatMap(({ findings }) => findings);
}

/** The one finding of a host with a code; fails the test when there is none. */
function findingOf(result: BatonResult<CopyEvent>, host: string, code: string): Finding['error'] {
  const all = findingsOf(result);
  const found = all.filter((finding) => finding.host === host && finding.error.code === code);
  const shown = all.map(({ host: where, error }) => `${where} ${error.code} ${error.message}`).join('\n');
  assert.equal(found.length, 1, `${host} ${code} among:\n${shown}\n${result.stderr}`);
  return (found[0] as Finding).error;
}

/** Holds TCP ports of a host until the bed ends. */
async function holdPorts(host: Host, first: number, last: number): Promise<void> {
  const program = `for (let port = ${first}; port <= ${last}; port++) require('node:net').createServer().listen(port, '::')`;
  void host.exec([process.execPath, '-e', program], { timeoutMs: 200_000 }).catch(() => undefined);
  await waitUntil('the ports are taken', async () => {
    const { stdout } = await host.exec(['ss', '-ltnH', 'sport', '=', `:${last}`]);
    return stdout !== '';
  });
  for (const { pid } of host.processes()) host.toolPids.add(pid);
}

// Proves: everything that is wrong on eleven hosts is told in one run, each with its host and its next step; the exit code is 30,
// and nothing was changed anywhere.
test('every finding at once', async () => {
  const names = ['a', 'blocked', 'missing', 'nokey', 'nodir', 'exists', 'small', 'closed', 'port', 'ro', 'newer'];
  await using bed = await startHosts({ names, unknownHostKeys: ['nokey'], user: 'plain' });
  const targets = await makeTargets(bed.hosts.slice(1));
  const target = (name: string): string => targets[names.indexOf(name) - 1] ?? '';
  const at = (name: string): Host => bed.host(name);
  const absent = bed.host('a').ipv4.replace(/\d+$/, '250');
  writeFileSync(at('nodir').join('file'), 'a file');
  mkdirSync(at('exists').join('in', 'tree'));
  await using _small = await smallFileSystem(at('small'), at('small').join('in'), { sizeBytes: 8 * mib, inodes: 32 });
  await using _readOnly = await readOnlyMount(at('ro'), at('ro').join('in'));
  await using _blocked = await blockTraffic(at('blocked'), { ports: '4410' });
  await holdPorts(at('port'), 4410, 4410);
  greetWith(at('newer').home, { software: '9.0.0', control: { min: 2, max: 3 } });
  const untouched = await fingerprintAll(bed);
  const closed = `${bed.user}@closed`;
  const operands = [
    ...[`a:${source}`, target('blocked'), `missing:${at('missing').join('no', 'such')}`, target('nokey')],
    ...[`nodir:${at('nodir').join('file')}`, target('exists'), target('small'), `${closed}:${at('closed').join('in')}`],
    ...[target('port'), target('ro'), target('newer'), `${absent}:/srv`],
  ];
  const result = await runCopy(bed, ['--agent', makeAgent(bed), '--port', '4410', ...operands], { timeoutMs: 120_000 });
  assertExit(result, 30);
  const expected: readonly (readonly [string, string, RegExp, RegExp])[] = [
    ['a', 'HOP_UNREACHABLE', /^a cannot reach blocked on its data port 4410: /, /allow TCP port 4410 in the firewall/],
    ['missing', 'NOT_FOUND', /no\/such does not exist/, /make it/],
    [
      'nokey',
      'UNKNOWN_HOST_KEY',
      /host key is not known/,
      /accept it: ssh -F \S+ -o StrictHostKeyChecking=ask nokey true/,
    ],
    ['nodir', 'NOT_A_DIRECTORY', /nodir\/file: is not a directory/, /--as/],
    ['exists', 'EXISTS', /in\/tree exists already/, /--as/],
    ['small', 'NO_SPACE', /small\/in has \d[\d.]* [KM]i?B free, and \d[\d.]* Mi?B are needed/, /make \d.* of space/],
    ['small', 'NO_INODES', /small\/in has \d+ inodes free, and \d+ are needed/, /more inodes/],
    [closed, 'NO_PERMISSION', /user \d+ may not write into/, /--sudo/],
    ['port', 'PORT_TAKEN', /port 4410 is taken/, /--port/],
    ['ro', 'READ_ONLY', /mounted read-only/, /read-write/],
    ['newer', 'VERSION_MISMATCH', /baton 9\.0\.0 there speaks control versions 2 to 3, this one 1 to 1/, /install/],
    [absent, 'UNREACHABLE', /did not answer/, /host is up/],
  ];
  for (const [host, code, message, hint] of expected) {
    const error = findingOf(result, host, code);
    assert.match(error.message, message);
    assert.match(error.hint ?? '', hint, `${host}: ${error.hint}`);
  }
  assert.equal(findingsOf(result).length, expected.length, 'and nothing else');
  assert.deepEqual(eventsOf(result.events, 'plan'), []);
  // nft and the holder of the port are the test's own.
  await assertUntouched(bed, untouched);
});

// Proves: what a person sees of it names every host, the two values and the line to run, and ends with what was not done.
test('findings as people see them', async () => {
  await using bed = await startHosts({ count: 3, unknownHostKeys: ['b'] });
  const [b, c] = await makeTargets(bed.hosts.slice(1));
  mkdirSync(bed.host('c').join('in', 'tree'));
  const result = await runCopy(bed, [`a:${source}`, b ?? '', c ?? ''], { json: false });
  assertExit(result, 30);
  const said = `${result.stdout}${result.stderr}`;
  assert.match(said, /b: its host key is not known/);
  assert.match(said, /ssh -F \S+ssh_config -o StrictHostKeyChecking=ask b true/);
  assert.match(said, /c: \S+\/in\/tree exists already, and nothing existing is ever overwritten/);
  assert.match(said, /nothing was copied: 2 problems were found, on b, c/);
});

// Proves: --dry-run tells the plan with its hops, in a chain and in a star, and changes nothing.
test('a dry run', async () => {
  await using bed = await startHosts({ count: 3 });
  const targets = await makeTargets(bed.hosts.slice(1));
  const [b, c] = [bed.host('b'), bed.host('c')];
  const untouched = await fingerprintAll(bed);
  for (const topology of ['chain', 'star'] as const) {
    const args = ['--dry-run', '--topology', topology, '--as', 'new name', `a:${source}`, ...targets];
    const result = await runCopy(bed, args);
    assertExit(result, 0);
    const [event] = eventsOf(result.events, 'plan');
    assert.ok(event?.dryRun);
    const { plan } = event;
    assert.deepEqual(
      plan.targets.map(({ finalPath, resumedBytes }) => [finalPath, resumedBytes]),
      [b, c].map((host) => [host.join('in', 'new name'), 0]),
    );
    const hop = { port: 4400 };
    assert.deepEqual(plan.hops, [
      { from: `a:${source}`, to: targets[0], address: b.ipv4, ...hop },
      { from: topology === 'chain' ? targets[0] : `a:${source}`, to: targets[1], address: c.ipv4, ...hop },
    ]);
    assert.ok(plan.contentBytes > 12 * mib && plan.files === 61, JSON.stringify(plan));
    assert.deepEqual(eventsOf(result.events, 'progress'), []);
    await assertUntouched(bed, untouched);
  }
});

// Proves: the port is the first free one of 4400 to 4500, and 4444 is left to Galera; --port is taken as it is.
test('which port', async () => {
  await using bed = await startHosts({ count: 2 });
  const b = bed.host('b');
  const [target = ''] = await makeTargets([b]);
  const portOf = async (...args: string[]): Promise<number | undefined> => {
    const result = await runCopy(bed, ['--dry-run', ...args, `a:${source}`, target]);
    return eventsOf(result.events, 'plan')[0]?.plan.hops[0]?.port;
  };
  assert.equal(await portOf(), 4400);
  assert.equal(await portOf('--port', '4444'), 4444);
  await holdPorts(b, 4400, 4443);
  assert.equal(await portOf(), 4445);
  await holdPorts(b, 4445, 4500);
  const result = await runCopy(bed, ['--dry-run', `a:${source}`, target]);
  assertExit(result, 30);
  assert.match(findingOf(result, 'b', 'PORT_TAKEN').message, /ports 4400 to 4500 are taken/);
});

// Proves: with --bind a target listens on that address, or its address in that network, and nowhere else, and its sender uses it.
test('which address', async () => {
  await using bed = await startHosts({ count: 2 });
  const b = bed.host('b');
  const [target = ''] = await makeTargets([b]);
  const planWith = async (bind: string): Promise<BatonResult<CopyEvent>> =>
    await runCopy(bed, ['--dry-run', '--bind', bind, `a:${source}`, target]);
  const network4 = b.ipv4.replace(/\.\d+$/, '.0/24');
  const cases = [
    [b.ipv4, b.ipv4],
    [b.ipv6, b.ipv6],
    [network4, b.ipv4],
    ['fd00::/8', b.ipv6],
  ] as const;
  for (const [bind, address] of cases) {
    const result = await planWith(bind);
    assertExit(result, 0);
    assert.equal(eventsOf(result.events, 'plan')[0]?.plan.hops[0]?.address, address, bind);
  }
  const elsewhere = await planWith('192.0.2.0/24');
  assertExit(elsewhere, 30);
  assert.match(
    findingOf(elsewhere, 'b', 'HOP_UNREACHABLE').message,
    /no address of this host lies in 192\.0\.2\.0\/24; it has/,
  );
  const foreign = await planWith(bed.host('a').ipv4);
  assertExit(foreign, 30);
  assert.match(findingOf(foreign, 'b', 'SYSTEM').message, /cannot listen on/);
  const result = await runCopy(bed, ['--bind', network4, '--streams', '2', `a:${source}`, target]);
  assertAllDone(result, [target]);
  await assertIdentical(source, b.join('in', 'tree'));
});

// Proves: hosts that have no data version in common are told with each host's versions; neighbouring releases work together.
test('versions', async () => {
  await using bed = await startHosts({ count: 3 });
  const targets = await makeTargets(bed.hosts.slice(1));
  const agent = makeAgent(bed);
  const run = async (): Promise<BatonResult<CopyEvent>> =>
    await runCopy(bed, ['--agent', agent, `a:${source}`, ...targets]);
  greetWith(bed.host('b').home, { software: '0.9.0', data: { min: 2, max: 3 } });
  const refused = await run();
  assertExit(refused, 30);
  const { message } = findingOf(refused, 'a', 'VERSION_MISMATCH');
  assert.match(message, /no data version in common: a \(baton [\d.]+\) 1 to 1, b \(baton 0\.9\.0\) 2 to 3, c \(baton/);
  const next = { software: '0.2.0', control: { min: 1, max: 2 }, data: { min: 1, max: 2 }, news: ['to come'] };
  greetWith(bed.host('b').home, next);
  greetWith(bed.host('a').home, next);
  const accepted = await run();
  assertAllDone(accepted, targets);
  assert.deepEqual(
    eventsOf(accepted.events, 'host')
      .map(({ host, version }) => `${host} ${version}`)
      .filter((text) => /0\.2\.0/.test(text))
      .sort((x, y) => (x < y ? -1 : 1)),
    ['a 0.2.0', 'b 0.2.0'],
  );
  for (const host of bed.hosts.slice(1)) await assertIdentical(source, host.join('in', 'tree'));
});
