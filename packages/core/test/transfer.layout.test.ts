import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import { BatonError } from '../src/errors.ts';
import { limits } from '../src/limits.ts';
import type { Entry, Extent, FileEntry } from '../src/protocol/entry.ts';
import { Layout, type Piece } from '../src/transfer/layout.ts';
import { tableOf } from './files.copy-tree.ts';
import { runs } from './property.ts';

const base = { parent: 0, mode: 0o644, uid: 0, gid: 0, modifyTimeNs: 0n, accessTimeNs: 0n, xattrs: [] };
const identity = { device: 1n, inode: 1n, changeTimeNs: 0n };
const root: Entry = { kind: 'directory', ...base, parent: -1, name: Buffer.from('root') };

function file(name: string, sizeBytes: number, extents?: readonly Extent[]): FileEntry {
  return { kind: 'file', ...base, name: Buffer.from(name), sizeBytes, identity, extents };
}

function layoutOf(files: readonly Entry[]): Layout {
  return Layout.of(tableOf([root, ...files]));
}

function allPieces(layout: Layout): { unit: number; piece: Piece }[] {
  return Array.from({ length: layout.unitCount }, (_, unit) =>
    layout.pieces(unit).map((piece) => ({ unit, piece })),
  ).flat();
}

const sizes = fc.oneof(
  fc.constantFrom(0, 1, limits.unitBytes - 1, limits.unitBytes, limits.unitBytes + 1, 5 * limits.unitBytes),
  fc.integer({ min: 0, max: 20_000 }),
  fc.integer({ min: 0, max: 12 * limits.unitBytes }),
);
const sparse: Arbitrary<{ size: number; extents: Extent[] | undefined }> = fc
  .array(
    fc.tuple(fc.integer({ min: 1, max: 3 * limits.unitBytes }), fc.integer({ min: 1, max: 3 * limits.unitBytes })),
    {
      maxLength: 6,
    },
  )
  .map((steps) => {
    let end = -1;
    const extents = steps.map(([gap, length]) => {
      const offset = end + gap;
      end = offset + length;
      return { offset, length };
    });
    return { size: Math.max(end, 0) + 10, extents };
  });
const files: Arbitrary<FileEntry[]> = fc
  .array(
    fc.oneof(
      sizes.map((size) => ({ size, extents: undefined })),
      sparse,
    ),
    { maxLength: 40 },
  )
  .map((list) => list.map(({ size, extents }, index) => file(`f${index}`, size, extents)));

// Proves: the units hold every byte of every file once, in order, within the limits, and every file begins somewhere.
test('a layout is a cut of the whole tree', () => {
  fc.assert(
    fc.property(files, (entries) => {
      const layout = layoutOf(entries);
      const pieces = allPieces(layout);
      let content = 0;
      for (let unit = 0; unit < layout.unitCount; unit++) {
        const own = layout.pieces(unit);
        assert.ok(own.length >= 1 && own.length <= limits.unitPiecesMax);
        const bytes = own.reduce((sum, { length }) => sum + length, 0);
        assert.equal(layout.unitBytes(unit), bytes);
        assert.ok(bytes <= limits.unitBytes);
        content += bytes;
      }
      assert.equal(layout.contentBytes, content);
      assert.equal(layout.fileCount, entries.length);
      const begun = Array.from({ length: layout.unitCount }, (_, unit) => layout.filesBegun(unit));
      assert.equal(
        begun.reduce((sum, count) => sum + count, 0),
        entries.length,
      );
      for (const [index, entry] of entries.entries()) {
        const own = pieces.filter(({ piece }) => piece.entry === index + 1).map(({ piece }) => piece);
        const extents = entry.extents ?? [{ offset: 0, length: entry.sizeBytes }];
        assert.ok(own.length > 0, 'also an empty file has a piece that makes it');
        assert.deepEqual(
          joined(own),
          extents.filter(({ length }) => length > 0),
        );
      }
    }),
    runs(60),
  );
});

// Proves (T1): where a file is cut follows from the file alone, whatever lies before and after it.
test('a file is cut the same in every tree', () => {
  fc.assert(
    fc.property(
      files,
      files,
      fc.oneof(
        sparse,
        sizes.map((size) => ({ size, extents: undefined })),
      ),
      (before, after, one) => {
        const entry = file('the one', one.size, one.extents);
        const cuts = (tree: readonly Entry[]) => {
          const at = tree.indexOf(entry) + 1;
          return allPieces(layoutOf(tree))
            .filter(({ piece }) => piece.entry === at)
            .map(({ piece: { offset, length } }) => ({ offset, length }));
        };
        assert.deepEqual(cuts([...before, entry, ...after]), cuts([entry]));
      },
    ),
    runs(60),
  );
});

// Proves: another thread sees the same layout, without cutting again.
test('a layout can be shared', () => {
  fc.assert(
    fc.property(files, (entries) => {
      const layout = layoutOf(entries);
      const shared = Layout.fromShare(structuredClone(layout.share()));
      assert.deepEqual(allPieces(shared), allPieces(layout));
      assert.equal(shared.contentBytes, layout.contentBytes);
      assert.equal(shared.fileCount, layout.fileCount);
    }),
    runs(20),
  );
});

// Proves: many tiny files close a unit before they make it slow.
test('a unit has a bounded number of pieces', () => {
  const layout = layoutOf(Array.from({ length: 2500 }, (_, index) => file(`f${index}`, index % 3)));
  assert.deepEqual(
    Array.from({ length: layout.unitCount }, (_, unit) => layout.pieces(unit).length),
    [1024, 1024, 452],
  );
});

test('a tree without files has no units', () => {
  const layout = layoutOf([]);
  assert.equal(layout.unitCount, 0);
  assert.equal(layout.contentBytes, 0);
});

// Proves: a peer's unit that is not ours, or not of our size, is refused by name.
test('units are checked against the layout', () => {
  const layout = layoutOf([file('a', 10)]);
  layout.checkUnit(0, 10);
  for (const [unit, bytes, message] of [
    [1, 10, /unit 1 does not exist; the manifest has 1/],
    [0, 9, /unit 0 has 9 bytes where the manifest says 10/],
  ] as const) {
    assert.throws(
      () => layout.checkUnit(unit, bytes),
      (error) => {
        return error instanceof BatonError && error.code === 'PROTOCOL' && message.test(error.message);
      },
    );
  }
});

/** Pieces that follow each other, as one. */
function joined(pieces: readonly Piece[]): Extent[] {
  const extents: { offset: number; length: number }[] = [];
  for (const { offset, length } of pieces) {
    const last = extents.at(-1);
    if (last !== undefined && last.offset + last.length === offset) last.length += length;
    else if (length > 0) extents.push({ offset, length });
  }
  return extents;
}
