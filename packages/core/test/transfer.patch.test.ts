import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BatonError } from '../src/errors.ts';
import { claimBlockBytes } from '../src/protocol/claim.ts';
import { applyPatch, claimOf, makePatch, patchBytesMax } from '../src/transfer/patch.ts';
import { encodeUnit, openUnit } from '../src/transfer/unit-codec.ts';
import { runs } from './property.ts';

const unitBytes = fc.oneof(fc.integer({ min: 1, max: 4 * claimBlockBytes + 5 }), fc.constant(64 * claimBlockBytes));

/** Two contents of one length that differ in some blocks. */
const pairs = fc
  .tuple(unitBytes, fc.array(fc.nat(), { maxLength: 8 }), fc.nat())
  .map(([bytes, places, seed]): [Uint8Array, Uint8Array, number] => {
    const older = new Uint8Array(bytes).map((_, index) => (index * 31 + seed) % 251);
    const newer = new Uint8Array(older);
    for (const place of places) newer[place % bytes]! ^= 0xff;
    const changed = new Set(places.map((place) => Math.floor((place % bytes) / claimBlockBytes)));
    // The same place twice is no change.
    for (const block of changed) {
      const at = block * claimBlockBytes;
      const same = Buffer.compare(older.subarray(at, at + claimBlockBytes), newer.subarray(at, at + claimBlockBytes));
      if (same === 0) changed.delete(block);
    }
    return [older, newer, changed.size];
  });

// Proves: a patch makes the new content of what was claimed, and holds the blocks that differ and nothing else.
test('a patch of what differs', () => {
  fc.assert(
    fc.property(pairs, ([older, newer, changed]) => {
      const patch = makePatch(newer, claimOf(older));
      const blocks = Math.ceil(newer.byteLength / claimBlockBytes);
      if (patch === undefined) {
        assert.equal(changed, blocks, 'what differs everywhere is no patch');
        return;
      }
      assert.ok(patch.byteLength <= changed * claimBlockBytes + 8);
      assert.ok(patch.byteLength <= patchBytesMax(newer.byteLength));
      const content = new Uint8Array(older);
      applyPatch(0, patch, content);
      assert.equal(Buffer.compare(content, newer), 0);
    }),
    runs(100),
  );
});

// Proves (P8): as a message, compressed or not, a patch gives the unit or is refused: on other content than was claimed, where nothing was
// claimed, and where a claim speaks of another length.
test('a patch as a unit', () => {
  fc.assert(
    fc.property(pairs, fc.constantFrom('none', 'auto'), ([older, newer, changed], mode) => {
      const unit = { unit: 3, content: newer, changes: [], claim: claimOf(older) };
      const { payload } = encodeUnit(unit, { mode }, new Uint8Array(0));
      const opened = openUnit(payload, () => new Uint8Array(older));
      assert.equal(Buffer.compare(opened.content, newer), 0);
      if (changed === Math.ceil(newer.byteLength / claimBlockBytes)) return;
      assert.throws(() => openUnit(payload), isError('PROTOCOL'));
      const other = new Uint8Array(older).map((byte) => byte ^ 1);
      assert.throws(() => openUnit(payload, () => other), isError('DIGEST_MISMATCH'));
      const longer = new Uint8Array(older.byteLength + claimBlockBytes);
      assert.throws(() => openUnit(payload, () => longer), isError('PROTOCOL'));
      const whole = encodeUnit({ ...unit, claim: claimOf(longer) }, { mode }, new Uint8Array(0));
      assert.equal(Buffer.compare(openUnit(whole.payload).content, newer), 0);
    }),
    runs(60),
  );
});

// Proves (P5): whatever a patch says, it is applied or refused, and writes nothing beyond the content.
test('any bytes as a patch', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40_000 }), unitBytes, (patch, bytes) => {
      const content = new Uint8Array(bytes);
      try {
        applyPatch(0, patch, content);
      } catch (error) {
        assert.ok(isError('PROTOCOL')(error));
      }
    }),
    runs(200),
  );
});

function isError(code: string): (error: unknown) => boolean {
  return (error) => error instanceof BatonError && error.code === code;
}
