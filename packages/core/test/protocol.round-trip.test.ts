import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader, ByteWriter } from '../src/protocol/bytes.ts';
import { decodeClaim, encodeClaim } from '../src/protocol/claim.ts';
import { decodeFrames, encodeFrame } from '../src/protocol/frame.ts';
import { FrameAssembler } from '../src/protocol/frame-assembler.ts';
import { decodeHello, decodeHelloAck, encodeHello, encodeHelloAck } from '../src/protocol/hello.ts';
import {
  decodeJournal,
  encodeJournalHeader,
  encodeJournalRecord,
  type JournalEnd,
  type JournalRecord,
} from '../src/protocol/journal.ts';
import * as messages from '../src/protocol/messages.ts';
import { decodeOffer, encodeOffer } from '../src/protocol/offer.ts';
import { decodeUnit, encodeUnitHeader } from '../src/protocol/unit.ts';
import {
  changeLists,
  claims as claimMessages,
  digests,
  frameTypeNumbers,
  haves,
  hellos,
  journalRecords,
  offers,
  record,
  units,
} from './protocol.arbitraries.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

// Proves: every integer comes back as it was written, in the shortest form.
test('integers', () => {
  const varints = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const bigints = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  fc.assert(
    fc.property(varints, bigints, u32, (varint, i64, number) => {
      const reader = new ByteReader(
        new ByteWriter(1).varint(varint).i64(i64).u32(number).u64(BigInt.asUintN(64, i64)).toBytes(),
        'test',
      );
      assert.equal(reader.varint('varint'), varint);
      assert.equal(reader.i64('i64'), i64);
      assert.equal(reader.u32('u32'), number);
      assert.equal(reader.u64('u64'), BigInt.asUintN(64, i64));
      reader.finish();
    }),
  );
});

// Proves: frames survive being cut anywhere, by the pure decoder and by the assembler alike.
test('frames cut at any byte', () => {
  const frames = fc.array(record({ type: frameTypeNumbers, payload: fc.uint8Array({ maxLength: 40 }) }), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(
      frames,
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      fc.uint8Array({ maxLength: 4 }),
      (list, cuts, tail) => {
        const bytes = Buffer.concat([...list.flatMap(({ type, payload }) => encodeFrame(type, payload)), tail]);
        const decoded = decodeFrames(bytes);
        assert.deepEqual(
          decoded.frames.map(({ type, payload }) => ({ type, payload: new Uint8Array(payload) })),
          list,
        );
        assert.deepEqual(new Uint8Array(decoded.rest), tail);
        const assembler = new FrameAssembler();
        const assembled = [];
        for (let offset = 0, turn = 0; offset < bytes.length; turn++) {
          const end = offset + (cuts[turn % cuts.length] ?? 1);
          assembler.feed(bytes.subarray(offset, end));
          for (let frame = assembler.next(); frame !== undefined; frame = assembler.next()) assembled.push(frame);
          offset = end;
        }
        assert.deepEqual(
          assembled.map(({ type, payload }) => ({ type, payload: new Uint8Array(payload) })),
          list,
        );
        assert.equal(assembler.midFrame, tail.length > 0);
        for (const { payload } of assembled) assert.equal(payload.buffer.byteLength, payload.length);
      },
    ),
  );
});

test('messages', () => {
  fc.assert(fc.property(hellos, (hello) => assert.deepEqual(decodeHello(encodeHello(hello)), hello)));
  fc.assert(
    fc.property(fc.boolean(), fc.boolean(), (manifestWanted, claims) => {
      const ack = { version: 1, manifestWanted, claims };
      assert.deepEqual(decodeHelloAck(encodeHelloAck(ack)), ack);
    }),
  );
  fc.assert(fc.property(offers, (offer) => assert.deepEqual(decodeOffer(encodeOffer(offer)), offer)));
  fc.assert(
    fc.property(claimMessages, (claim) => {
      assert.deepEqual(decodeClaim(encodeClaim(claim)), claim);
    }),
  );
  fc.assert(
    fc.property(
      record({ sections: u32, entries: fc.integer({ min: 0, max: 100_000_000 }), units: u32, digest: digests }),
      (end) => {
        assert.deepEqual(messages.decodeManifestEnd(messages.encodeManifestEnd(end)), end);
      },
    ),
  );
  fc.assert(fc.property(haves, (have) => assert.deepEqual(messages.decodeHave(messages.encodeHave(have)), have)));
  fc.assert(
    fc.property(digests, (treeDigest) =>
      assert.deepEqual(messages.decodeComplete(messages.encodeComplete({ treeDigest })), { treeDigest }),
    ),
  );
  fc.assert(
    fc.property(
      fc.string({ maxLength: 20 }),
      fc.string({ maxLength: 1000 }),
      fc.boolean(),
      (code, message, retryable) => {
        assert.deepEqual(messages.decodeError(messages.encodeError({ code, message, retryable })), {
          code,
          message,
          retryable,
        });
      },
    ),
  );
});

