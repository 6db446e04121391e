// Proves: every name survives the way from bytes to text and back, also where it is no UTF-8.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesToText, textToBytes } from '../src/text/bytes.ts';

const seed = Number(process.env['BATON_SEED'] ?? 1);

test('any bytes become text and the same bytes again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      assert.deepEqual(Uint8Array.from(textToBytes(bytesToText(bytes))), bytes);
    }),
    { seed, numRuns: 2_000 },
  );
});

test('any well-formed text stays what it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(bytesToText(textToBytes(text)), text);
    }),
    { seed, numRuns: 1_000 },
  );
});

test('bytes that are no UTF-8 stand between characters that are', () => {
  assert.equal(bytesToText(Buffer.from('61e9c3a962ff', 'hex')), 'a\udce9éb\udcff');
  // A byte order mark is part of a name; an encoded surrogate is no UTF-8.
  assert.equal(bytesToText(Buffer.from('efbbbf78', 'hex')), '\ufeffx');
  assert.deepEqual(
    Uint8Array.from(textToBytes(bytesToText(Buffer.from('eda080', 'hex')))),
    Uint8Array.of(0xed, 0xa0, 0x80),
  );
});
