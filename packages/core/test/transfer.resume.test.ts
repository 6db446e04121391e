import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatonError, type ErrorCode } from '../src/errors.ts';
import { close } from '../src/files/libc.ts';
import { openDirectory } from '../src/files/open.ts';
import type { Entry } from '../src/protocol/entry.ts';
import { type Manifest, ManifestBuilder } from '../src/protocol/manifest.ts';
import { matchEntries } from '../src/transfer/resume.ts';
import { describeStaging, peekStaging, removeStaging } from '../src/transfer/staging.ts';
import { isStagingName, stagingName } from '../src/transfer/staging-names.ts';
import { runs } from './property.ts';
import { assertSameTrees, feed, makeBase, openSource, openTarget, type SourceHost } from './transfer.hosts.ts';

const patience = { timeout: 120_000 };
const job = { source: 'here', name: Buffer.from('source') };

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BatonError && error.code === code;
}

/** A tree as a plain thing: names to files (their identity) or to trees. */
type Tree = { readonly [name: string]: Tree | number };

const trees: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.dictionary(
    fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    fc.oneof({ depthSize: 'small', withCrossShrink: true }, fc.integer({ min: 1, max: 4 }), tie('tree')),
    { maxKeys: 4, noNullPrototype: true },
  ),
})).tree;

/** The manifest of a tree, siblings in an order of its own, and the path of every entry. */
function manifestOf(tree: Tree, reversed: boolean): { manifest: Manifest; paths: Map<number, string> } {
  const builder = new ManifestBuilder();
  const paths = new Map<number, string>();
  const base = { mode: 0o700, uid: 0, gid: 0, modifyTimeNs: 0n, accessTimeNs: 0n, xattrs: [] };
  const add = (entry: Entry, path: string): number => {
    const index = builder.add(entry);
    paths.set(index, path);
    return index;
  };
  const walk = (children: Tree, parent: number, path: string): void => {
    const names = Object.keys(children).sort();
    for (const key of reversed ? names.reverse() : names) {
      const child = children[key] ?? 0;
      const name = Buffer.from(key);
      if (typeof child !== 'number') {
        walk(child, add({ kind: 'directory', parent, name, ...base }, `${path}/${key}`), `${path}/${key}`);
        continue;
      }
      const identity = { device: 1n, inode: BigInt(child), changeTimeNs: 5n };
      add({ kind: 'file', parent, name, ...base, sizeBytes: child, identity, extents: undefined }, `${path}/${key}`);
    }
  };
  const name = Buffer.from(reversed ? 'now' : 'before');
  walk(tree, add({ kind: 'directory', parent: -1, name, ...base }, ''), '');
  return { manifest: builder.finish(), paths };
}

// Proves (T4): whatever was edited, an entry is matched exactly with the one that had its path before, if that was the same
// directory or the very same file; everything else that was staged is to be removed.
test('entries are matched by path and identity', () => {
  fc.assert(
    fc.property(trees, trees, fc.boolean(), (before, now, isSame) => {
      const old = manifestOf(before, false);
      const { manifest, paths } = manifestOf(isSame ? before : now, true);
      const { oldOf, unmatched } = matchEntries(old.manifest, manifest);
      const wanted = new Map<number, number>();
      for (const [index, path] of paths) {
        const [candidate] = [...old.paths].find(([, oldPath]) => oldPath === path) ?? [];
        if (candidate === undefined) continue;
        const [entry, oldEntry] = [manifest.entry(index), old.manifest.entry(candidate)];
        const areFiles = entry.kind === 'file' && oldEntry.kind === 'file';
        const same = areFiles ? entry.identity.inode === oldEntry.identity.inode : entry.kind === oldEntry.kind;
        if (same) wanted.set(index, candidate);
      }
      assert.deepEqual([...oldOf].sort(byNumber), [...wanted].sort(byNumber));
      const rest = [...old.paths.keys()].filter((index) => ![...wanted.values()].includes(index));
      assert.deepEqual(unmatched, rest);
      if (isSame) assert.deepEqual(unmatched, []);
    }),
    runs(300),
  );
});

function byNumber([left]: [number, number], [right]: [number, number]): number {
  return left - right;
}

