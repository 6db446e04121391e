import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Processors } from '../src/process/processors.ts';
import type { PieceChange } from '../src/protocol/changes.ts';
import { decodeHave, encodeHave } from '../src/protocol/messages.ts';
import { CompressionChoice } from '../src/transfer/compression-choice.ts';
import { HaveSet } from '../src/transfer/have.ts';
import { Permits } from '../src/transfer/permits.ts';
import { RateLimit } from '../src/transfer/rate-limit.ts';
import { runs } from './property.ts';
import { changeLists, digests } from './protocol.arbitraries.ts';

// Proves: a HaveSet is what was added to it last, by itself, in another thread and as HAVE messages.
test('a have-set is a map of what was added', () => {
  const steps = fc
    .integer({ min: 1, max: 70 })
    .chain((unitCount) =>
      fc.tuple(
        fc.constant(unitCount),
        fc.array(fc.tuple(fc.integer({ min: 0, max: unitCount - 1 }), digests, changeLists), { maxLength: 90 }),
      ),
    );
  fc.assert(
    fc.property(steps, ([unitCount, additions]) => {
      const have = new HaveSet(unitCount);
      const model = new Map<number, { digest: Uint8Array; changes: readonly PieceChange[] }>();
      for (const [unit, digest, changes] of additions) {
        have.add(unit, digest, changes);
        model.set(unit, { digest, changes });
      }
      for (const set of [have, new HaveSet(unitCount, structuredClone(have.share()))]) {
        assert.equal(set.count, model.size);
        assert.equal(set.isFull, model.size === unitCount);
        assert.deepEqual(
          [...set.units()],
          [...model.keys()].sort((a, b) => a - b),
        );
        for (const [unit, { digest, changes }] of model) {
          assert.deepEqual([...set.digest(unit)], [...digest]);
          assert.deepEqual(set.changes(unit), changes);
        }
        assert.deepEqual(
          set.allChanges().map(({ unit }) => unit),
          [...model]
            .filter(([, { changes }]) => changes.length > 0)
            .map(([unit]) => unit)
            .sort((a, b) => a - b),
        );
        assert.deepEqual(
          messagesOf(set),
          [...model].map(([unit, { digest }]) => [unit, ...digest]).sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0)),
        );
      }
      assert.throws(() => have.add(unitCount, new Uint8Array(32)), RangeError);
    }),
    runs(100),
  );
});

/** What a peer reads from the HAVE messages of a set, cut into small ones: unit, then the digest's bytes. */
function messagesOf(have: HaveSet): number[][] {
  const found: number[][] = [];
  for (let firstUnit = 0; firstUnit < have.unitCount; firstUnit += 16) {
    const { bitmap, digests: packed, ...message } = decodeHave(encodeHave({ firstUnit, ...have.slice(firstUnit, 16) }));
    let at = 0;
    for (let index = 0; index < bitmap.length * 8; index++) {
      if (((bitmap[index >> 3] ?? 0) & (1 << (index & 7))) === 0) continue;
      found.push([message.firstUnit + index, ...packed.subarray(at, at + 32)]);
      at += 32;
    }
  }
  return found;
}

// Proves: never more permits are out than there are, and whoever waits longest comes first.
test('permits are counted and given in turn', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.constantFrom('take', 'give'), { maxLength: 60 }),
      async (count, steps) => {
        const permits = new Permits(count);
        let asked = 0;
        let out = 0;
        const granted: number[] = [];
        for (const step of steps) {
          if (step === 'take') {
            const number = asked++;
            void permits.take().then(() => {
              out++;
              granted.push(number);
            });
          } else if (out > 0) {
            out--;
            permits.give();
          }
          await turn();
          assert.ok(out <= count);
          assert.deepEqual(
            granted,
            granted.toSorted((a, b) => a - b),
          );
          assert.ok(out === count || granted.length === asked, 'nobody waits beside a free permit');
        }
      },
    ),
    runs(40),
  );
});

