import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc, { type Arbitrary } from 'fast-check';
import { BatonError } from '../src/errors.ts';
import { decodeClaim, encodeClaim } from '../src/protocol/claim.ts';
import { decodeFrames, encodeFrame } from '../src/protocol/frame.ts';
import { FrameAssembler } from '../src/protocol/frame-assembler.ts';
import { checkHello } from '../src/protocol/handshake.ts';
import { decodeHello, decodeHelloAck, encodeHello, encodeHelloAck } from '../src/protocol/hello.ts';
import { decodeJournal, encodeJournalHeader, encodeJournalRecord } from '../src/protocol/journal.ts';
import { Manifest, ManifestBuilder } from '../src/protocol/manifest.ts';
import * as messages from '../src/protocol/messages.ts';
import { decodeOffer, encodeOffer } from '../src/protocol/offer.ts';
import { decodeUnit, encodeUnitHeader } from '../src/protocol/unit.ts';
import {
  claims,
  digests,
  entryLists,
  frameTypeNumbers,
  haves,
  hellos,
  journalRecords,
  offers,
  units,
} from './protocol.arbitraries.ts';

// Proves (P4, P5): whatever bytes arrive, a decoder returns or throws a BatonError that names the message and the field; it never crashes
// and never takes memory out of proportion to its input. BATON_FUZZ_RUNS sets how many inputs each decoder gets.

const numRuns = Number(process.env['BATON_FUZZ_RUNS'] ?? 2000);
const options = { timeout: 120_000 };

type Decoder = (bytes: Uint8Array) => unknown;

const rawBytes = fc.uint8Array({ maxLength: 400 });

/** Valid bytes with a few of them changed, cut out, doubled or cut off: what gets past the first checks. */
function mutated(valid: Arbitrary<Uint8Array>): Arbitrary<Uint8Array> {
  const step = fc.record({
    how: fc.constantFrom('set', 'cut', 'double', 'end'),
    at: fc.nat(),
    byte: fc.integer({ min: 0, max: 255 }),
    length: fc.integer({ min: 1, max: 12 }),
  });
  return fc.tuple(valid, fc.array(step, { minLength: 1, maxLength: 4 })).map(([bytes, steps]) => {
    let result = Buffer.from(bytes);
    for (const { how, at, byte, length } of steps) {
      const start = result.length === 0 ? 0 : at % result.length;
      if (how === 'set' && result.length > 0) result[start] = byte;
      else if (how === 'cut') result = Buffer.concat([result.subarray(0, start), result.subarray(start + length)]);
      else if (how === 'double') result = Buffer.concat([result.subarray(0, start + length), result.subarray(start)]);
      else if (how === 'end') result = result.subarray(0, start);
    }
    return new Uint8Array(result);
  });
}

/** `subject: field is found, but allowed`. */
const namesTheField = /^[a-z ]+(\d+)?: [a-zA-Z ]+ (is|are) .+/s;

function onlyKnownErrors(decode: Decoder, bytes: Uint8Array): void {
  try {
    decode(bytes);
  } catch (error) {
    assert.ok(error instanceof BatonError, `not a BatonError: ${String(error)}`);
    assert.ok(error.code === 'PROTOCOL' || error.code === 'LIMIT', error.code);
    assert.match(error.message, namesTheField);
    assert.ok(error.message.length < 600, 'an error stays short, whatever the input');
  }
}

function fuzz(name: string, valid: Arbitrary<Uint8Array>, decode: Decoder): void {
  test(name, options, () => {
    fc.assert(
      fc.property(fc.oneof({ weight: 1, arbitrary: rawBytes }, { weight: 4, arbitrary: mutated(valid) }), (bytes) =>
        onlyKnownErrors(decode, bytes),
      ),
      { numRuns },
    );
  });
}

const frameBytes = fc
  .array(fc.tuple(frameTypeNumbers, fc.uint8Array({ maxLength: 40 })), { maxLength: 5 })
  .map((frames) => new Uint8Array(Buffer.concat(frames.flatMap(([type, payload]) => encodeFrame(type, payload)))));

fuzz('frames', frameBytes, decodeFrames);
fuzz('frame assembler', frameBytes, (bytes) => {
  const assembler = new FrameAssembler();
  assembler.feed(bytes);
  while (assembler.next() !== undefined);
});
fuzz('hello', hellos.map(encodeHello), decodeHello);
fuzz(
  'hello ack',
  fc
    .tuple(fc.boolean(), fc.boolean())
    .map(([manifestWanted, claims]) => encodeHelloAck({ version: 1, manifestWanted, claims })),
  decodeHelloAck,
);
fuzz(
  'error',
  fc.tuple(fc.string(), fc.string()).map(([code, message]) => messages.encodeError({ code, message, retryable: true })),
  messages.decodeError,
);
fuzz(
  'manifest end',
  digests.map((digest) => messages.encodeManifestEnd({ sections: 1, entries: 2, units: 3, digest })),
  messages.decodeManifestEnd,
);
fuzz('have', haves.map(messages.encodeHave), messages.decodeHave);
fuzz('offer', offers.map(encodeOffer), decodeOffer);
fuzz('claim', claims.map(encodeClaim), decodeClaim);
fuzz(
  'unit',
  units.map((unit) => new Uint8Array(Buffer.concat([encodeUnitHeader(unit), unit.content]))),
  decodeUnit,
);
fuzz(
  'complete',
  digests.map((treeDigest) => messages.encodeComplete({ treeDigest })),
  messages.decodeComplete,
);