// Proves: an error's text is cut between characters, so that it stays text.
test('long error messages are cut', () => {
  const { message } = messages.decodeError(
    messages.encodeError({ code: 'SYSTEM', message: `x${'é'.repeat(5000)}`, retryable: false }),
  );
  assert.equal(message, `x${'é'.repeat(2047)}`);
});

// Proves (P9): the content of a unit is a view of the payload, not a copy.
test('units', () => {
  fc.assert(
    fc.property(units, ({ content, ...header }) => {
      const payload = new Uint8Array(Buffer.concat([encodeUnitHeader(header), content]));
      const decoded = decodeUnit(payload);
      assert.deepEqual(decoded, { ...header, content });
      assert.equal(decoded.content.buffer, payload.buffer);
    }),
  );
});

function readJournal(bytes: Uint8Array, chunkBytes: number): { records: JournalRecord[]; end: JournalEnd } {
  const chunks = [];
  for (let offset = 0; offset < bytes.length; offset += chunkBytes)
    chunks.push(bytes.subarray(offset, offset + chunkBytes));
  const records: JournalRecord[] = [];
  const reading = decodeJournal(chunks);
  for (;;) {
    const step = reading.next();
    if (step.done === true) return { records, end: step.value };
    records.push(step.value);
  }
}

const journals = record({
  records: fc.array(journalRecords, { maxLength: 6 }),
  chunkBytes: fc.integer({ min: 1, max: 500 }),
});

test('journals', () => {
  fc.assert(
    fc.property(journals, ({ records, chunkBytes }) => {
      const bytes = Buffer.concat([encodeJournalHeader(), ...records.map(encodeJournalRecord)]);
      const read = readJournal(bytes, chunkBytes);
      assert.deepEqual(read.records, records);
      assert.deepEqual(read.end, { validBytes: bytes.length, ending: 'whole', reason: undefined });
    }),
  );
});

// Proves (P12): a journal cut at any byte, or zero from any byte on, gives all its whole records and the place to go on writing.
test('journals with a torn tail', () => {
  fc.assert(
    fc.property(journals, fc.nat(), fc.boolean(), ({ records, chunkBytes }, choice, isZeroed) => {
      const encoded = [encodeJournalHeader(), ...records.map(encodeJournalRecord)];
      const bytes = Buffer.concat(encoded);
      const cut = choice % (bytes.length + 1);
      const torn = isZeroed && cut >= 7 ? Buffer.from(bytes).fill(0, cut) : bytes.subarray(0, cut);
      const { records: found, end } = readJournal(torn, chunkBytes);
      let whole = 0;
      let offset = 0;
      for (const part of encoded) {
        offset += part.length;
        // A record whose last bytes are zero anyway is whole although it was "torn" there.
        if (offset <= cut || (isZeroed && cut >= 7 && torn.subarray(0, offset).equals(bytes.subarray(0, offset))))
          whole++;
        else break;
      }
      assert.deepEqual(found, records.slice(0, Math.max(whole - 1, 0)));
      const validBytes = encoded.slice(0, whole).reduce((sum, part) => sum + part.length, 0);
      assert.equal(end.validBytes, validBytes);
      assert.equal(end.ending, validBytes === torn.length && whole > 0 ? 'whole' : 'torn');
    }),
    { numRuns: 400 },
  );
});

// Proves: damage inside a journal is told with its offset, and the records before it are usable.
test('journals with a flipped bit in the middle', () => {
  fc.assert(
    fc.property(digests, fc.nat(), changeLists, (digest, choice, changes) => {
      const records: JournalRecord[] = [0, 1, 2].map((unit) => ({ type: 'unit', unit, digest, changes }));
      const encoded = records.map(encodeJournalRecord);
      const start = 7 + (encoded[0]?.length ?? 0);
      const bytes = Buffer.concat([encodeJournalHeader(), ...encoded]);
      // Checksum or payload of the second record: a flipped length may look like a torn tail, which is as safe.
      const at = start + 5 + (choice % ((encoded[1]?.length ?? 0) - 5));
      bytes[at] = (bytes[at] ?? 0) ^ 0x10;
      const { records: found, end } = readJournal(bytes, 64);
      assert.deepEqual(found, records.slice(0, 1));
      assert.equal(end.validBytes, start);
      assert.equal(end.ending, 'damaged');
      assert.match(end.reason ?? '', new RegExp(`offset ${start}`));
    }),
  );
});
