import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readdirSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { killAgents, stopAgents } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { mustRun } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import { type BatonResult, type BatonRun, runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles } from '@batondb/testbed/trees';
import {
  assertAllDone,
  assertExit,
  assertNothingRuns,
  eventsOf,
  isSoak,
  makeTargets,
  resultOf,
  runCopy,
  startCopy,
  summaryOf,
} from './copy-on-bed.ts';

// Streams: what a command prints, and standard input. They can be read once, so what is tested is what becomes of them when something
// breaks on the way.

const mib = 1024 * 1024;
const places = ['first', 'middle', 'last'] as const;
const streamBytes = 96 * mib;
let sandbox: Sandbox;
let content: string;

before(() => {
  requireRoot('the test of streams');
  sandbox = makeSandbox();
  makeLargeFiles(sandbox.join('tree'), { files: 1, bytesEach: streamBytes, compressible: 0, seed: 11 });
  content = sandbox.join('tree', readdirSync(sandbox.join('tree'))[0] ?? '');
});

after(async () => {
  await sandbox[Symbol.asyncDispose]();
});

/** Fails the test unless a host's copy is the stream, is all that is there, and is for its owner alone. */
async function assertStream(host: Host, expected: string = content): Promise<void> {
  await mustRun(['cmp', expected, host.join('in', 'stream')]);
  assert.deepEqual(readdirSync(host.join('in')), ['stream']);
  assert.equal(statSync(host.join('in', 'stream')).mode & 0o777, 0o600);
}

function assertEmpty(hosts: readonly Host[]): void {
  for (const host of hosts) assert.deepEqual(readdirSync(host.join('in')), [], host.name);
}

/** A command that prints the content, on a, as `stream`. */
const printing = (): string[] => ['--exec', `cat ${content}`, 'a:stream'];

/** Waits until a target holds so much of the stream. */
async function untilHeld(run: BatonRun<CopyEvent>, target: string, bytes: number): Promise<void> {
  await run.until(
    (event) =>
      event.type === 'progress' && event.targets.some((one) => one.target === target && one.doneBytes >= bytes),
  );
}

async function startThree(): Promise<{ bed: Bed; hosts: Host[]; targets: string[] }> {
  const bed = await startHosts({ count: 4, linkMbit: 400 });
  const hosts = bed.hosts.slice(1);
  return { bed, hosts, targets: await makeTargets(hosts) };
}

// Proves: what a command on one host prints arrives on three others, and standard input, a pipe or a file, does, too; the source reads it
// once and sends it once.
test('a stream to three hosts', async () => {
  const { bed, hosts, targets } = await startThree();
  await using _bed = bed;
  const summary = assertAllDone(await runCopy(bed, [...printing(), ...targets]), targets);
  assert.equal(summary.contentBytes, streamBytes);
  for (const host of hosts) await assertStream(host);
  const again = await runCopy(bed, [...printing(), ...targets]);
  assertExit(again, 30);
  assert.match(JSON.stringify(again.events), /EXISTS.*in\/stream exists already/);

  const input = openSync(content, 'r');
  try {
    assertAllDone(await runCopy(bed, ['--stdin', 'file', ...targets], { stdin: input }), targets);
  } finally {
    closeSync(input);
  }
  for (const host of hosts) await mustRun(['cmp', content, host.join('in', 'file')]);
  await assertNothingRuns(bed);
});

// Proves: a pipe as standard input, an empty one, too; and content that compresses goes compressed.
test('standard input on one machine', async () => {
  const directory = sandbox.join('local');
  await mustRun(['mkdir', directory]);
  const run = async (script: string): Promise<string> =>
    (await mustRun(['bash', '-o', 'pipefail', '-c', script])).stdout;
  await run(`seq 1 200000 | ./baton copy --stdin numbers ${directory}`);
  assert.equal(await run(`md5sum <${directory}/numbers`), await run('seq 1 200000 | md5sum'));
  await run(`./baton copy --stdin nothing ${directory} </dev/null`);
  assert.equal(statSync(`${directory}/nothing`).size, 0);
  await assert.rejects(run(`echo x | ./baton copy --stdin numbers ${directory}`), /exists already/);
  assert.deepEqual(readdirSync(directory).sort(), ['nothing', 'numbers']);
});

// Proves: whichever process of a pipeline fails, or is missing, and however late, no target takes what came for the whole; the message
// says what failed, and nothing is left.
test('a command that fails', async () => {
  await using bed = await startHosts({ count: 3 });
  const hosts = bed.hosts.slice(1);
  const targets = await makeTargets(hosts);
  const cases: readonly (readonly [string, RegExp])[] = [
    [`head -c ${20 * mib} ${content}; echo broken >&2; exit 3`, /ended with exit code 3: broken/],
    [`head -c ${mib} ${content} | (cat; exit 4) | cat`, /ended with exit code 4/],
    ['no-such-program', /ended with exit code 127: .*no-such-program: command not found/],
    [`cat ${content} & kill -9 $$`, /was killed by SIGKILL/],
    ['if', /ended with exit code [12].*syntax error/s],
  ];
  for (const [command, expected] of cases) {
    const result = await runCopy(bed, ['--exec', command, 'a:stream', ...targets]);
    assertExit(result, 45);
    for (const target of targets) {
      const { error } = resultOf(summaryOf(result), target);
      assert.equal(error?.code, 'CHILD_FAILED', command);
      assert.equal(error.host, 'a');
      assert.match(error.message, expected, command);
    }
    assertEmpty(hosts);
  }
  await assertNothingRuns(bed);
});