/** Feeds a target until so many bytes went, and leaves it as a killed process would. */
async function feedPart(source: SourceHost, directory: string, bytes: number): Promise<void> {
  await using target = await openTarget(directory, source);
  await assert.rejects(feed(source.supply, target, { streams: 1, faults: () => ({ cutAfterBytes: bytes }) }));
  const { have } = await target.receiver.tree;
  // What is in the workers' hands would be interrupted by the end of them.
  for (let turns = 0; have.count < bytes / 1_200_000 - 2 && turns < 500; turns++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function fill(directory: string): void {
  mkdirSync(join(directory, 'kept/sub'), { recursive: true });
  mkdirSync(join(directory, 'gone'));
  for (let index = 0; index < 12; index++) {
    const content = Buffer.alloc(1_300_000, index + 1);
    for (let at = 0; at < content.length; at += 1000) content.writeUInt32LE(at * (index + 1), at);
    writeFileSync(join(directory, index % 3 === 0 ? 'gone' : 'kept', `file-${index}`), content);
  }
  for (let index = 0; index < 50; index++) writeFileSync(join(directory, 'kept/sub', `s${index}`), `small ${index}`);
}

// Proves (T4): a source that was edited between two runs in every way is copied as it is now; what is the same is kept.
test('an edited source is copied as it is now', patience, async () => {
  using base = makeBase();
  fill(base.source);
  const directory = join(base.path, 'target');
  {
    await using source = await openSource(base.source);
    await feedPart(source, directory, 12_000_000);
  }
  const kept = join(base.source, 'kept');
  // The same size and modify time to the nanosecond, other content: the change time tells.
  const touched = join(base.source, 'gone/file-0');
  assert.ok(existsSync(join(directory, stagingName(job).toString(), 'tree/gone/file-0')), 'it was received');
  execFileSync('touch', ['-r', touched, join(base.path, 'reference')]);
  writeFileSync(touched, Buffer.alloc(1_300_000, 0x99));
  execFileSync('touch', ['-r', join(base.path, 'reference'), touched]);
  appendFileSync(join(kept, 'file-2'), 'longer');
  rmSync(join(kept, 'file-4'));
  renameSync(join(kept, 'file-5'), join(kept, 'renamed'));
  for (const name of ['file-3', 'file-6', 'file-9']) rmSync(join(base.source, 'gone', name));
  symlinkSync('kept', join(base.source, 'gone/file-3'));
  rmSync(join(kept, 'sub/s7'));
  mkdirSync(join(kept, 'sub/s7'));
  writeFileSync(join(kept, 'sub/s7/new'), 'a directory where a file was');
  await using source = await openSource(base.source);
  await using target = await openTarget(directory, source);
  await Promise.all([feed(source.supply, target), target.finish()]);
  const { report } = target.prepared;
  assert.ok(report !== undefined && report.discardedFiles >= 8, `${report?.discardedFiles} files were discarded`);
  assert.deepEqual(target.damaged, []);
  assertSameTrees(base.source, join(directory, 'source'));
  assert.deepEqual(source.changes, []);
});

// Proves (T1, T4): another manifest with the same files keeps all that was received of them.
test('a change of metadata costs nothing', patience, async () => {
  using base = makeBase();
  fill(base.source);
  const directory = join(base.path, 'target');
  {
    await using source = await openSource(base.source);
    await feedPart(source, directory, 12_000_000);
  }
  chmodSync(join(base.source, 'kept'), 0o750);
  await using source = await openSource(base.source);
  await using target = await openTarget(directory, source);
  await Promise.all([feed(source.supply, target), target.finish()]);
  const { report } = target.prepared;
  assert.ok(report !== undefined && report.discardedFiles === 0 && report.keptUnits >= 7, `${report?.keptUnits} kept`);
  assert.equal(statSync(join(directory, 'source/kept')).mode & 0o777, 0o750);
  assertSameTrees(base.source, join(directory, 'source'));
});

// Proves (T2): what the disk does not hold as the journal says is found, named and fetched again.
test('damage to what was staged is found', patience, async () => {
  using base = makeBase();
  fill(base.source);
  const directory = join(base.path, 'target');
  await using source = await openSource(base.source);
  await feedPart(source, directory, 12_000_000);
  const staged = join(directory, stagingName(job).toString(), 'tree');
  const victims = ['gone/file-0', 'gone/file-3', 'kept/file-1'].filter((name) => existsSync(join(staged, name)));
  assert.ok(victims.length >= 2);
  for (const [index, name] of victims.entries()) {
    if (index === 0) rmSync(join(staged, name));
    else {
      const content = readFileSync(join(staged, name));
      content[700_000] = (content[700_000] ?? 0) ^ 1;
      writeFileSync(join(staged, name), content);
    }
  }
  await using target = await openTarget(directory, source);
  await Promise.all([feed(source.supply, target), target.finish()]);
  assert.ok(target.damaged.length >= victims.length, `${target.damaged.length} damaged units were found`);
  assertSameTrees(base.source, join(directory, 'source'));
});

// Proves (T9): whatever becomes of the journal, the next run ends with the copy and nothing else.
test('a damaged journal costs no more than what it told', patience, async () => {
  using base = makeBase();
  fill(base.source);
  await using source = await openSource(base.source);
  let round = 0;
  const damages: ((journal: Buffer) => Buffer)[] = [
    () => Buffer.alloc(0),
    (journal) => journal.subarray(0, 3),
    (journal) => journal.subarray(0, 600),
    (journal) => journal.subarray(0, journal.length - 20),
    (journal) => Buffer.concat([journal, Buffer.alloc(5000)]),
    (journal) => Buffer.from(journal).fill(0xff, 7, 90),
    (journal) => Buffer.from(journal).fill('garbage'),
  ];
  for (const damage of damages) {
    const directory = join(base.path, `target-${round++}`);
    await feedPart(source, directory, 4_000_000);
    const staging = join(directory, stagingName(job).toString());
    writeFileSync(join(staging, 'journal'), damage(readFileSync(join(staging, 'journal'))));
    // What nobody knows of must not end up in the copy.
    writeFileSync(join(staging, 'tree/kept/stranger'), 'from another time');
    await using target = await openTarget(directory, source);
    await Promise.all([feed(source.supply, target), target.finish()]);
    assert.deepEqual(target.failures, []);
    if (target.prepared.report?.keptUnits === 0) assertSameTrees(base.source, join(directory, 'source'));
    assert.deepEqual(readdirSync(directory), ['source']);
  }
});

// Proves (T9): what a newer release left is neither used nor taken apart.
test('the journal of a newer release is refused', patience, async () => {
  using base = makeBase();
  fill(base.source);
  await using source = await openSource(base.source);
  const directory = join(base.path, 'target');
  await feedPart(source, directory, 3_000_000);
  const path = join(directory, stagingName(job).toString(), 'journal');
  const journal = readFileSync(path);
  journal[6] = 2;
  writeFileSync(path, journal);
  await assert.rejects(openTarget(directory, source), hasCode('VERSION_MISMATCH'));
  assert.equal(Buffer.compare(readFileSync(path), journal), 0);
});

// Proves (T8): two copies never work in one staging directory, and a trap set by somebody else is not stepped into.
test('a staging directory is held by one copy', patience, async () => {
  using base = makeBase();
  fill(base.source);
  await using source = await openSource(base.source);
  const directory = join(base.path, 'target');
  {
    await using first = await openTarget(directory, source);
    await assert.rejects(openTarget(directory, source), hasCode('BUSY'));
    await using other = await openTarget(directory, { manifest: source.manifest, name: 'other' });
    const descriptor = openDirectory(Buffer.from(directory));
    const peek = await peekStaging(descriptor, job, other.pool);
    assert.ok(hasCode('BUSY')(peek.error));
    await assert.rejects(removeStaging(descriptor, stagingName(job), first.pool), hasCode('BUSY'));
    close(descriptor);
  }
  const trap = join(base.path, 'trap');
  mkdirSync(join(trap, stagingName(job).toString()), { recursive: true, mode: 0o777 });
  await assert.rejects(openTarget(trap, source), (error) => {
    return (
      error instanceof BatonError && error.code === 'NO_PERMISSION' && /mode 755|mode 777|mode 775/.test(error.message)
    );
  });
});

// Proves (T6): a name that appeared meanwhile is never overwritten, and the staged copy stays for another try.
test('publishing never overwrites', patience, async () => {
  using base = makeBase();
  fill(base.source);
  await using source = await openSource(base.source);
  const directory = join(base.path, 'target');
  {
    await using target = await openTarget(directory, source);
    writeFileSync(join(directory, 'source'), 'mine');
    const published = assert.rejects(target.finish(), hasCode('EXISTS'));
    await Promise.all([feed(source.supply, target), published]);
    assert.equal(readFileSync(join(directory, 'source'), 'utf8'), 'mine');
  }
  rmSync(join(directory, 'source'));
  await using target = await openTarget(directory, source);
  await Promise.all([feed(source.supply, target), target.finish()]);
  assert.equal(target.prepared.report?.keptUnits, source.layout.unitCount);
  assertSameTrees(base.source, join(directory, 'source'));
});

// Proves (T6): a run that was stopped between the final name and the end of its cleaning up is recognised by what lies there.
test('a copy that was published is recognised', patience, async () => {
  using base = makeBase();
  fill(base.source);
  await using source = await openSource(base.source);
  const directory = join(base.path, 'target');
  const digest = Buffer.alloc(32, 9);
  {
    await using target = await openTarget(directory, source);
    await feed(source.supply, target);
    await target.staging.publish(digest, target.pool);
  }
  {
    await using target = await openTarget(directory, source);
    assert.equal(Buffer.compare(target.staging.publishedEarlier()?.treeDigest ?? Buffer.of(), digest), 0);
    await using other = await openTarget(directory, { manifest: source.manifest, name: 'other' });
    assert.equal(other.staging.publishedEarlier(), undefined);
  }
  const descriptor = openDirectory(Buffer.from(directory));
  await using host = await openTarget(join(base.path, 'elsewhere'), source);
  assert.deepEqual(await peekStaging(descriptor, job, host.pool), {
    claimedBytes: source.layout.contentBytes,
    isPublished: true,
    error: undefined,
  });
  renameSync(join(directory, 'source'), join(directory, 'taken away'));
  mkdirSync(join(directory, 'source'));
  assert.equal(
    (await peekStaging(descriptor, job, host.pool)).isPublished,
    false,
    'another directory of that name is not it',
  );
  const name = readdirSync(directory).find(
    (entry) => isStagingName(Buffer.from(entry)) && entry === stagingName(job).toString(),
  );
  assert.ok(name !== undefined);
  const described = await describeStaging(descriptor, Buffer.from(name), host.pool);
  assert.equal(described.source, 'here');
  assert.equal(described.bytes, source.layout.contentBytes);
  await removeStaging(descriptor, Buffer.from(name), host.pool);
  assert.equal(existsSync(join(directory, name)), false);
  close(descriptor);
});