// Proves: over any time, no more goes than the rate allows and a tenth of a second of it; and never less for no reason.
test('the rate limit holds over every interval', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1_000, max: 100_000_000 }),
      fc.array(fc.record({ pauseMs: fc.integer({ min: 0, max: 500 }), bytes: fc.integer({ min: 1, max: 2 ** 20 }) }), {
        minLength: 1,
        maxLength: 40,
      }),
      (bytesPerSecond, sends) => {
        let nowMs = 1_000;
        const limit = new RateLimit(bytesPerSecond, () => nowMs);
        // A send is over when its wait is: its bytes were on the way until then.
        const sent: { startMs: number; endMs: number; bytes: number }[] = [];
        for (const { pauseMs, bytes } of sends) {
          nowMs += pauseMs;
          const startMs = nowMs;
          nowMs += limit.reserve(bytes);
          sent.push({ startMs, endMs: nowMs, bytes });
        }
        for (let from = 0; from < sent.length; from++) {
          let bytes = 0;
          for (const send of sent.slice(from)) {
            bytes += send.bytes;
            const elapsedMs = send.endMs - (sent[from]?.startMs ?? 0);
            assert.ok(bytes <= ((elapsedMs + 100) * bytesPerSecond) / 1000 + 1, `${bytes} bytes in ${elapsedMs} ms`);
          }
        }
        const total = sent.reduce((sum, { bytes }) => sum + bytes, 0);
        const waitedMs = sent.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
        assert.ok(waitedMs <= (total / bytesPerSecond) * 1000 + 1, 'no wait is longer than the bytes take');
      },
    ),
    runs(200),
  );
});

test('the rate limit waits, and stops waiting when it is told to', async () => {
  const limit = new RateLimit(1_000_000);
  await limit.take(1, AbortSignal.timeout(10_000));
  const reason = new Error('for this test');
  const controller = new AbortController();
  const waiting = limit.take(1_000_000_000, controller.signal);
  controller.abort(reason);
  await assert.rejects(waiting, { name: 'AbortError' });
});

// Proves: `auto` compresses while the link is what is slow, stops when the processors are, and comes back; what was asked for is kept.
test('compression follows what the sender finds', () => {
  let nowMs = 0;
  let idleShare = 0.15;
  const surroundings = { now: () => nowMs, idleShare: () => idleShare };
  const auto = new CompressionChoice({ mode: 'auto' }, surroundings);
  const sendAt = (mebibytesPerSecond: number): void => {
    nowMs += 1000;
    auto.sent(mebibytesPerSecond * 1024 * 1024);
  };
  assert.equal(auto.current().mode, 'auto', 'the first units are compressed');
  for (let unit = 0; unit < 32; unit++) auto.observe(false);
  assert.equal(auto.current().mode, 'none', 'who waits for units has no processor to spare');
  for (let unit = 0; unit < 32; unit++) auto.observe(true);
  assert.equal(auto.current().mode, 'auto');
  sendAt(200);
  assert.equal(auto.current().mode, 'none', 'a link that takes much, and busy processors');
  idleShare = 0.5;
  assert.equal(auto.current().mode, 'auto', 'a link that takes much, and idle processors');
  idleShare = 0.15;
  sendAt(12);
  assert.equal(auto.current().mode, 'auto', 'a slow link, and few idle processors');
  idleShare = 0.05;
  assert.equal(auto.current().mode, 'none', 'no processor is idle: they are what is slow');
  idleShare = 0.15;
  for (const wanted of [{ mode: 'none' }, { mode: 'zstd', level: 3 }] as const) {
    const choice = new CompressionChoice(wanted, surroundings);
    for (let unit = 0; unit < 100; unit++) choice.observe(unit % 2 === 0);
    assert.deepEqual(choice.current(), wanted);
  }
});

// Proves: the idle share is that of the time between two looks, which are not closer together than the kernel counts.
test('how idle the processors are', () => {
  let nowMs = 0;
  let times = { idle: 1000, all: 4000 };
  const processors = new Processors(
    () => times,
    () => nowMs,
  );
  assert.equal(processors.idleShare(), 1, 'nothing is known yet');
  times = { idle: 1100, all: 5000 };
  nowMs = 400;
  assert.equal(processors.idleShare(), 1);
  nowMs = 600;
  assert.equal(processors.idleShare(), 0.1);
  nowMs = 2000;
  assert.equal(processors.idleShare(), 0.1, 'counters that stand still say nothing');
  assert.ok(new Processors().idleShare() <= 1);
});