const sections = entryLists.map((entries) => {
  const builder = new ManifestBuilder();
  for (const entry of entries) builder.add(entry);
  return builder.finish().sections[0] ?? new Uint8Array(0);
});

fuzz('manifest', sections, (bytes) => {
  const manifest = Manifest.fromSections([bytes]);
  // What was accepted can be read to its end, and every path leads to the root.
  for (let index = 0; index < manifest.count; index++) assert.ok(manifest.pathOf(index).length <= index + 1);
});

// Proves (P7): the bytes of a manifest have one meaning: what is accepted encodes to the same bytes again.
test('an accepted manifest is the one that was built', options, () => {
  fc.assert(
    fc.property(mutated(sections), (bytes) => {
      let manifest: Manifest;
      try {
        manifest = Manifest.fromSections([bytes]);
      } catch {
        return;
      }
      const builder = new ManifestBuilder();
      for (let index = 0; index < manifest.count; index++) builder.add(manifest.entry(index));
      assert.deepEqual(new Uint8Array(builder.finish().sections[0] ?? []), bytes);
    }),
    { numRuns },
  );
});

const journals = fc
  .array(journalRecords, { maxLength: 4 })
  .map((records) => new Uint8Array(Buffer.concat([encodeJournalHeader(), ...records.map(encodeJournalRecord)])));

// Proves: a journal never throws: it ends, at an offset inside the file.
test('journal', options, () => {
  fc.assert(
    fc.property(fc.oneof(rawBytes, mutated(journals)), (bytes) => {
      const reading = decodeJournal([bytes]);
      let step = reading.next();
      while (step.done !== true) step = reading.next();
      assert.ok(step.value.validBytes >= 0 && step.value.validBytes <= bytes.length);
      assert.equal(step.value.reason === undefined, step.value.ending === 'whole');
    }),
    { numRuns },
  );
});

// Proves: no HELLO makes the judgement throw, and a refusal names a field.
test('handshake', options, () => {
  const expectation = {
    jobId: new Uint8Array(16),
    to: 1,
    epoch: 1,
    members: ['aa', 'bb'],
    peerFingerprint: 'aa',
    binding: new Uint8Array(32),
    versions: { min: 1, max: 1 },
  };
  fc.assert(
    fc.property(hellos, fc.nat({ max: 255 }), (hello, mask) => {
      const close = { ...hello };
      if (mask & 1) close.jobId = expectation.jobId;
      if (mask & 2) close.binding = expectation.binding;
      if (mask & 4) close.from = 0;
      if (mask & 8) close.to = 1;
      if (mask & 16) close.epoch = 1;
      const verdict = checkHello(close, expectation);
      if (!verdict.accepted)
        assert.match(verdict.error.message, /^hello: (version|job|binding|from|to|epoch|stream|streams) is /);
      else {
        const { jobId, binding, to, epoch } = expectation;
        assert.deepEqual({ ...close, jobId, binding, from: 0, to, epoch }, close);
      }
    }),
    { numRuns },
  );
});

// Proves: counts that promise more than there is cost nothing. Each input claims up to 4 GiB of things in some 20 bytes.
test('claims cost no memory', options, () => {
  const liars: [Decoder, string][] = [
    [(bytes) => decodeFrames(bytes), 'ffff3f0008'],
    [(bytes) => Manifest.fromSections([bytes]), '0100000000ffffffff0100016100'],
    [(bytes) => Manifest.fromSections([bytes]), `010000000001000000010001${'61'}${'00'.repeat(19)}ffff3f`],
    [messages.decodeHave, '00000000808004ff'],
    [decodeUnit, `0000000000000010${'00'.repeat(33)}ff07`],
    [(bytes) => [...decodeJournal([bytes])], '4241544f4e4a0102ffff3f0000000000'],
  ];
  const before = process.memoryUsage();
  for (const [decode, hex] of liars) {
    for (let round = 0; round < 2000; round++) onlyKnownErrors(decode, Buffer.from(hex, 'hex'));
  }
  const after = process.memoryUsage();
  assert.ok(after.rss - before.rss < 128 * 2 ** 20, `${(after.rss - before.rss) >> 20} MiB more`);
});
