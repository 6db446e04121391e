// The codec of transactions that only write, beside the general one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Comparison } from '../src/messages.ts';
import { methodOf } from '../src/service.ts';
import { encodeTransaction } from '../src/wire.ts';
import { decodeWrite, encodeWrite, type Write, type WriteOperation } from '../src/write-codec.ts';

const seed = process.env['BATON_SEED'];
const runs = {
  numRuns: process.env['BATON_SOAK'] === '1' ? 5_000 : 500,
  ...(seed === undefined || seed === '' ? {} : { seed: Number(seed) | 0 }),
};
const general = methodOf('KV/Txn');

const bytes = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.uint8Array({ maxLength: 300 }),
  fc.string({ minLength: 120, maxLength: 300 }),
);
const number = fc.oneof(fc.nat(300), fc.maxSafeNat());
const is = fc.constantFrom('equal' as const, 'greater' as const, 'less' as const, 'different' as const);
const comparison: fc.Arbitrary<Comparison> = fc.oneof(
  fc.record({ key: bytes, version: number }),
  fc.record({ key: bytes, is, createRevision: number }),
  fc.record({ key: bytes, is, modRevision: number }),
  fc.record({ key: bytes, value: bytes }),
);
const operation: fc.Arbitrary<WriteOperation> = fc.oneof(
  fc.record({ put: bytes, value: bytes }),
  fc.record({ put: bytes, value: bytes, lease: number }),
  fc.record({ delete: bytes }),
  fc.record({ delete: bytes, end: bytes }),
);
const write: fc.Arbitrary<Write> = fc.record({ when: fc.array(comparison), do: fc.array(operation) });

// Proves: whatever is written, another codec reads the same of it as of what it encoded itself.
test('requests', () => {
  fc.assert(
    fc.property(write, (one) => {
      const encoded = general.requestSerialize(encodeTransaction(one));
      assert.deepEqual(general.requestDeserialize(encodeWrite(one)), general.requestDeserialize(encoded));
    }),
    runs,
  );
});

// Proves: of an answer the revision and the outcome are read, whatever else is in it; one that is cut off is an error and never an outcome.
test('answers', () => {
  const answer = fc.record({
    header: fc.record({ revision: fc.maxSafeNat() }),
    succeeded: fc.boolean(),
    responses: fc.array(fc.constantFrom({ response_put: {} }, { response_delete_range: { deleted: 7 } })),
  });
  fc.assert(
    fc.property(answer, (one) => {
      const { succeeded, header } = one;
      const encoded = general.responseSerialize(one);
      assert.deepEqual(decodeWrite(encoded), { succeeded, revision: header.revision });
    }),
    runs,
  );
  assert.throws(() => decodeWrite(Buffer.from([10, 5, 24, 0xff])), RangeError);
});
