import assert from 'node:assert/strict';
import { connect as connectTcp, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectRawTls, createServer as createRawTls, type TLSSocket } from 'node:tls';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { encodeFrame, frameTypes } from '@batondb/core/protocol/frame';
import { makeIdentity } from '@batondb/core/transport/certificate';
import { connectTls } from '@batondb/core/transport/tls';
import type { Connection } from '@batondb/core/transport/transport';
import { connectToJoiner } from '../src/wire/donor-session.ts';
import type { JoinerSession } from '../src/wire/joiner-session.ts';
import { decodeMessage, encodeMessage } from '../src/wire/messages.ts';
import { makeProof, makeSecret } from '../src/wire/proof.ts';
import { hasCode, impatient, key, never, openJoiner, openPair, placeOf } from './wire.sessions.ts';

const options = { timeout: 40_000 };

/** A joiner, what it noted, and that no stranger ever became its donor. */
async function openTarget(): Promise<AsyncDisposable & { joiner: JoinerSession; notes: string[]; untouched(): void }> {
  const notes: string[] = [];
  const joiner = await openJoiner({ onNote: (note) => notes.push(note) });
  return {
    joiner,
    notes,
    untouched() {
      assert.ok(!joiner.hasDonor);
      assert.ok(!joiner.signal.aborted);
    },
    [Symbol.asyncDispose]: () => joiner[Symbol.asyncDispose](),
  };
}

/** A TLS connection of somebody who is no donor of ours. */
async function dial(joiner: JoinerSession): Promise<Connection> {
  const { port, fingerprint: expectedFingerprint } = joiner;
  return await connectTls({ host: '127.0.0.1', port, expectedFingerprint, identity: makeIdentity(), timeoutMs: 4000 });
}

async function refusalOf(connection: Connection): Promise<string> {
  const frame = await connection.readFrame(AbortSignal.timeout(5000));
  assert.equal(frame?.type, frameTypes.message);
  const { message } = decodeMessage(frame?.payload ?? new Uint8Array());
  assert.equal(message.type, 'failed');
  assert.equal(await connection.readFrame(AbortSignal.timeout(5000)), undefined);
  return message.type === 'failed' ? message.code : '';
}

// Proves: without the secret, with another key, with no key, and with the key alone nobody becomes the donor; both sides say why (G5).
for (const [what, more] of [
  ['another secret', { secret: makeSecret() }],
  ['another key', { key: Buffer.alloc(32, 8) }],
  ['no key', { key: undefined }],
] as const) {
  test(`a donor with ${what} is refused`, options, async () => {
    await using target = await openTarget();
    const connecting = connectToJoiner(placeOf(target.joiner, more), never);
    await assert.rejects(connecting, (error) => {
      assert.ok(error instanceof BatonError && error.code === 'NOT_TRUSTED', String(error));
      assert.match(error.message, /^the joiner refused: .* has not proven the secret of this transfer and the key/);
      return true;
    });
    target.untouched();
    assert.match(target.notes.join(), /was refused: .* has not proven/);
    // Nobody can end a joiner by failing to prove anything.
    await using donor = await connectToJoiner(placeOf(target.joiner), never);
    assert.ok(!donor.signal.aborted);
  });
}

// Proves: a donor that finds another certificate than the ready line names says nothing at all to it (G5).
test('an impostor joiner with another certificate', options, async () => {
  await using target = await openTarget();
  const fingerprint = makeIdentity().fingerprint;
  await assert.rejects(connectToJoiner(placeOf(target.joiner, { fingerprint }), never), hasCode('NOT_TRUSTED'));
  target.untouched();
});

