import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { CopyEvent } from '@batondb/copy/events';
import { type RawMember, rawArchive } from '@batondb/testbed/archives';
import { makeAwkwardTree } from '@batondb/testbed/awkward-tree';
import { compareTrees } from '@batondb/testbed/compare';
import type { Host } from '@batondb/testbed/host';
import { startHosts } from '@batondb/testbed/hosts';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { requireRoot } from '@batondb/testbed/requirements';
import { type BatonResult, runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
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

// Archives that are unpacked on their targets.

const mib = 1024 * 1024;
let trees: Sandbox;
/** A tree in which everything is that GNU tar can keep, below `tree`. */
let tree: string;

before(async () => {
  requireRoot('the test of archives');
  trees = makeSandbox();
  tree = trees.join('tree');
  await makeAwkwardTree(tree, { root: true });
  // What leads out is refused, what tar cannot say it does not keep.
  const without = [
    'links/absolute',
    'links/second-symlink',
    'links/parent',
    'special/socket',
    'special/second-fifo',
    'attributes/trusted',
  ];
  await mustRun([
    'sh',
    '-euc',
    `cd '${tree}'; rm -f ${without.join(' ')}; ln -s ../names links/parent; touch -h -d @0.5 links/parent`,
  ]);
  makeLargeFiles(join(tree, 'large'), { files: 1, bytesEach: 20 * mib, compressible: 0.5 });
  makeSmallFiles(join(tree, 'small'), 500, { bytes: 700 });
});

after(async () => {
  await trees[Symbol.asyncDispose]();
});

/** Runs baton on this machine alone. */
async function runLocally(args: readonly string[]): Promise<BatonResult<CopyEvent>> {
  return await runBaton<CopyEvent>(['copy', '--type', 'decompress', ...args], { timeoutMs: 240_000 });
}

/** Has GNU tar make an archive of the tree. */
async function makeArchive(path: string, options: readonly string[]): Promise<string> {
  await mustRun(['tar', '-C', trees.path, '--numeric-owner', ...options, '-cf', path, 'tree']);
  return path;
}

/** Fails the test unless a directory has what is in the tree, field by field. */
async function assertUnpacked(directory: string, isPosix: boolean): Promise<void> {
  const differences = await compareTrees(tree, directory, {
    sockets: false,
    modifyTime: isPosix,
    xattrs: isPosix,
    // The target directory is its owner's, and stays what it is.
    ignore: [],
  });
  assert.deepEqual(
    differences.filter((line) => !line.startsWith('.:')),
    [],
  );
}

const kinds = [
  { ending: '.tar.gz', options: ['--format=posix', '--xattrs', '--xattrs-include=*', '--sparse', '-z'], isPosix: true },
  {
    ending: '.tar.zst',
    options: ['--format=posix', '--xattrs', '--xattrs-include=*', '--sparse', '--zstd'],
    isPosix: true,
  },
  { ending: '.tar', options: ['--format=gnu', '--sparse'], isPosix: false },
] as const;

// Proves: archives of all kinds that GNU tar makes come out on two hosts in a chain as the tree that went in, and nothing else is left.
test('archives of every kind to two hosts', async (t) => {
  await using bed = await startHosts({ count: 3 });
  const hosts = [bed.host('b'), bed.host('c')];
  const [first, ...others] = kinds;
  const seed = seedOfRun();
  t.diagnostic(`seed ${seed}`);
  const chosen = isSoak ? others : [new Random(seed).fork('kinds').pick(others)];
  for (const { ending, options, isPosix } of [first, ...chosen]) {
    const targets = await makeTargets(hosts);
    const archive = await makeArchive(bed.host('a').join(`archive${ending}`), options);
    const result = await runCopy(bed, ['--type', 'decompress', `a:${archive}`, ...targets]);
    const summary = assertAllDone(result, targets);
    for (const host of hosts) {
      await assertUnpacked(host.join('in'), isPosix);
      const { unpacked, finalPath } = resultOf(summary, `${host.name}:${host.join('in')}`);
      const { stdout } = await mustRun(['sh', '-c', `find '${host.join('in')}' -mindepth 1 -printf x | wc -c`]);
      assert.equal(unpacked?.entries, Number(stdout));
      assert.equal(unpacked.skipped, 0);
      assert.equal(finalPath, host.join('in'));
      await mustRun(['rm', '-rf', host.join('in')]);
    }
    const phases = new Set(
      eventsOf(result.events, 'progress').flatMap((event) => event.targets.map(({ phase }) => phase)),
    );
    assert.ok(phases.has('unpacking') || phases.has('receiving'), [...phases].join());
  }
  await assertNothingRuns(bed);
});

// Proves: an unprivileged user gets everything that is theirs to make, is told what could not be kept, and is refused devices.
test('unpacked by a user', async () => {
  await using sandbox = makeSandbox();
  const uid = 12_345;
  const members: RawMember[] = [
    { path: 'd/closed/', type: '5', mode: 0o555 },
    { path: 'd/closed/file', content: 'inside', mode: 0o400 },
    { path: 'd/fifo', type: '6' },
    { path: 'd/setuid', content: 'x', mode: 0o4755 },
  ];
  const run = async (name: string, made: readonly RawMember[]): Promise<BatonResult<CopyEvent>> => {
    const target = sandbox.join(name);
    mkdirSync(target);
    chownSync(target, uid, uid);
    writeFileSync(sandbox.join(`${name}.tar`), rawArchive(made));
    const shell = sandbox.join('shell');
    // The user's own HOME, and a checkout that everybody may read.
    writeFileSync(
      shell,
      `#!/bin/sh\nexec setpriv --reuid ${uid} --regid ${uid} --clear-groups env HOME=/ sh -c "$2"\n`,
    );
    chmodSync(shell, 0o755);
    return await runLocally([sandbox.join(`${name}.tar`), `there:${target}`, '--ssh', shell]);
  };
  const kept = await run('kept', members);
  assertExit(kept, 0);
  assert.equal(statSync(sandbox.join('kept', 'closed')).mode & 0o7777, 0o555);
  assert.equal(statSync(sandbox.join('kept', 'closed')).uid, uid);
  assert.equal(readFileSync(sandbox.join('kept', 'closed', 'file'), 'utf8'), 'inside');
  assert.equal(statSync(sandbox.join('kept', 'setuid')).mode & 0o7777, 0o755);
  const whats = eventsOf(kept.events, 'not-kept').map(({ notKept }) => `${notKept.what} ${notKept.count}`);
  assert.deepEqual(whats.sort(), ['owner 4', 'setuid 1']);
  const refused = await run('refused', [...members, { path: 'd/null', type: '3', major: 1, minor: 3 }]);
  assertExit(refused, 40);
  assert.match(refused.stdout, /member 'd\/null' is the character device 1:3, which user 12345 may not make/);
  assert.deepEqual(namesBut(sandbox.join('refused')), []);
});

const hostile: readonly (readonly [string, Uint8Array, RegExp])[] = [
  ['absolute', rawArchive([{ path: 'd/good' }, { path: '/etc/evil' }]), /member '\/etc\/evil' has an absolute path/],
  ['up', rawArchive([{ path: 'd/good' }, { path: 'd/../../evil' }]), /goes up with '\.\.'/],
  ['symlink-out', rawArchive([{ path: 'd/l', type: '2', linkPath: '../../etc' }]), /which leads out of the archive/],
  ['through-symlink', rawArchive([{ path: 'd/l', type: '2', linkPath: '.' }, { path: 'd/l/x' }]), /goes through 'l'/],
  [
    'hardlink-out',
    rawArchive([{ path: 'd/h', type: '1', linkPath: '/etc/passwd' }]),
    /has an absolute path in what it/,
  ],
  ['twice', rawArchive([{ path: 'd/x' }, { path: 'd/x' }]), /member 'd\/x' comes twice/],
  ['nul', rawArchive([{ path: 'd/x', pax: { path: 'd/a\0b' } }]), /has a NUL in its name/],
  [
    'ours',
    rawArchive([{ path: 'd/.baton-0123456789abcdef.published', type: '2', linkPath: 'x' }]),
    /a name of baton's own/,
  ],
  ['lies', rawArchive([{ path: 'd/x', content: 'x', sizeBytes: 9999 }]), /is cut off: it ends without an end mark/],
  ['trailing', Buffer.concat([rawArchive([{ path: 'd/x' }]), Buffer.from('more')]), /goes on after its end mark/],
  ['empty', rawArchive([{ path: 'x' }]), /holds nothing below the first component of its paths/],
];

// Proves: a hostile archive of each kind ends with one clear message on each target and exit code 60; nothing of it is anywhere, nothing
// of the copy is left, and nobody is told to try again.
test('hostile archives', async (t) => {
  await using sandbox = makeSandbox();
  const gzipped = hostile.map(([name, bytes, message]) => [`${name}.tar.gz`, gzipSync(bytes), message] as const);
  const corrupt = gzipSync(rawArchive([{ path: 'd/x', content: Buffer.alloc(2 * mib, 'content') }]));
  const damaged = Buffer.from(corrupt);
  damaged[damaged.length - 6]! ^= 0xff;
  const all = [
    ...gzipped,
    ['corrupt.tgz', damaged, /is damaged at about byte \d+ of the gzip file: incorrect data check/],
    ['cut.tar.gz', corrupt.subarray(0, -100), /is cut off: the gzip file ends after \d+ bytes/],
    ['other.tar.zst', corrupt, /is damaged at about byte 0 of the zstd file/],
  ] as const;
  const seed = seedOfRun();
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed).fork('hostile');
  const chosen = isSoak ? all : [random.pick(all), random.pick(all), random.pick(all)];
  for (const [name, bytes, message] of new Set(chosen)) {
    const targets = [1, 2].map((number) => sandbox.join(`${name}-${number}`));
    for (const target of targets) mkdirSync(target);
    writeFileSync(sandbox.join(name), bytes);
    const result = await runLocally([sandbox.join(name), ...targets]);
    assertExit(result, 60);
    for (const { error } of summaryOf(result).targets) {
      assert.equal(error?.code, 'BAD_ARCHIVE', name);
      assert.match(error.message, message, name);
    }
    for (const target of targets) assert.deepEqual(readdirSync(target), [], name);
    assert.ok(!existsSync('/etc/evil') && !existsSync(sandbox.join('evil')), name);
  }
});

