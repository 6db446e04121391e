import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { after, before, test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { compareFingerprints, compareTrees, fingerprintDirectory } from '@batondb/testbed/compare';
import { startHosts } from '@batondb/testbed/hosts';
import { readOnlyMount, smallFileSystem } from '@batondb/testbed/mounts';
import { mustRun } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import type { BatonResult } from '@batondb/testbed/run-baton';
import { runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import { beforeAgent, makeAgent } from './agent-hooks.ts';
import {
  assertAllDone,
  assertExit,
  assertIdentical,
  assertNothingRuns,
  eventsOf,
  makeTargets,
  resultOf,
  runCopy,
  startCopy,
  summaryOf,
} from './copy-on-bed.ts';

// Disks that fill up, file systems of all kinds, and paths and files at their limits.

const mib = 1024 * 1024;
let trees: Sandbox;
/** 40 MiB of noise in four files. */
let large: string;
/** 3,000 small files. */
let small: string;

before(() => {
  requireRoot('the test of disks');
  trees = makeSandbox();
  large = trees.join('large');
  makeLargeFiles(large, { files: 4, bytesEach: 10 * mib, compressible: 0 });
  small = trees.join('small');
  makeSmallFiles(small, 3000, { bytes: 2000 });
});

after(async () => {
  await trees[Symbol.asyncDispose]();
});

/** Runs baton on this machine alone. */
async function runLocally(args: readonly string[]): Promise<BatonResult<CopyEvent>> {
  return await runBaton<CopyEvent>(['copy', ...args], { timeoutMs: 240_000 });
}

// Proves: a disk that another writer fills in mid-copy fails that target with the numbers and exit code 40; the others finish; once
// there is space, the same command goes on where it ended.
test('a disk that fills up', async () => {
  await using bed = await startHosts({ count: 3 });
  const [b, c] = [bed.host('b'), bed.host('c')];
  const targets = await makeTargets([b, c]);
  const [full = '', other = ''] = targets;
  await using disk = await smallFileSystem(b, b.join('in'), { sizeBytes: 96 * mib });
  const args = ['--compress', 'none', `a:${large}`];
  {
    await using run = startCopy(bed, [...args, '--bwlimit', '8MB', ...targets]);
    await run.untilProgress(0.3, full);
    await disk.fill(2 * mib);
    const result = await run.finished;
    assertExit(result, 40);
    const summary = summaryOf(result);
    const { state, error } = resultOf(summary, full);
    assert.equal(state, 'failed');
    assert.equal(error?.code, 'NO_SPACE');
    assert.match(error.message, /b\/in has \d[\d.]* \w+ and \d+ inodes left, and \d[\d.]* MiB are still to come/);
    assert.match(error.hint ?? '', /make space and run the same command again/);
    assert.equal(resultOf(summary, other).state, 'done');
    await assertIdentical(large, c.join('in', 'large'));
    assert.ok(!existsSync(b.join('in', 'large')));
  }
  await assertNothingRuns(bed);
  const early = await runCopy(bed, [...args, ...targets]);
  assertExit(early, 30);
  assert.match(JSON.stringify(early.events), /NO_SPACE/);
  disk.empty();
  const rerun = await runCopy(bed, [...args, ...targets]);
  const summary = assertAllDone(rerun, targets);
  const [resumed] = eventsOf(rerun.events, 'resumed');
  assert.ok((resumed?.keptBytes ?? 0) > 8 * mib, `${resumed?.keptBytes} bytes were kept`);
  assert.ok(summary.wireBytes < 40 * mib - (resumed?.keptBytes ?? 0) + mib, `${summary.wireBytes} bytes were sent`);
  await assertIdentical(large, b.join('in', 'large'));
  for (const host of [b, c]) assert.deepEqual(readdirSync(host.join('in')), ['large']);
});

// Proves: the same for inodes.
test('inodes that run out', async () => {
  await using bed = await startHosts({ count: 2 });
  const b = bed.host('b');
  const [target = ''] = await makeTargets([b]);
  await using _disk = await smallFileSystem(b, b.join('in'), { sizeBytes: 96 * mib, inodes: 4096 });
  const others = b.join('in', 'others');
  {
    await using run = startCopy(bed, ['--bwlimit', '2MB', '--compress', 'none', `a:${small}`, target]);
    await run.untilProgress(0.2);
    mkdirSync(others);
    assert.throws(() => {
      for (let index = 0; index < 5000; index++) writeFileSync(`${others}/${index}`, '');
    }, /ENOSPC/);
    const result = await run.finished;
    assertExit(result, 40);
    const { error } = resultOf(summaryOf(result), target);
    assert.match(error?.message ?? '', /b\/in has \d[\d.]* MiB and 0 inodes left, and/);
  }
  await mustRun(['rm', '-r', others]);
  const rerun = await runCopy(bed, [`a:${small}`, target]);
  assertAllDone(rerun, [target]);
  assert.ok((eventsOf(rerun.events, 'resumed')[0]?.keptUnits ?? 0) > 0);
  await assertIdentical(small, b.join('in', 'small'));
});

// Proves: a target that is a mount point gets the copy inside, by a rename that stays on it; so does the root of a system. The
// source may lie on another file system, and have one mounted below it.
test('mount points', async () => {
  await using bed = await startHosts({ count: 3 });
  const [a, b, c] = [bed.host('a'), bed.host('b'), bed.host('c')];
  const [target = ''] = await makeTargets([b]);
  await using _target = await smallFileSystem(b, b.join('in'), { sizeBytes: 64 * mib });
  await using _source = await smallFileSystem(a, a.join('disk'), { sizeBytes: 64 * mib, kind: 'tmpfs' });
  makeSmallFiles(a.join('disk', 'tree'), 200);
  await using _below = await smallFileSystem(a, a.join('disk', 'tree', 'below'), { sizeBytes: 32 * mib });
  makeLargeFiles(a.join('disk', 'tree', 'below'), { files: 1, bytesEach: 3 * mib });
  const source = `a:${a.join('disk', 'tree')}`;
  assertAllDone(await runCopy(bed, [source, target]), [target]);
  await assertIdentical(a.join('disk', 'tree'), b.join('in', 'tree'));
  // The mount point itself as the source: it lands under its own name.
  assertAllDone(await runCopy(bed, [`a:${a.join('disk')}`, target]), [target]);
  await assertIdentical(a.join('disk'), b.join('in', 'disk'));
  // The agent's whole system has another root: a new one in memory, into which the machine's directories are bound.
  const newRoot = c.join('root');
  mkdirSync(newRoot);
  const shares = readdirSync('/').filter((name) => statSync(`/${name}`).isDirectory());
  const bind = `cd /; for name in ${shares.join(' ')}; do mkdir -p "${newRoot}/$name"; mount --rbind "/$name" "${newRoot}/$name"; done`;
  const links = readdirSync('/', { withFileTypes: true })
    .filter((entry) => entry.isSymbolicLink())
    .map(({ name }) => name);
  const script = [
    'set -e; mount --make-rprivate /',
    `mount -t tmpfs -o size=64m,mode=755 new-root "${newRoot}"; ${bind}`,
    ...links.map((name) => `cp -a "/${name}" "${newRoot}/${name}" 2>/dev/null || :`),
    `mkdir -p ${c.path}kept; (while kill -0 $$ 2>/dev/null; do sleep 0.2; done; cp -a "${newRoot}/tree" ${c.path}kept/) &`,
    `exec chroot "${newRoot}" "$@"`,
  ].join('\n');
  writeFileSync(c.join('enter'), script);
  beforeAgent(c.home, `exec unshare --mount sh ${c.join('enter')} baton "$@"`);
  const result = await runCopy(bed, ['--agent', makeAgent(bed), source, 'c:/']);
  assertAllDone(result, ['c:/']);
  assert.equal(summaryOf(result).targets[0]?.finalPath, '/tree');
  await c.waitForNoProcess();
  await assertIdentical(a.join('disk', 'tree'), c.join('kept', 'tree'));
});

// Proves: what cannot be written is refused before a byte moves, or where only trying tells, right after, with the reason; nothing is
// left behind, and the other target finishes.
test('targets that cannot be written', async () => {
  await using bed = await startHosts({ count: 4 });
  const [b, c, d] = [bed.host('b'), bed.host('c'), bed.host('d')];
  const [readOnly = '', immutable = '', good = ''] = await makeTargets([b, c, d]);
  {
    await using _ = await readOnlyMount(b, b.join('in'));
    const result = await runCopy(bed, [`a:${small}`, readOnly]);
    assertExit(result, 30);
    const [finding] = eventsOf(result.events, 'findings').flatMap(({ findings }) => findings);
    assert.equal(finding?.error.code, 'READ_ONLY');
    assert.deepEqual(readdirSync(b.join('in')), []);
  }
  await mustRun(['chattr', '+i', c.join('in')]);
  try {
    const untouched = await fingerprintDirectory(c.path);
    const result = await runCopy(bed, [`a:${small}`, immutable, good]);
    assertExit(result, 40);
    const { error } = resultOf(summaryOf(result), immutable);
    assert.equal(error?.code, 'NO_PERMISSION');
    assert.match(error.hint ?? '', /chattr \+i/);
    assert.equal(resultOf(summaryOf(result), good).state, 'done');
    assert.deepEqual(compareFingerprints(untouched, await fingerprintDirectory(c.path)), []);
  } finally {
    await mustRun(['chattr', '-i', c.join('in')]);
  }
  await assertIdentical(small, d.join('in', 'small'));
});

/** A directory below `base` whose path has `bytes` bytes, made step by step. */
async function makeLongDirectory(base: string, bytes: number): Promise<string> {
  const room = bytes - Buffer.byteLength(base);
  const count = Math.ceil(room / 251);
  const sizes = Array.from(
    { length: count },
    (_, index) => Math.floor(room / count) - 1 + (index < room % count ? 1 : 0),
  );
  const path = sizes.reduce((whole, size, index) => `${whole}/${String(index % 10).repeat(size)}`, base);
  assert.equal(Buffer.byteLength(path), bytes);
  await mustRun([
    'perl',
    '-e',
    'chdir shift; for (split m{/}, shift) { mkdir $_ or die $!; chdir $_ or die $! }',
    base,
    path.slice(base.length + 1),
  ]);
  return path;
}

// Proves: paths of 4,095 bytes, which is as long as the kernel takes, work as the source, as the target directory, and inside of a tree
// whose copy lies deeper still.
test('paths of 4,095 bytes', async () => {
  await using places = makeSandbox();
  for (const name of ['from', 'to', 'to/in']) mkdirSync(places.join(name));
  const source = await makeLongDirectory(places.join('from'), 4095);
  await mustRun(['sh', '-c', 'cd -P "$1" && echo inside > file', 'sh', source.slice(0, 4000).replace(/\/[^/]*$/, '')]);
  // The source itself, and the target directory, are as long as a path may be.
  const target = await makeLongDirectory(places.join('to', 'in'), 4095);
  const first = await runLocally([source, places.join('to')]);
  assertExit(first, 0);
  assert.deepEqual(await compareTrees(source, places.join('to', source.slice(source.lastIndexOf('/') + 1))), []);
  assertExit(await runLocally([places.join('from'), target, '--as', 'deep']), 0);
  const below = await mustRun([
    'sh',
    '-c',
    'cd "$1" && find deep -type f -execdir cat {} + && find deep | wc -l',
    'sh',
    target,
  ]);
  const expected = await mustRun(['sh', '-c', 'find "$1" | wc -l', 'sh', places.join('from')]);
  assert.equal(below.stdout, `inside\n${expected.stdout}`);
});

// Proves: a file of 5 GiB with little data crosses as little data and stays sparse to the block, over the wire and compared with
// what du says.
test('a sparse file of 5 GiB', async () => {
  await using bed = await startHosts({ count: 2 });
  const [a, b] = [bed.host('a'), bed.host('b')];
  const [target = ''] = await makeTargets([b]);
  const file = openSync(a.join('sparse'), 'w');
  const offsets = [0, 1.5 * 1024 * mib + 12_345, 4096 * mib - 3, 5 * 1024 * mib - 70_000];
  for (const offset of offsets) writeSync(file, Buffer.alloc(64 * 1024, `at ${offset} `), 0, 64 * 1024, offset);
  ftruncateSync(file, 5 * 1024 * mib);
  closeSync(file);
  const result = await runCopy(bed, ['--verify', 'disk', `a:${a.join('sparse')}`, target]);
  const summary = assertAllDone(result, [target]);
  assert.ok(summary.contentBytes < mib, `${summary.contentBytes} bytes of content`);
  const used = async (path: string): Promise<number> =>
    Number((await mustRun(['du', '--block-size=1', path])).stdout.split('\t')[0]);
  const [before, after] = [await used(a.join('sparse')), await used(b.join('in', 'sparse'))];
  assert.ok(after <= before + 64 * 1024, `${after} bytes on the disk, ${before} at the source`);
  assert.equal(statSync(b.join('in', 'sparse')).size, 5 * 1024 * mib);
  // As few blocks in use, and the same content in and around every stretch of data: the rest can only be holes.
  for (const offset of offsets) {
    const window = ['-i', String(Math.max(0, offset - mib)), '-n', String(2 * mib)];
    await mustRun(['cmp', ...window, a.join('sparse'), b.join('in', 'sparse')]);
  }
});

// Proves: file systems that cannot keep everything get what they can keep, and the rest is said once, with a count, an example and the
// system's word. One that tells no size of its own is not taken for a full one.
test('file systems that keep less', async () => {
  await using bed = await startHosts({ count: 3 });
  const [a, b, c] = [bed.host('a'), bed.host('b'), bed.host('c')];
  const targets = await makeTargets([b, c]);
  const [inMemory = '', bare = ''] = targets;
  await using _tmpfs = await smallFileSystem(b, b.join('in'), { kind: 'tmpfs' });
  c.record.add('mounts', c.join('in'));
  await mustRun(['mount', '-t', 'ramfs', 'baton-testbed', c.join('in')]);
  const tree = a.join('tree');
  makeSmallFiles(tree, 20);
  const [one = '', two = ''] = (await mustRun(['find', tree, '-type', 'f'])).stdout.split('\n');
  await mustRun(['setfattr', '-n', 'user.note', '-v', 'kept where it can be', one]);
  await mustRun(['setfattr', '-n', 'user.note', '-v', 'kept where it can be', two]);
  await mustRun(['setfacl', '-m', 'u:12345:rw', one]);
  const result = await runCopy(bed, [`a:${tree}`, ...targets]);
  assertAllDone(result, targets);
  const lost = eventsOf(result.events, 'not-kept').map(({ notKept }) => notKept);
  const of = (target: string): unknown[] =>
    lost
      .filter((one) => one.target === target)
      .map(({ what, count, reason }) => `${what} ${count} ${reason}`)
      .sort();
  assert.deepEqual(of(bare), ['acl 1 EOPNOTSUPP', 'xattr 2 EOPNOTSUPP']);
  const differences = { sockets: false, blocks: false } as const;
  assert.deepEqual(
    await compareTrees(tree, c.join('in', 'tree'), { ...differences, ignoreXattrs: /./, mode: false }),
    [],
  );
  // Since Linux 6.6 tmpfs keeps user attributes; before, their loss has to be said.
  const without = of(inMemory).length > 0 ? /^user\./ : undefined;
  if (without !== undefined) assert.deepEqual(of(inMemory), ['xattr 2 EOPNOTSUPP']);
  assert.deepEqual(await compareTrees(tree, b.join('in', 'tree'), { ...differences, ignoreXattrs: without }), []);
  await mustRun(['umount', c.join('in')]);
});
