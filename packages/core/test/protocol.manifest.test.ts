import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { BatonError } from '../src/errors.ts';
import { limits } from '../src/limits.ts';
import { ByteWriter } from '../src/protocol/bytes.ts';
import type { DirectoryEntry, Entry, FileEntry, SymlinkEntry } from '../src/protocol/entry.ts';
import { writeEntry } from '../src/protocol/entry-codec.ts';
import { Manifest, ManifestBuilder } from '../src/protocol/manifest.ts';
import { treeDigest } from '../src/protocol/tree-digest.ts';
import { entryLists } from './protocol.arbitraries.ts';

const base = { name: Buffer.from('a'), mode: 0o644, uid: 0, gid: 0, modifyTimeNs: 1n, accessTimeNs: -1n, xattrs: [] };
const root: DirectoryEntry = { kind: 'directory', parent: -1, ...base };
const identity = { device: 1n, inode: 2n, changeTimeNs: 3n };
const file: FileEntry = { kind: 'file', parent: 0, ...base, sizeBytes: 100, identity, extents: undefined };
const symlink: SymlinkEntry = { kind: 'symlink', parent: 0, ...base, target: Buffer.from('x') };

function build(entries: readonly Entry[]): Manifest {
  const builder = new ManifestBuilder();
  for (const entry of entries) builder.add(entry);
  return builder.finish();
}

/** A section as a peer could send it, checked by nothing. */
function rawSection(
  entries: readonly Entry[],
  header: { version?: number; first?: number; count?: number } = {},
): Uint8Array {
  const writer = new ByteWriter()
    .u8(header.version ?? 1)
    .u32(header.first ?? 0)
    .u32(header.count ?? entries.length);
  for (const entry of entries) writeEntry(writer, entry);
  for (const entry of entries) writer.i64(entry.kind === 'hardlink' ? 0n : entry.accessTimeNs);
  return writer.toBytes();
}

// Proves: every tree comes back entry by entry, in any order of asking, also from what travelled.
test('round trip', () => {
  fc.assert(
    fc.property(entryLists, (entries) => {
      const built = build(entries);
      const received = Manifest.fromSections(
        built.sections.map((section) => section.slice()),
        built.digest,
      );
      assert.equal(received.count, entries.length);
      for (const manifest of [built, received, Manifest.fromShare(received.share())]) {
        for (const index of entries.keys()) {
          const reversed = entries.length - 1 - index;
          assert.deepEqual(manifest.entry(reversed), entries[reversed]);
          assert.equal(manifest.kindOf(index), entries[index]?.kind);
        }
      }
      assert.ok(received.sections.every((section) => section.buffer instanceof SharedArrayBuffer));
    }),
  );
});

// Proves: a tree that was read since has other access times, and is the same by its digest; anything else is not.
test('access times are not in the digest', () => {
  const digestOf = (more: Partial<typeof base>): string =>
    Buffer.from(build([{ ...root, ...more }]).digest).toString('hex');
  assert.equal(digestOf({ accessTimeNs: 7n }), digestOf({}));
  assert.notEqual(digestOf({ modifyTimeNs: 7n }), digestOf({}));
});

// Proves: sections close at their limit, and entries are found across them.
test('many sections', () => {
  const value = new Uint8Array(60_000);
  const builder = new ManifestBuilder();
  builder.add(root);
  for (let index = 1; index < 100; index++) {
    builder.add({
      kind: 'fifo',
      parent: 0,
      ...base,
      name: Buffer.from(`f${index}`),
      xattrs: [{ name: Buffer.from('user.x'), value }],
    });
  }
  const manifest = builder.finish();
  assert.ok(manifest.sections.length >= 5);
  for (const section of manifest.sections) assert.ok(section.length < limits.frameBytesMax);
  const received = Manifest.fromSections(manifest.sections, manifest.digest);
  for (const index of [99, 0, 50, 51, 18, 17, 99]) {
    if (index > 0) assert.equal(Buffer.from(received.entry(index).name).toString(), `f${index}`);
  }
  assert.throws(() => received.entry(100), RangeError);
  assert.throws(() => received.kindOf(-1), RangeError);
});

test('paths', () => {
  const manifest = build([
    root,
    { ...root, parent: 0, name: Buffer.from('b') },
    { ...file, parent: 1, name: Buffer.from([0xff]) },
  ]);
  assert.deepEqual(
    manifest.pathOf(2).map((name) => [...name]),
    [[0x61], [0x62], [0xff]],
  );
});

