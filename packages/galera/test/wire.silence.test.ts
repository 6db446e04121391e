import assert from 'node:assert/strict';
import { connect as connectTcp, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { frameTypes } from '@batondb/core/protocol/frame';
import { makeIdentity } from '@batondb/core/transport/certificate';
import { connectToJoiner } from '../src/wire/donor-session.ts';
import { makeSecret } from '../src/wire/proof.ts';
import { dial, hasCode, impatient, key, never, openPair, openTarget, placeOf } from './wire.sessions.ts';

// Waits that have to end (G6). Side by side: each of them is a wait.

const options = { timeout: 60_000 };

describe('silence', { concurrency: true }, () => {
  // Proves: strangers who say nothing, before TLS and after it, are gone in bounded time, and a donor gets in meanwhile.
  test('silent strangers', options, async () => {
    await using target = await openTarget();
    const strangers = Array.from({ length: limits.handshakesMax + 6 }, () =>
      connectTcp(target.joiner.port, '127.0.0.1'),
    );
    const closed = Promise.all(
      strangers.map((socket) => new Promise((resolve) => socket.on('close', resolve).on('error', () => undefined))),
    );
    const mute = await dial(target.joiner);
    const began = performance.now();
    const ending = mute.readFrame().catch(() => undefined);
    await using donor = await connectToJoiner(placeOf(target.joiner), never);
    assert.ok(!donor.signal.aborted);
    assert.notEqual((await ending)?.type, frameTypes.unit);
    await closed;
    assert.ok(performance.now() - began < limits.handshakeMsMax + 10_000);
    mute.destroy();
  });

  // Proves: a joiner that takes connections and says nothing ends the donor in bounded time, with an error that names it.
  test('a silent joiner', options, async () => {
    const server = createServer((socket) => socket.resume().on('error', () => undefined));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const place = {
      host: '127.0.0.1',
      port,
      secret: makeSecret(),
      fingerprint: makeIdentity().fingerprint,
      key,
      patience: impatient,
    };
    await assert.rejects(
      connectToJoiner(place, never),
      (error) =>
        error instanceof BatonError && error.code === 'HOP_UNREACHABLE' && /no answer within/.test(error.message),
    );
    server.close();
  });

  // Proves: a joiner whose donor went away, and a donor whose joiner did, wait as long as they may and then say so.
  test('a peer that does not come back', options, async () => {
    await using pair = await openPair({ joiner: { patience: impatient }, donor: { patience: impatient } });
    pair.proxy.isDown = true;
    pair.proxy.cut();
    const began = performance.now();
    await assert.rejects(
      pair.joiner.offer(never),
      (error) =>
        error instanceof BatonError &&
        error.code === 'CONNECTION_LOST' &&
        /has not come back for 2.5 s/.test(error.message),
    );
    await assert.rejects(pair.donor.next(['accept'], never), hasCode('CONNECTION_LOST', 'HOP_UNREACHABLE'));
    assert.ok(performance.now() - began < 10_000);
  });

  // Proves: a peer that is there and says nothing is found out, whatever the network tells of its connection (G6, T10).
  test('a peer that falls silent', options, async () => {
    await using pair = await openPair({ joiner: { patience: impatient }, donor: { patience: impatient } });
    pair.proxy.isHeld = true;
    const began = performance.now();
    await assert.rejects(pair.joiner.offer(never), hasCode('CONNECTION_LOST'));
    await assert.rejects(pair.donor.next(['accept'], never), hasCode('CONNECTION_LOST', 'HOP_UNREACHABLE'));
    assert.ok(performance.now() - began < limits.silenceMsMax + limits.pingMs + 15_000);
  });
});
