import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import fc, { type Arbitrary } from 'fast-check';
import { BatonError, type ErrorCode } from '../src/errors.ts';
import { limits } from '../src/limits.ts';
import { decodeUnit, encodeUnitHeader } from '../src/protocol/unit.ts';
import type { UnitCompression } from '../src/transfer/jobs.ts';
import { encodeUnit, openUnit, unitDigest } from '../src/transfer/unit-codec.ts';
import { runs } from './property.ts';
import { changeLists } from './protocol.arbitraries.ts';

const compressions: Arbitrary<UnitCompression> = fc.oneof(
  fc.constant({ mode: 'auto' as const }),
  fc.constant({ mode: 'none' as const }),
  fc.integer({ min: 1, max: 5 }).map((level) => ({ mode: 'zstd' as const, level })),
);

/** Content from a few bytes to a whole unit, from noise to one byte again and again. */
const contents: Arbitrary<Uint8Array> = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 2000 }), fc.integer({ min: 0, max: limits.unitBytes }))
  .map(([pattern, length]) => new Uint8Array(length).map((_, index) => pattern[index % pattern.length] ?? 0));

/** A message in a buffer of its own. */
function encode(...args: Parameters<typeof encodeUnit> extends [...infer Given, unknown] ? Given : never) {
  return encodeUnit(...args, new Uint8Array(0));
}

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BatonError && error.code === code;
}

// Proves: what is opened is what was encoded, whichever way it was compressed, and never larger than a unit and its header.
test('units survive the way', () => {
  fc.assert(
    fc.property(fc.nat(), contents, changeLists, compressions, (unit, content, changes, compression) => {
      const { payload, digest } = encode({ unit, content, changes, claim: undefined }, compression);
      assert.ok(payload.byteLength <= content.byteLength + 64 + 3 * changes.length);
      const opened = openUnit(payload);
      assert.equal(opened.unit, unit);
      assert.deepEqual(opened.changes, changes);
      assert.equal(Buffer.compare(opened.content, content), 0);
      assert.equal(Buffer.compare(opened.digest, digest), 0);
      assert.equal(Buffer.compare(digest, unitDigest(content)), 0, 'the digest does not depend on the compression');
    }),
    runs(60),
  );
});

// Proves: a buffer that was lent is used where the message fits, and is never needed.
test('a message goes into a lent buffer when it fits', () => {
  const content = new Uint8Array(1000).map((_, index) => index);
  for (const bytes of [0, 1, 500, 1000, 1042, 1043, 2000, 1_200_000]) {
    const into = new Uint8Array(bytes).fill(0xee);
    const { payload } = encodeUnit({ unit: 7, content, changes: [], claim: undefined }, { mode: 'none' }, into);
    assert.equal(Buffer.compare(openUnit(payload).content, content), 0, `into ${bytes} bytes`);
  }
});

// Proves (T3): a flipped bit anywhere in a message is noticed before anything could be written, unless it is one that means
// nothing (zstd's frame header has an unused bit, RFC 8878, 3.1.1.1.1.5): then the content is what was sent.
test('a damaged unit is refused', () => {
  const content = Buffer.from('what was sent, and nothing else. '.repeat(40));
  for (const compression of [{ mode: 'none' }, { mode: 'zstd', level: 1 }] as const) {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 7 }), (place, bit) => {
        const { payload } = encode(
          { unit: 3, content, changes: [{ piece: 1, change: 'grew' }], claim: undefined },
          compression,
        );
        const at = 5 + (place % (payload.byteLength - 5));
        payload[at] = (payload[at] ?? 0) ^ (1 << bit);
        const changesAt = 41;
        if (at >= changesAt && at < changesAt + 3) return;
        const opened = tryOpen(payload);
        if (opened instanceof BatonError) assert.match(opened.code, /^(DIGEST_MISMATCH|PROTOCOL|LIMIT)$/);
        else assert.equal(Buffer.compare(opened, content), 0);
      }),
      runs(150),
    );
  }
});

function tryOpen(payload: Uint8Array): Uint8Array | BatonError {
  try {
    return openUnit(payload).content;
  } catch (error) {
    if (error instanceof BatonError) return error;
    throw error;
  }
}

// Proves: content that would unpack to more than its header says is not unpacked.
test('a bomb does not go off', () => {
  const bomb = zstdCompressSync(Buffer.alloc(512 * 1024 * 1024));
  const digest = unitDigest(Buffer.alloc(1024));
  const header = encodeUnitHeader({ unit: 0, encoding: 'zstd', isPatch: false, rawLength: 1024, digest, changes: [] });
  const before = process.memoryUsage().arrayBuffers;
  assert.throws(() => openUnit(Buffer.concat([header, bomb])), hasCode('PROTOCOL'));
  assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 1024 * 1024);
});

test('a unit whose content is shorter than it says is refused', () => {
  const content = Buffer.alloc(1000, 1);
  const header = encodeUnitHeader({
    unit: 0,
    encoding: 'zstd',
    isPatch: false,
    rawLength: 1001,
    digest: unitDigest(content),
    changes: [],
  });
  assert.throws(() => openUnit(Buffer.concat([header, zstdCompressSync(content)])), hasCode('PROTOCOL'));
  assert.throws(() => openUnit(Buffer.concat([header, Buffer.from('no zstd at all')])), hasCode('PROTOCOL'));
});

// Proves: what zstd does not shrink goes as it is, so that nobody unpacks it for nothing.
test('noise is not compressed', () => {
  const noise = new Uint8Array(limits.unitBytes);
  let state = 1;
  for (let index = 0; index < noise.length; index++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + index;
    noise[index] = state >>> 24;
  }
  for (const compression of [{ mode: 'auto' }, { mode: 'zstd', level: 3 }] as const) {
    assert.equal(
      decodeUnit(encode({ unit: 0, content: noise, changes: [], claim: undefined }, compression).payload).encoding,
      'raw',
    );
  }
  const zeros = { unit: 0, content: new Uint8Array(9999), changes: [], claim: undefined };
  assert.equal(decodeUnit(encode(zeros, { mode: 'auto' }).payload).encoding, 'zstd');
});