for (const place of isSoak ? places : ([places[0]] as const)) {
  // Proves (R5): a host that is lost in the middle of a stream does not cost the others theirs: what it had not passed on is still at
  // the source, or at the host before it.
  test(`the ${place} host of a stream is killed`, async () => {
    const { bed, hosts, targets } = await startThree();
    await using _bed = bed;
    const at = places.indexOf(place);
    const [target, host] = [targets[at] ?? '', hosts[at] as Host];
    await using run = startCopy(bed, [...printing(), ...targets]);
    await untilHeld(run, target, streamBytes * 0.3);
    await killAgents(host);
    const result = await run.finished;
    assertExit(result, 50);
    const summary = summaryOf(result);
    for (const other of targets) {
      assert.equal(resultOf(summary, other).state, other === target ? 'failed' : 'done', other);
    }
    for (const other of hosts) if (other !== host) await assertStream(other);
    assert.ok(!existsSync(host.join('in', 'stream')));
    await assertNothingRuns(bed);
    // What the killed one left is of no use, and in nobody's way.
    assertAllDone(await runCopy(bed, [...printing(), target]), [target]);
    await assertStream(host);
  });
}

// Proves: a host that hangs, or a link that is much slower, does not stop the others; the slow one gets the stream from their disks when
// the source has it no more.
test('a slow host does not hold up a stream', async () => {
  const { bed, hosts, targets } = await startThree();
  await using _bed = bed;
  const [first, , last] = hosts as [Host, Host, Host];
  await last.setLinkMbit(60);
  await using run = startCopy(bed, [...printing(), ...targets]);
  const done = await run.untilType('target-done');
  assert.notEqual(done.result.target, targets[2]);
  assertAllDone(await run.finished, targets);
  for (const host of hosts) await assertStream(host);

  await mustRun(['rm', ...hosts.map((host) => host.join('in', 'stream'))]);
  await using second = startCopy(bed, [...printing(), ...targets]);
  await untilHeld(second, targets[0] ?? '', streamBytes * 0.2);
  await using _hangs = await stopAgents(first);
  const result = await second.finished;
  assertExit(result, 50);
  assert.equal(resultOf(summaryOf(result), targets[0] ?? '').state, 'failed');
  for (const host of hosts.slice(1)) await assertStream(host);
});

// Proves: a killed command, and Ctrl-C, leave nothing running, and nothing on the targets once they could clean up.
test('a stream is interrupted', async () => {
  await using bed = await startHosts({ count: 2 });
  const hosts = bed.hosts.slice(1);
  const targets = await makeTargets(hosts);
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    await using run = startCopy(bed, ['--bwlimit', '20MB', ...printing(), ...targets]);
    await untilHeld(run, targets[0] ?? '', 20 * mib);
    run.kill(signal);
    const { code } = await run.finished;
    assert.equal(code, signal === 'SIGINT' ? 130 : null);
    await Promise.all([run.waitForNoProcess(), assertNothingRuns(bed)]);
    assertEmpty(hosts);
  }
});

// Proves: a target whose disk fills up fails alone, with the numbers, and leaves nothing.
test('a disk that a stream fills', async () => {
  await using bed = await startHosts({ count: 3 });
  const [, b, c] = bed.hosts as [Host, Host, Host];
  const targets = await makeTargets([b, c]);
  await using _disk = await smallFileSystem(b, b.join('in'), { sizeBytes: 64 * mib });
  const result: BatonResult<CopyEvent> = await runCopy(bed, [...printing(), ...targets]);
  assertExit(result, 40);
  const { error } = resultOf(summaryOf(result), targets[0] ?? '');
  assert.equal(error?.code, 'NO_SPACE');
  assert.match(error.message, /b\/in has .* left, and more of the stream is still to come/);
  await assertStream(c);
  assert.deepEqual(eventsOf(result.events, 'target-done').length, 1);
  await assertNothingRuns(bed);
  assert.deepEqual(
    readdirSync(b.join('in')).filter((name) => name !== 'lost+found'),
    [],
  );
});

// Proves: what cannot be is said before anything is started.
test('what a stream cannot be', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--stdin', 'a/b', '/tmp'], /one name without slashes/],
    [['--stdin', 'x', '--as', 'y', '/tmp'], /cannot be used with/],
    [['--exec', ' ', 'a:x', '/tmp'], /--exec is empty/],
    [['--exec', 'true', '--exclude', '*.log', 'a:x', '/tmp'], /cannot be used with/],
    [['--stdin', 'x', '@-'], /cannot be the source and the list/],
  ];
  for (const [args, expected] of cases) {
    const { code, stderr } = await runBaton(['copy', ...args]);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, expected);
  }
});