// Proves: preflight names what cannot be unpacked and where nothing can be unpacked into, before anything is made.
test('what is refused beforehand', async () => {
  await using sandbox = makeSandbox();
  const archive = sandbox.join('archive.tar');
  writeFileSync(archive, rawArchive([{ path: 'd/x', content: 'x' }]));
  writeFileSync(sandbox.join('archive.zip'), 'no archive');
  const target = sandbox.join('target');
  mkdirSync(join(target, 'lost+found'), { recursive: true });
  const refused = async (args: readonly string[], code: number, message: RegExp): Promise<void> => {
    const result = await runLocally(args);
    assertExit(result, code);
    assert.match(`${JSON.stringify(result.events)}${result.stderr}`, message);
    assert.deepEqual(readdirSync(target).sort(), before);
  };
  let before = ['lost+found'];
  await refused(
    [sandbox.join('archive.zip'), target],
    30,
    /UNSUPPORTED.*ends in \.tar, \.tar\.gz, \.tgz, \.tar\.zst, and archive\.zip/,
  );
  await refused([sandbox.path, target], 30, /UNSUPPORTED.* is no regular file/);
  await refused([archive, target, '--as', 'x'], 2, /--as cannot be combined with --type decompress/);
  await refused([archive, target, '--exclude', 'x'], 2, /--exclude cannot be combined/);
  writeFileSync(join(target, 'somebody'), 'was here');
  before = ['lost+found', 'somebody'];
  await refused([archive, target], 30, /EXISTS.*target is not empty: it has somebody/);
  // What another copy left is somebody's, too.
  await mustRun(['mv', join(target, 'somebody'), join(target, '.baton-0123456789abcdef.partial')]);
  before = ['.baton-0123456789abcdef.partial', 'lost+found'];
  await refused([archive, target], 30, /is not empty: it has \.baton-0123456789abcdef\.partial/);
  await mustRun(['rm', join(target, '.baton-0123456789abcdef.partial')]);
  // Only what the archive holds shows that it has the one thing that does not count.
  writeFileSync(sandbox.join('found.tar'), rawArchive([{ path: 'd/lost+found/x' }, { path: 'd/y' }]));
  const found = await runLocally([sandbox.join('found.tar'), target]);
  assertExit(found, 40);
  assert.match(found.stdout, /"code":"EXISTS","message":"[^"]* is not empty: it has lost\+found/);
  assert.deepEqual(namesBut(target), ['lost+found']);
  assertExit(await runBaton(['copy', 'clean', target]), 0);
  assertExit(await runLocally([archive, target]), 0);
  assert.deepEqual(readdirSync(target).sort(), ['lost+found', 'x']);
});

