// Proves: extents cover all data, stay in bounds, and a file with too many has its smallest holes filled.
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { mergeExtents, readExtents } from '../src/files/extents.ts';
import { writeSparse } from '../src/files/sparse-write.ts';

const seed = Number(process.env['BATON_SEED'] ?? 1);
const holesAndData = fc.array(
  fc.record({ hole: fc.integer({ min: 1, max: 50 }), length: fc.integer({ min: 1, max: 50 }) }),
  { minLength: 1, maxLength: 60 },
);

test('merging keeps all data and fills the least', () => {
  fc.assert(
    fc.property(holesAndData, fc.integer({ min: 1, max: 60 }), (parts, max) => {
      let at = 0;
      const extents = parts.map(({ hole, length }) => {
        const offset = at + hole;
        at = offset + length;
        return { offset, length };
      });
      const merged = mergeExtents(extents, max);
      assert.equal(merged.length, Math.min(max, extents.length));
      for (const { offset, length } of extents) {
        assert.ok(merged.some((extent) => extent.offset <= offset && offset + length <= extent.offset + extent.length));
      }
      for (const [index, { offset }] of merged.entries()) {
        const before = merged[index - 1];
        assert.ok(before === undefined || before.offset + before.length < offset, 'ascending and not touching');
      }
      const sum = (list: readonly { length: number }[]): number =>
        list.reduce((total, { length }) => total + length, 0);
      const holes = parts
        .slice(1)
        .map(({ hole }) => hole)
        .sort((a, b) => a - b);
      const least = holes.slice(0, extents.length - merged.length).reduce((total, hole) => total + hole, 0);
      assert.equal(sum(merged) - sum(extents), least);
    }),
    { seed, numRuns: 500 },
  );
});

test('what is written sparsely over older bytes reads back the same', () => {
  const directory = mkdtempSync(join(tmpdir(), 'baton-sparse-'));
  const path = join(directory, 'file');
  const block = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 9000 }));
  try {
    fc.assert(
      fc.property(
        fc.array(block, { minLength: 1, maxLength: 12 }),
        fc.nat(10_000),
        fc.boolean(),
        (blocks, offset, isOld) => {
          const content = Buffer.concat(blocks.map(([zero, length]) => Buffer.alloc(length, zero ? 0 : 7)));
          const fd = openSync(path, 'w');
          const size = offset + content.length;
          if (isOld) writeSync(fd, Buffer.alloc(size + 5000, 9));
          writeSparse(fd, offset, content, isOld ? size + 5000 : 0, () => path);
          ftruncateSync(fd, size);
          const extents = readExtents(fd, size, () => path) ?? [{ offset: 0, length: size }];
          closeSync(fd);
          const read = readFileSync(path);
          assert.ok(read.subarray(offset).equals(content));
          const fromExtents = Buffer.alloc(size);
          for (const extent of extents)
            read.copy(fromExtents, extent.offset, extent.offset, extent.offset + extent.length);
          assert.ok(fromExtents.equals(read), 'outside the extents there are only zeros');
        },
      ),
      { seed, numRuns: 150 },
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});
