// Proves: the time of a commit line is that of Date.toISOString, whatever the line before it had.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { commitLine } from '../src/ndjson/lines.ts';
import { runs } from './property.ts';

test('commit lines have the times of their commits', () => {
  const anyTime = fc.double({ min: -100_000_000_000_000, max: 300_000_000_000_000, noNaN: true });
  // Many share a second, as those of a busy source do.
  const near = fc.double({ min: 1_795_000_000_000, max: 1_795_000_003_000, noNaN: true });
  const property = fc.property(fc.array(fc.oneof(near, anyTime)), (times) => {
    for (const committedAtMs of times) {
      const line = JSON.parse(commitLine({ position: '1', committedAtMs, isOpen: false })) as { readonly time: string };
      assert.equal(line.time, new Date(committedAtMs).toISOString());
    }
  });
  fc.assert(property, runs(500));
});