/** Makes an archive of one file of zeros, which is tiny. */
async function makeBomb(host: Host, bytes: number): Promise<string> {
  const path = host.join('bomb.tar.gz');
  await mustRun(['sh', '-euc', `mkdir d; truncate -s ${bytes} d/zeros; tar -czf '${path}' d; rm -r d`], {
    cwd: host.join('.'),
  });
  return path;
}

/** The names in a directory without those of a copy that is not done. */
function namesBut(directory: string): string[] {
  return readdirSync(directory).filter((name) => !/^\.baton-[0-9a-f]{16}\.partial$/.test(name));
}

// Proves: what does not fit is refused before it fills the disk up, the space is given back at once, other targets are done, and with
// more space the same command completes the copy without sending the archive again.
test('a bomb on a small disk', async () => {
  await using bed = await startHosts({ count: 3 });
  const [b, c] = [bed.host('b'), bed.host('c')];
  const [other = ''] = await makeTargets([c]);
  await using disk = await smallFileSystem(b, b.join('disk'), { sizeBytes: 96 * mib });
  const inside = b.join('disk', 'in');
  mkdirSync(inside);
  await disk.fill(50 * mib);
  const targets = [`b:${inside}`, other];
  const args = ['--type', 'decompress', `a:${await makeBomb(bed.host('a'), 60 * mib)}`, ...targets];
  const result = await runCopy(bed, args);
  assertExit(result, 40);
  const { error, state } = resultOf(summaryOf(result), `b:${inside}`);
  assert.equal(state, 'failed');
  assert.equal(error?.code, 'NO_SPACE');
  assert.match(
    error.message,
    /member 'd\/zeros' has 60\.0 MiB, and of [\d.]+ MiB that are free [\d.]+ MiB have to stay/,
  );
  assert.equal(resultOf(summaryOf(result), other).state, 'done');
  assert.ok(disk.free().bytes > 48 * mib, 'what was unpacked is not there any more');
  assert.deepEqual(namesBut(inside), []);
  disk.empty();
  const rerun = await runCopy(bed, args);
  assertAllDone(rerun, targets);
  const [resumed] = eventsOf(rerun.events, 'resumed');
  assert.ok((resumed?.keptBytes ?? 0) > 0, 'the archive is there from before');
  for (const directory of [inside, c.join('in')]) {
    assert.deepEqual(readdirSync(directory), ['zeros']);
    assert.equal(statSync(join(directory, 'zeros')).size, 60 * mib);
  }
  await assertNothingRuns(bed);
});