// Proves (P6): nothing that could lead out of the staging directory, or that no tree can be, is taken from a peer.
test('what a manifest may not say', () => {
  const named = (name: string): Entry[] => [root, { ...file, name: Buffer.from(name, 'latin1') }];
  const sparse = (...pairs: [number, number][]): Entry[] => [
    root,
    { ...file, extents: pairs.map(([offset, length]) => ({ offset, length })) },
  ];
  const refused: [string, Entry[], RegExp][] = [
    ['two roots', [root, { ...file, parent: -1 }], /entry 1: parent is -1/],
    ['a root with a parent', [file], /entry 0: parent is 0/],
    ['a root that is a hardlink', [{ kind: 'hardlink', parent: -1, name: base.name, link: 0 }], /entry 0: link is 0/],
    ['a later parent', [root, { ...file, parent: 2 }, root], /entry 1: parent is 2/],
    ['itself as parent', [root, { ...file, parent: 1 }], /entry 1: parent is 1/],
    ['a file as parent', [root, file, { ...file, parent: 1 }], /entry 2: parent is 1, but entry 1 is a file/],
    ['a symlink as parent', [root, symlink, { ...file, parent: 1 }], /entry 2: parent is 1, but entry 1 is a symlink/],
    ['an empty name', named(''), /entry 1: name is empty/],
    ['a dot', named('.'), /entry 1: name is "\."/],
    ['two dots', named('..'), /entry 1: name is "\.\."/],
    ['a slash', named('a/b'), /entry 1: name is "a\/b"/],
    ['a NUL', named('a\0b'), /entry 1: name is "a\\u0000b"/],
    ['a long name', named('a'.repeat(256)), /entry 1: name length is 256, but the limit is 255/],
    ['a link to a directory', [root, { kind: 'hardlink', parent: 0, name: base.name, link: 0 }], /entry 1: link is 0/],
    ['a link ahead', [root, { kind: 'hardlink', parent: 0, name: base.name, link: 2 }, file], /entry 1: link is 2/],
    [
      'a link to a link',
      [
        root,
        file,
        { kind: 'hardlink', parent: 0, name: base.name, link: 1 },
        { kind: 'hardlink', parent: 0, name: base.name, link: 2 },
      ],
      /entry 3: link is 2/,
    ],
    ['a mode of 17 bits', [{ ...root, mode: 0o10000 }], /entry 0: mode is 4096/],
    ['an empty symlink', [root, { ...symlink, target: new Uint8Array(0) }], /entry 1: target is ""/],
    [
      'a long symlink',
      [root, { ...symlink, target: new Uint8Array(4096).fill(1) }],
      /entry 1: target length is 4096, but the limit is 4095/,
    ],
    [
      'a large xattr',
      [{ ...root, xattrs: [{ name: base.name, value: new Uint8Array(65_537) }] }],
      /entry 0: xattr value length is 65537/,
    ],
    [
      'many xattrs',
      [{ ...root, xattrs: Array.from({ length: 17 }, () => ({ name: base.name, value: new Uint8Array(65_536) })) }],
      /entry 0: xattrs in sum is/,
    ],
    [
      'an xattr without a name',
      [{ ...root, xattrs: [{ name: new Uint8Array(0), value: base.name }] }],
      /entry 0: xattr name is ""/,
    ],
    ['extents that touch', sparse([0, 10], [10, 10]), /entry 1: extent offset is 10/],
    ['an empty extent', sparse([0, 0]), /entry 1: extent length is 0/],
    ['an extent behind the end', sparse([90, 11]), /entry 1: extent (length|end) is 1/],
  ];
  for (const [what, entries, message] of refused) {
    const expected = (error: unknown): boolean =>
      error instanceof BatonError && ['PROTOCOL', 'LIMIT'].includes(error.code) && message.test(error.message);
    assert.throws(() => Manifest.fromSections([rawSection(entries)]), expected, `${what}, received`);
    assert.throws(() => build(entries), expected, `${what}, built`);
  }
});

test('what a section may not say', () => {
  const refused: [Uint8Array[], RegExp][] = [
    [[], /manifest: count is 0/],
    [[new Uint8Array(0)], /section 0: format version is 1 bytes long/],
    [[rawSection([root], { version: 2 })], /section 0: format version is 2/],
    [[rawSection([root], { first: 1 })], /section 0: first entry is 1/],
    [[rawSection([])], /section 0: count is 0/],
    [[rawSection([root], { count: 0xffff_ffff })], /section 0: count is 4294967295/],
    [[rawSection([root, file], { count: 1 })], /section 0: end is \d+ bytes early/],
    [[rawSection([root]), rawSection([file])], /section 1: first entry is 0/],
  ];
  for (const [sections, message] of refused) assert.throws(() => Manifest.fromSections(sections), message);
});

test('a digest that does not fit', () => {
  const { sections, digest } = build([root, file]);
  const other = digest.map((byte) => byte ^ 1);
  assert.throws(
    () => Manifest.fromSections(sections, other),
    (error) => error instanceof BatonError && error.code === 'DIGEST_MISMATCH',
  );
});

// Proves: an entry that is refused leaves no trace.
test('a refused entry is not in the manifest', () => {
  const builder = new ManifestBuilder();
  builder.add(root);
  assert.throws(() => builder.add({ ...file, name: Buffer.from('..') }));
  assert.equal(builder.add(file), 1);
  assert.deepEqual(builder.finish().digest, build([root, file]).digest);
});

// Proves: a worker uses the same memory.
test('a manifest is shared with a worker', { timeout: 10_000 }, async () => {
  const { sections, digest, index } = build([root, file]).share();
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
    parentPort.postMessage(workerData.sections[0].buffer instanceof SharedArrayBuffer && workerData.index.offsets.length === 2);`,
    {
      eval: true,
      workerData: { sections, digest, index },
    },
  );
  try {
    assert.equal(await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)), true);
  } finally {
    await worker.terminate();
  }
});

// Proves: the tree digest depends on each thing it is over, and not on the order in which changes were noticed.
test('tree digest', () => {
  const manifest = new Uint8Array(32).fill(1);
  const units = new Uint8Array(64).fill(2);
  const changes = [
    { unit: 1, changes: [{ piece: 0, change: 'grew' as const }] },
    { unit: 0, changes: [{ piece: 3, change: 'vanished' as const }] },
  ];
  const all = [
    treeDigest(manifest, units, []),
    treeDigest(manifest.with(0, 0), units, []),
    treeDigest(manifest, units.with(63, 0), []),
    treeDigest(manifest, units.subarray(32), []),
    treeDigest(manifest, units, changes),
  ].map((digest) => Buffer.from(digest).toString('hex'));
  assert.equal(new Set(all).size, all.length);
  assert.deepEqual(treeDigest(manifest, units, changes.toReversed()), treeDigest(manifest, units, changes));
  assert.deepEqual(treeDigest(manifest, units, [{ unit: 0, changes: [] }]), treeDigest(manifest, units, []));
});
