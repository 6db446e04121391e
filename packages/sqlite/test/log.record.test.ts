// The file log's records: what was written is read, and nothing else is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { blockBytes, decodeHeader, encodeRecord, isIntact, recordBytes } from '../src/log/record.ts';
import { type FoundRecord, judge } from '../src/log/scan.ts';
import { runs } from './property.ts';

const payloads = fc.uint8Array({ maxLength: 10_000 });
const numbers = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

// Proves: a record is read as it was written, in whole blocks.
test('a record comes back', () => {
  fc.assert(
    fc.property(payloads, numbers, numbers, numbers, (payload, index, epoch, generation) => {
      const into = Buffer.alloc(recordBytes(payload.length), 0xff);
      const record = encodeRecord({ index, epoch, payload }, { generation, syncedThrough: index - 1 }, into);
      assert.equal(record.length % blockBytes, 0);
      const header = decodeHeader(record, generation, record.length);
      assert.deepEqual(header, { generation, index, epoch, syncedThrough: index - 1, payloadBytes: payload.length });
      assert.ok(isIntact(record, payload.length));
      assert.equal(decodeHeader(record, generation + 1, record.length), undefined);
    }),
    runs(100),
  );
});

// Proves: no change of a record goes unnoticed (L2).
test('a changed record is not intact', () => {
  fc.assert(
    fc.property(payloads, fc.nat(), fc.integer({ min: 1, max: 255 }), (payload, position, change) => {
      const record = encodeRecord(
        { index: 7, epoch: 2, payload },
        { generation: 3, syncedThrough: 6 },
        Buffer.alloc(recordBytes(payload.length)),
      );
      const at = position % (64 + payload.length);
      record[at]! ^= change;
      const header = decodeHeader(record, 3, record.length);
      assert.ok(
        header === undefined ||
          recordBytes(header.payloadBytes) !== record.length ||
          !isIntact(record, header.payloadBytes),
      );
    }),
    runs(200),
  );
});

// Proves: bytes from anywhere are a record or are not, and never an exception.
test('any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeHeader(Buffer.from(bytes), 1, 1_000_000);
    }),
    runs(300),
  );
});

function found(index: number, syncedThrough = index - 1): FoundRecord {
  return { index, syncedThrough, generation: 1, epoch: 1, payloadBytes: 10, offset: index * blockBytes };
}

// Proves: what is missing at or below the highest syncedThrough is corruption, above it a torn tail whose rest is to be erased (L3).
test('torn tail or corrupt middle', () => {
  const cases: readonly [string, FoundRecord[], number, number[], number[], unknown][] = [
    ['nothing', [], 0, [], [], undefined],
    ['whole', [found(1), found(2), found(3)], 0, [1, 2, 3], [], undefined],
    ['torn: 3 is bad, 4 was written in the same breath', [found(1), found(2), found(4, 2)], 0, [1, 2], [4], undefined],
    [
      'corrupt: 2 is bad, and 4 knows that 3 was synced',
      [found(1), found(3), found(4)],
      0,
      [1],
      [3, 4],
      { from: 2, through: 3 },
    ],
    ['the first is gone', [found(2), found(3)], 0, [], [2, 3], { from: 1, through: 2 }],
    ['holes below the checkpoint do not matter', [found(3), found(7), found(8)], 7, [7, 8], [], undefined],
    ['all of it is below the checkpoint', [found(3), found(4)], 9, [3, 4], [], undefined],
    ['a hole that reaches over the checkpoint', [found(3), found(6, 2)], 4, [3], [6], undefined],
  ];
  for (const [name, records, checkpoint, kept, strays, lost] of cases) {
    const judgement = judge(records, checkpoint);
    assert.deepEqual(
      judgement.kept.map(({ index }) => index),
      kept,
      name,
    );
    assert.deepEqual(
      judgement.strays.map(({ index }) => index),
      strays,
      name,
    );
    assert.deepEqual(judgement.lost, lost, name);
  }
});