// Proves: a disk that another writer fills up fails the target with its numbers, and the same command completes it; a name that
// appears in the target directory meanwhile stays, nothing is mixed with it, and once it is gone the same command completes the copy.
test('a disk that fills up, and a name that appears', async () => {
  await using bed = await startHosts({ count: 2 });
  const b = bed.host('b');
  await using disk = await smallFileSystem(b, b.join('disk'), { sizeBytes: 256 * mib });
  const content = bed.host('a').join('content');
  makeLargeFiles(content, { files: 4, bytesEach: 5 * mib, compressible: 0.5 });
  const archive = bed.host('a').join('archive.tar');
  await mustRun(['tar', '-C', bed.host('a').join('.'), '--format=posix', '-cf', archive, 'content']);
  const start = async (
    name: string,
    mischief: () => Promise<void> | void,
  ): Promise<{ target: string; error: string }> => {
    const target = `b:${b.join('disk', name)}`;
    mkdirSync(b.join('disk', name));
    const slowly = ['--bwlimit', '8MB', '--compress', 'none'];
    await using run = startCopy(bed, ['--type', 'decompress', ...slowly, `a:${archive}`, target]);
    await run.untilProgress(0.2);
    await mischief();
    const result = await run.finished;
    assertExit(result, 40);
    const { error } = resultOf(summaryOf(result), target);
    return { target, error: `${error?.code} ${error?.message}` };
  };
  const full = await start('full', () => disk.fill(22 * mib));
  assert.match(full.error, /^NO_SPACE .*(left|free)/);
  assert.deepEqual(namesBut(b.join('disk', 'full')), []);
  disk.empty();
  const taken = await start('taken', () => writeFileSync(b.join('disk', 'taken', 'appeared'), 'of somebody'));
  assert.match(taken.error, /^EXISTS .*taken is not empty: it has appeared/);
  assert.deepEqual(namesBut(b.join('disk', 'taken')), ['appeared']);
  await mustRun(['rm', b.join('disk', 'taken', 'appeared')]);
  const targets = [full.target, taken.target];
  for (const target of targets)
    assertAllDone(await runCopy(bed, ['--type', 'decompress', `a:${archive}`, target]), [target]);
  for (const name of ['full', 'taken']) {
    const differences = await compareTrees(content, b.join('disk', name));
    assert.deepEqual(
      differences.filter((line) => !line.startsWith('.:')),
      [],
    );
  }
});
