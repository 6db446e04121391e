import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError, type ErrorCode } from '../src/errors.ts';
import { limits } from '../src/limits.ts';
import { encodeFrame, frameTypes } from '../src/protocol/frame.ts';
import type { Pair } from './transport.pairs.ts';

const options = { timeout: 20_000 };

/** True for a BatonError of this code: for assert.rejects. */
export function hasCode(...codes: readonly ErrorCode[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof BatonError, `a BatonError, not ${String(error)}`);
    assert.ok(codes.includes(error.code), `${codes.join(' or ')}, not ${error.code}: ${error.message}`);
    return true;
  };
}

function patterned(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed) & 0xff);
}

/** What every Connection promises. Run against each implementation. */
export function describeTransport(name: string, openPair: () => Promise<Pair>): void {
  describe(`transport ${name}`, () => {
    // Proves: frames of every size arrive whole, in order, and each in memory of its own.
    test('frames arrive as they were written', options, async () => {
      await using pair = await openPair();
      const sizes = [0, 1, 5, 16_384, 16_379, 100_000, limits.frameBytesMax, 3];
      const writing = (async () => {
        for (const [seed, size] of sizes.entries())
          await pair.left.write(...encodeFrame(frameTypes.unit, patterned(size, seed)));
        await pair.left.end();
      })();
      const seen = new Set<ArrayBuffer>();
      for (const [seed, size] of sizes.entries()) {
        const frame = await pair.right.readFrame();
        assert.equal(frame?.type, frameTypes.unit);
        assert.ok(Buffer.from(patterned(size, seed)).equals(frame.payload), `payload of ${size} bytes`);
        assert.equal(frame.payload.byteOffset, 0);
        assert.ok(!seen.has(frame.payload.buffer), 'no frame lies in the memory of another');
        seen.add(frame.payload.buffer);
      }
      assert.equal(await pair.right.readFrame(), undefined);
      await writing;
      assert.equal(pair.right.bytesReceived, pair.left.bytesSent);
      assert.equal(
        pair.left.bytesSent,
        sizes.reduce((sum, size) => sum + size + 5, 0),
      );
    });

    // Proves: chunks of one call stay together when several calls wait, and both directions work at once.
    test('concurrent writes do not mix, in both directions', options, async () => {
      await using pair = await openPair();
      for (const [from, to] of [
        [pair.left, pair.right],
        [pair.right, pair.left],
      ] as const) {
        const writes = Array.from({ length: 50 }, (_, seed) =>
          from.write(...encodeFrame(frameTypes.have, patterned(seed * 977, seed), patterned(3, seed))),
        );
        for (let seed = 0; seed < 50; seed++) {
          const frame = await to.readFrame();
          assert.ok(
            Buffer.concat([patterned(seed * 977, seed), patterned(3, seed)]).equals(frame?.payload ?? Buffer.of(1)),
          );
        }
        await Promise.all(writes);
      }
    });

    // Proves (P11): a reader that does not ask stops the writer, so that nothing grows without bound.
    test('a writer waits for its reader', options, async () => {
      await using pair = await openPair();
      const content = new Uint8Array(1024 * 1024);
      let written = 0;
      const total = 64;
      const writing = (async () => {
        for (; written < total; written++) await pair.left.write(...encodeFrame(frameTypes.unit, content));
      })();
      await sleep(300);
      const atRest = written;
      assert.ok(atRest < 32, `${atRest} MiB were taken without a reader`);
      assert.ok(pair.right.bytesReceived < 4 * content.length, `${pair.right.bytesReceived} bytes were read ahead`);
      for (let count = 0; count < total; count++) await pair.right.readFrame();
      await writing;
    });

    // Proves: an end at a frame's boundary is clean, and the other direction goes on after it.
    test('an end is half an end', options, async () => {
      await using pair = await openPair();
      await pair.left.end();
      assert.equal(await pair.right.readFrame(), undefined);
      assert.equal(await pair.right.readFrame(), undefined);
      await pair.right.write(...encodeFrame(frameTypes.haveEnd));
      await pair.right.end();
      assert.equal((await pair.left.readFrame())?.type, frameTypes.haveEnd);
      assert.equal(await pair.left.readFrame(), undefined);
    });

    // Proves: an end inside a frame is a loss, never a short frame.
    test('an end in the middle of a frame is a lost connection', options, async () => {
      await using pair = await openPair();
      const [header = new Uint8Array(), payload = new Uint8Array()] = encodeFrame(frameTypes.unit, patterned(1000, 1));
      await pair.left.write(header, payload.subarray(0, 999));
      await pair.left.end();
      await assert.rejects(pair.right.readFrame(), hasCode('CONNECTION_LOST'));
      await assert.rejects(pair.right.readFrame(), hasCode('CONNECTION_LOST'));
    });

    // Proves: whoever waits on either side learns of a break.
    test('a break wakes readers and writers', options, async () => {
      await using quiet = await openPair();
      // Between two frames, a break may look like an end: TCP tells them apart only when bytes were on the way.
      const peerReads = quiet.right
        .readFrame()
        .then((frame) => assert.equal(frame, undefined), hasCode('CONNECTION_LOST'));
      const ownReads = assert.rejects(quiet.left.readFrame(), hasCode('STALLED'));
      await using busy = await openPair();
      const content = new Uint8Array(limits.frameBytesMax);
      const flood = async (): Promise<never> => {
        for (;;) await busy.right.write(...encodeFrame(frameTypes.unit, content));
      };
      const peerWrites = assert.rejects(flood(), hasCode('CONNECTION_LOST'));
      await sleep(50);
      for (const pair of [quiet, busy]) pair.left.destroy(new BatonError('STALLED', 'for this test'));
      await Promise.all([peerReads, ownReads, peerWrites]);
      await assert.rejects(quiet.left.write(...encodeFrame(frameTypes.ping)), hasCode('STALLED'));
    });

    // Proves: an aborted read loses nothing; the next one gets the frame.
    test('reading can be aborted and taken up again', options, async () => {
      await using pair = await openPair();
      const controller = new AbortController();
      const reading = pair.right.readFrame(controller.signal);
      const reason = new Error('for this test');
      controller.abort(reason);
      await assert.rejects(reading, reason);
      await assert.rejects(pair.right.readFrame(AbortSignal.abort(reason)), reason);
      await pair.left.write(...encodeFrame(frameTypes.complete, patterned(4, 0)));
      assert.deepEqual([...((await pair.right.readFrame())?.payload ?? [])], [...patterned(4, 0)]);
    });

    // Proves: a header that no peer may send is refused before its payload, after the frames before it were delivered.
    test('a bad header is refused, what came before it is not', options, async () => {
      for (const [bad, code] of [
        [[0, 0, 0, 0, 99], 'PROTOCOL'],
        [[255, 255, 255, 255, 8], 'LIMIT'],
      ] as const) {
        await using pair = await openPair();
        await pair.left.write(
          ...encodeFrame(frameTypes.ping),
          ...encodeFrame(frameTypes.haveEnd),
          Uint8Array.from(bad),
        );
        assert.equal((await pair.right.readFrame())?.type, frameTypes.ping);
        assert.equal((await pair.right.readFrame())?.type, frameTypes.haveEnd);
        await assert.rejects(pair.right.readFrame(), hasCode(code));
      }
    });

    // Proves: chunks may be changed and transferred as soon as write() has resolved.
    test('written chunks are free after the write', options, async () => {
      await using pair = await openPair();
      const first = patterned(3_000_000, 1);
      const second = patterned(3_000_000, 2);
      const reading = (async () => [await pair.right.readFrame(), await pair.right.readFrame()])();
      const writes = [first, second].map(async (content) => {
        const sent = content.slice();
        await pair.left.write(...encodeFrame(frameTypes.unit, sent));
        sent.fill(0);
        structuredClone(sent, { transfer: [sent.buffer] });
      });
      const frames = await reading;
      await Promise.all(writes);
      assert.deepEqual(
        [first, second].map((content, index) => Buffer.compare(content, frames[index]?.payload ?? Buffer.of(1)) === 0),
        [true, true],
      );
    });

    // Proves: the last frame before an end reaches a peer that is still sending.
    test('the last word is heard', options, async () => {
      await using pair = await openPair();
      const content = new Uint8Array(1024 * 1024);
      const flood = (async () => {
        for (;;) await pair.left.write(...encodeFrame(frameTypes.unit, content));
      })();
      flood.catch(() => {});
      await pair.right.readFrame();
      await pair.right.write(...encodeFrame(frameTypes.error, patterned(8, 0)));
      await pair.right.end();
      const disposed = pair.right[Symbol.asyncDispose]();
      assert.equal((await pair.left.readFrame())?.type, frameTypes.error);
      pair.left.destroy();
      await assert.rejects(flood, hasCode('CONNECTION_LOST'));
      await disposed;
    });

    // Proves: both ends of a connection, and only they, have its binding.
    test('both ends share a binding', options, async () => {
      await using pair = await openPair();
      await using other = await openPair();
      assert.equal(pair.left.binding.length, 32);
      assert.deepEqual(pair.left.binding, pair.right.binding);
      assert.notDeepEqual(pair.left.binding, other.left.binding);
      assert.match(pair.left.peerFingerprint, /^[0-9a-f]{64}$/);
    });
  });
}