// Proves: who has altered the ready line, and so has secret and certificate, cannot prove the key to the donor.
test('an impostor joiner without the key', options, async () => {
  const impostor = await openJoiner({ key: Buffer.alloc(32, 9) });
  await using _impostor = impostor;
  await assert.rejects(connectToJoiner(placeOf(impostor), never), hasCode('NOT_TRUSTED'));
  // One that does not judge, and answers with a proof of its own making.
  const identity = makeIdentity();
  const server = createRawTls({
    key: identity.privateKeyPem,
    cert: identity.certificatePem,
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: false,
  });
  const secret = makeSecret();
  server.on('secureConnection', (socket: TLSSocket) => {
    const binding = socket.exportKeyingMaterial(32, 'EXPORTER-baton-hop', Buffer.alloc(0));
    const proof = makeProof('joiner', { secret, key: undefined }, binding);
    socket.write(
      Buffer.concat(encodeFrame(frameTypes.message, encodeMessage({ type: 'proof', version: 1, proof, received: 0 }))),
    );
    socket.on('error', () => undefined);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const place = { host: '127.0.0.1', port, secret, fingerprint: identity.fingerprint, key };
  await assert.rejects(connectToJoiner(place, never), hasCode('NOT_TRUSTED'));
  server.close();
});

// Proves: the first frames of a connection, seen by whoever, are worth nothing on another one.
test('a replayed proof', options, async () => {
  await using target = await openTarget();
  await using first = await dial(target.joiner);
  const shared = { secret: target.joiner.secret, key };
  const hello = { type: 'hello', versions: { min: 1, max: 1 }, purpose: 'control', transfer: 0, received: 0 } as const;
  const recorded = encodeFrame(
    frameTypes.message,
    encodeMessage({ ...hello, proof: makeProof('donor', shared, first.binding) }),
  );
  await using second = await dial(target.joiner);
  await second.write(...recorded);
  assert.equal(await refusalOf(second), 'NOT_TRUSTED');
  target.untouched();
});

// Proves: data, units and garbage before a proof end the connection, and nothing of them is taken.
test('a stranger that does not prove anything first', options, async () => {
  await using target = await openTarget();
  const opened = [
    encodeFrame(frameTypes.hello, new Uint8Array(72)),
    encodeFrame(frameTypes.unit, new Uint8Array(4000)),
    encodeFrame(frameTypes.message, Buffer.from('{"type":"finish","position":"x","about":{}}')),
    encodeFrame(frameTypes.message, Buffer.from('garbage')),
  ];
  for (const frames of opened) {
    await using connection = await dial(target.joiner);
    await connection.write(...frames);
    assert.equal(await refusalOf(connection), 'PROTOCOL');
  }
  await using large = await dial(target.joiner);
  await large.write(...encodeFrame(frameTypes.message, new Uint8Array(limits.unprovenFrameBytesMax + 1)));
  assert.equal(await refusalOf(large), 'LIMIT');
  const socket = connectRawTls({ host: '127.0.0.1', port: target.joiner.port, rejectUnauthorized: false });
  await new Promise((resolve) => socket.on('close', resolve).on('error', resolve).resume());
  target.untouched();
});

// Proves: strangers who say nothing, before TLS and after it, are gone in bounded time, and a donor gets in meanwhile.
test('silent strangers', options, async () => {
  await using target = await openTarget();
  const strangers = Array.from({ length: limits.handshakesMax + 6 }, () => connectTcp(target.joiner.port, '127.0.0.1'));
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

// Proves: a second donor with secret and key is refused while one is at work, which goes on undisturbed.
test('a second donor', options, async () => {
  await using pair = await openPair();
  await assert.rejects(connectToJoiner(placeOf(pair.joiner), never), hasCode('BUSY'));
  assert.ok(pair.notes.some((note) => /another donor is at work/.test(note)));
  const offering = pair.donor.offer({ method: 'bypass', estimatedBytes: 0, about: {} }, never);
  assert.equal((await pair.joiner.offer(never)).method, 'bypass');
  pair.joiner.accept();
  await offering;
});

// Proves: a proven donor that talks nonsense ends the session on both sides, with its name.
test('nonsense from a proven donor', options, async () => {
  await using pair = await openPair();
  const offered = pair.joiner.next(['accept'], never);
  const offering = pair.donor.offer({ method: 'backup', estimatedBytes: 0, about: {} }, never);
  await assert.rejects(offered, hasCode('PROTOCOL'));
  await assert.rejects(
    offering,
    (error) =>
      error instanceof BatonError &&
      error.code === 'PROTOCOL' &&
      error.message.startsWith('the joiner failed: the donor said offer'),
  );
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

// Proves: a donor whose joiner's process is gone, host and network being there, is let go sooner.
test('a joiner that ended', options, async () => {
  const joiner = await openJoiner();
  await using donor = await connectToJoiner(
    placeOf(joiner, { patience: { absenceMsMax: 60_000, refusedMsMax: 500 } }),
    never,
  );
  const waiting = donor.offer({ method: 'backup', estimatedBytes: 0, about: {} }, never);
  await joiner.offer(never);
  joiner.fail(new BatonError('INTERRUPTED', 'its server was stopped'));
  await assert.rejects(
    waiting,
    (error) => error instanceof BatonError && error.message === 'the joiner failed: its server was stopped',
  );
  await joiner[Symbol.asyncDispose]();
});

// Proves: messages said while there was no connection arrive once and in order when there is one again.
test('a conversation goes on over new connections', options, async () => {
  await using pair = await openPair();
  const offering = pair.donor.offer({ method: 'backup', estimatedBytes: 1, about: {} }, never);
  await pair.joiner.offer(never);
  pair.proxy.cut();
  await sleep(20);
  pair.joiner.accept({ space: 'double' });
  assert.deepEqual((await offering).about, { space: 'double' });
  pair.proxy.cut();
  const finished = pair.donor.finish('u:2', {}, never);
  pair.proxy.cut();
  assert.equal((await pair.joiner.finish(never)).position, 'u:2');
  pair.proxy.cut();
  await sleep(20);
  await pair.joiner.verified();
  assert.equal((await finished).type, 'verified');
});

// Proves: a failure said while the connection is broken reaches the other side all the same, when it comes back.
test('a last word over a new connection', options, async () => {
  await using pair = await openPair();
  const waiting = pair.donor.next(['accept'], never);
  pair.proxy.cut();
  pair.joiner.fail(new BatonError('NO_SPACE', 'the disk is full'));
  const disposed = pair.joiner[Symbol.asyncDispose]();
  await assert.rejects(
    waiting,
    (error) => error instanceof BatonError && error.message === 'the joiner failed: the disk is full',
  );
  await disposed;
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
