import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectRawTls, createServer as createRawTls, type TLSSocket } from 'node:tls';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { encodeFrame, frameTypes } from '@batondb/core/protocol/frame';
import { makeIdentity } from '@batondb/core/transport/certificate';
import type { Connection } from '@batondb/core/transport/transport';
import { connectToJoiner } from '../src/wire/donor-session.ts';
import { decodeMessage, encodeMessage } from '../src/wire/messages.ts';
import { makeProof, makeSecret } from '../src/wire/proof.ts';
import { dial, hasCode, key, never, openJoiner, openPair, openTarget, placeOf } from './wire.sessions.ts';

const options = { timeout: 40_000 };

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

// Proves: neighbouring releases agree on the highest version that both speak, and those that have none in common say so on both sides.
test('versions', options, async () => {
  await using target = await openTarget();
  const shared = { secret: target.joiner.secret, key };
  const say = async (min: number, max: number): Promise<Connection> => {
    const connection = await dial(target.joiner);
    const proof = makeProof('donor', shared, connection.binding);
    const hello = {
      type: 'hello',
      versions: { min, max },
      proof,
      purpose: 'control',
      transfer: 0,
      received: 0,
    } as const;
    await connection.write(...encodeFrame(frameTypes.message, encodeMessage(hello)));
    return connection;
  };
  await using newer = await say(2, 3);
  assert.equal(await refusalOf(newer), 'VERSION_MISMATCH');
  assert.match(target.notes.join(), /speaks versions 2 to 3 of the session, and this node 1 to 1/);
  await using neighbour = await say(1, 2);
  const answer = decodeMessage((await neighbour.readFrame(AbortSignal.timeout(5000)))?.payload ?? new Uint8Array());
  assert.ok(answer.message.type === 'proof' && answer.message.version === 1);
});

// Proves: data is taken of no peer that is not the donor of a control connection yet, however well it proves itself.
test('data before the conversation', options, async () => {
  await using target = await openTarget();
  await using connection = await dial(target.joiner);
  const proof = makeProof('donor', { secret: target.joiner.secret, key }, connection.binding);
  const hello = {
    type: 'hello',
    versions: { min: 1, max: 1 },
    proof,
    purpose: 'data',
    transfer: 1,
    received: 0,
  } as const;
  await connection.write(...encodeFrame(frameTypes.message, encodeMessage(hello)));
  assert.equal(await refusalOf(connection), 'PROTOCOL');
  target.untouched();
});
