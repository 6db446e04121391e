import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import {
  type ConnectionOptions,
  connect as connectRawTls,
  createServer as createRawTlsServer,
  type TLSSocket,
} from 'node:tls';
import type { BatonError } from '../src/errors.ts';
import { limits } from '../src/limits.ts';
import { encodeFrame, frameTypes } from '../src/protocol/frame.ts';
import { checkHello } from '../src/protocol/handshake.ts';
import { decodeHello, encodeHello, type Hello } from '../src/protocol/hello.ts';
import { type Identity, makeIdentity } from '../src/transport/certificate.ts';
import { type ConnectOptions, connectTls, type Listener, listenTls } from '../src/transport/tls.ts';
import type { Connection } from '../src/transport/transport.ts';
import { hasCode } from './transport.conformance.ts';
import { anyPort, listenLocally } from './transport.pairs.ts';

const options = { timeout: 20_000 };

function dial(
  listener: Listener,
  identity: Identity,
  expected: Identity,
  more: Partial<ConnectOptions> = {},
): Promise<Connection> {
  return connectTls({
    host: '127.0.0.1',
    port: listener.port,
    identity,
    expectedFingerprint: expected.fingerprint,
    timeoutMs: 5000,
    ...more,
  });
}

/** A TLS client that is not ours, and how its connection ended. */
async function strangerEnds(port: number, more: ConnectionOptions): Promise<string> {
  const socket = connectRawTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...more });
  socket.on('secureConnect', () => socket.write(Buffer.concat(encodeFrame(frameTypes.hello, new Uint8Array(100)))));
  socket.resume();
  return new Promise((resolve) => {
    socket.on('error', (error: Error) => resolve(error.message));
    socket.on('close', () => resolve('closed'));
  });
}

/** A listener that trusts one member; everything it refuses, and a check that it gave out nothing. */
async function listenForRefusals(members: readonly Identity[]) {
  const refusals: BatonError[] = [];
  const { listener, identity } = await listenLocally(members, { onRefused: (error) => refusals.push(error) });
  const accepted: Connection[] = [];
  const accepting = (async () => {
    for await (const connection of listener) accepted.push(connection);
  })();
  return {
    listener,
    identity,
    refusals,
    accepted,
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      await accepting;
    },
  };
}

// Proves: the certificate is what RFC 5280 and RFC 8410 say, verifies by its own key, and is valid now.
test('certificate', () => {
  const identity = makeIdentity();
  const certificate = new X509Certificate(identity.certificatePem);
  assert.equal(certificate.subject, 'CN=baton');
  assert.equal(certificate.issuer, 'CN=baton');
  assert.equal(certificate.ca, false);
  assert.equal(certificate.publicKey.asymmetricKeyType, 'ed25519');
  assert.ok(certificate.verify(certificate.publicKey));
  assert.equal(certificate.fingerprint256.replaceAll(':', '').toLowerCase(), identity.fingerprint);
  assert.ok(certificate.validFromDate.getTime() < Date.now() - 23 * 3600_000);
  assert.ok(certificate.validToDate.getTime() > Date.now() + 29 * 24 * 3600_000);
  assert.notEqual(new X509Certificate(makeIdentity().certificatePem).serialNumber, certificate.serialNumber);
  assert.equal(
    new X509Certificate(makeIdentity(Date.UTC(2051, 0, 1)).certificatePem).validToDate.getUTCFullYear(),
    2051,
  );
});

// Proves: what is spoken is TLS 1.3 with AES-128-GCM, and no session can be resumed.
test('parameters', options, async () => {
  const client = makeIdentity();
  await using server = await listenForRefusals([client]);
  const settings = {
    host: '127.0.0.1',
    port: server.listener.port,
    rejectUnauthorized: false,
    key: client.privateKeyPem,
    cert: client.certificatePem,
  };
  const sessions: Buffer[] = [];
  const first = connectRawTls(settings);
  first.on('session', (session) => sessions.push(session)).on('error', () => {});
  await once(first, 'secureConnect');
  assert.equal(first.getProtocol(), 'TLSv1.3');
  assert.equal(first.getCipher().name, 'TLS_AES_128_GCM_SHA256');
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const session of sessions) {
    const second = connectRawTls({ ...settings, session });
    second.on('error', () => {});
    await once(second, 'secureConnect');
    assert.equal(second.isSessionReused(), false);
    second.destroy();
  }
  first.destroy();
});

// Proves (P1): strangers of every kind are turned away before a byte of theirs is read, and a member is not.
test('a listener gives out members only', options, async () => {
  const member = makeIdentity();
  const impostor = makeIdentity();
  await using server = await listenForRefusals([member]);
  const { port } = server.listener;
  await strangerEnds(port, {});
  await strangerEnds(port, { key: impostor.privateKeyPem, cert: impostor.certificatePem });
  const oldVersion = await strangerEnds(port, {
    key: member.privateKeyPem,
    cert: member.certificatePem,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
  });
  assert.match(oldVersion, /version/);
  const plain = connectTcp(port, '127.0.0.1').on('error', () => {});
  plain.write('GET / HTTP/1.1\r\n\r\n');
  plain.resume();
  await once(plain, 'close');
  assert.deepEqual(
    server.refusals.map(({ code }) => code),
    Array(4).fill('NOT_TRUSTED'),
  );
  assert.match(server.refusals[0]?.message ?? '', /is missing/);
  assert.match(server.refusals[1]?.message ?? '', new RegExp(`is ${impostor.fingerprint}`));
  assert.equal(server.accepted.length, 0);
  // A stolen certificate without its key cannot even be offered.
  await assert.rejects(dial(server.listener, { ...member, privateKeyPem: impostor.privateKeyPem }, server.identity));
  await using connection = await dial(server.listener, member, server.identity);
  await connection.write(...encodeFrame(frameTypes.ping));
  while (server.accepted.length === 0) await new Promise(setImmediate);
  assert.equal((await server.accepted[0]?.readFrame())?.type, frameTypes.ping);
  assert.equal(server.accepted[0]?.peerFingerprint, member.fingerprint);
  server.accepted[0]?.destroy();
});

// Proves (P1): a client tells nothing to a server that is not the one it was sent to.
test('a client refuses another server', options, async () => {
  const client = makeIdentity();
  await using server = await listenForRefusals([client]);
  await assert.rejects(dial(server.listener, client, makeIdentity()), hasCode('NOT_TRUSTED'));

  const received: Buffer[] = [];
  const oldServer = createRawTlsServer(
    { key: client.privateKeyPem, cert: client.certificatePem, maxVersion: 'TLSv1.2' },
    (socket: TLSSocket) => {
      socket.on('data', (data: Buffer) => received.push(data));
    },
  );
  await once(oldServer.listen(0, '127.0.0.1'), 'listening');
  const address = oldServer.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  await assert.rejects(dial(server.listener, client, client, { port }), hasCode('NOT_TRUSTED'));
  assert.deepEqual(received, []);
  oldServer.close();
});

// Proves (P2): a first frame recorded on one connection is refused on another, also when everything else in it is right.
test('a replayed HELLO is refused', options, async () => {
  const member = makeIdentity();
  await using server = await listenForRefusals([member]);
  await using first = await dial(server.listener, member, server.identity);
  await using second = await dial(server.listener, member, server.identity);
  while (server.accepted.length < 2) await new Promise(setImmediate);
  const jobId = new Uint8Array(16).fill(7);
  const hello: Hello = {
    version: 1,
    jobId,
    from: 0,
    to: 1,
    epoch: 0,
    stream: 0,
    streams: 1,
    purpose: 'data',
    binding: first.binding,
  };
  const verdicts = [];
  for (const [index, connection] of [first, second].entries()) {
    await connection.write(...encodeFrame(frameTypes.hello, encodeHello(hello)));
    const accepted = server.accepted[index];
    const frame = await accepted?.readFrame();
    assert.ok(accepted !== undefined && frame !== undefined);
    const { peerFingerprint, binding } = accepted;
    verdicts.push(
      checkHello(decodeHello(frame.payload), {
        jobId,
        to: 1,
        epoch: 0,
        members: [member.fingerprint, server.identity.fingerprint],
        peerFingerprint,
        binding,
        versions: { min: 1, max: 1 },
      }),
    );
  }
  assert.deepEqual(verdicts[0], { accepted: true });
  assert.ok(verdicts[1]?.accepted === false);
  assert.equal(verdicts[1].error.code, 'NOT_TRUSTED');
  assert.match(verdicts[1].error.message, /hello: binding is /);
  for (const connection of server.accepted) connection.destroy();
});

// Proves: silent strangers get no more than their number of places, and never keep a member out.
test('handshakes are bounded in number', options, async () => {
  const member = makeIdentity();
  await using server = await listenForRefusals([member]);
  const silent: Socket[] = [];
  let closed = 0;
  for (let count = 0; count < limits.handshakesMax; count++) {
    const socket = connectTcp(server.listener.port, '127.0.0.1').on('error', () => {});
    socket.resume().on('close', () => closed++);
    silent.push(socket);
    await once(socket, 'connect');
  }
  {
    await using _ = await dial(server.listener, member, server.identity);
  }
  assert.ok(
    server.refusals.some(({ message }) => message.includes('handshakes are under way; the oldest was given up')),
  );
  while (closed === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([closed, silent[0]?.destroyed], [1, true]);
  for (const socket of silent) socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 200));
  for (let count = 0; count < limits.handshakesMax + 10; count++) {
    await using _ = await dial(server.listener, member, server.identity);
  }
  for (const connection of server.accepted) connection.destroy();
});

// Proves: ports are tried in order without the excluded ones, and a full range is said to be full.
test('the first free port of a range', options, async () => {
  const identity = makeIdentity();
  const common = { identity, allowed: () => new Set<string>(), host: '127.0.0.1' };
  const taken = createServer();
  let first = 0;
  // Three free neighbours are needed; the system hands out ports from the same range, so look until they are found.
  for (let base = 20_000 + (process.pid % 3000) * 4; first === 0; base += 4) {
    taken.listen(base, '127.0.0.1');
    if (
      await once(taken, 'listening').then(
        () => true,
        () => false,
      )
    )
      first = base;
  }
  await using listener = await listenTls({ ...common, ports: { first, last: first + 3, excluded: [first + 1] } });
  assert.ok(listener.port >= first + 2 && listener.port <= first + 3);
  await assert.rejects(
    listenTls({ ...common, ports: { first, last: first + 1, excluded: [first + 1] } }),
    hasCode('PORT_TAKEN'),
  );
  await assert.rejects(
    listenTls({ ...common, host: '192.0.2.1', ports: { first, last: first, excluded: [] } }),
    hasCode('SYSTEM'),
  );
  taken.close();
});

// Proves: without a host, IPv4 and IPv6 peers reach the same listener.
test('all addresses', options, async () => {
  const member = makeIdentity();
  const identity = makeIdentity();
  await using listener = await listenTls({ ports: anyPort, identity, allowed: () => new Set([member.fingerprint]) });
  for (const host of ['127.0.0.1', '::1']) {
    await using connection = await dial(listener, member, identity, { host });
    await using accepted = await listener.accept(AbortSignal.timeout(5000));
    assert.deepEqual(accepted?.binding, connection.binding);
  }
});

// Proves: connecting ends by itself: nobody there, nobody answering, or nobody wanting it any more.
test('connecting has an end', options, async () => {
  const identity = makeIdentity();
  const silent = createServer((socket) => socket.on('error', () => {}).resume());
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  const address = silent.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const base = { host: '127.0.0.1', port, identity, expectedFingerprint: identity.fingerprint, timeoutMs: 100 };
  await assert.rejects(connectTls(base), hasCode('HOP_UNREACHABLE'));
  const reason = new Error('for this test');
  const controller = new AbortController();
  const connecting = connectTls({ ...base, timeoutMs: 5000 }, controller.signal);
  setTimeout(() => controller.abort(reason), 50);
  await assert.rejects(connecting, reason);
  silent.close();
  await once(silent, 'close');
  await assert.rejects(connectTls(base), hasCode('HOP_UNREACHABLE'));
});

// Proves: a listener that is disposed lets its consumer go, and what it gave out lives on.
test('disposing a listener', options, async () => {
  const member = makeIdentity();
  const { listener, identity } = await listenLocally([member]);
  await using client = await dial(listener, member, identity);
  await using accepted = await listener.accept(AbortSignal.timeout(5000));
  await assert.rejects(listener.accept(AbortSignal.timeout(20)), { name: 'TimeoutError' });
  const waiting = listener.accept();
  await listener[Symbol.asyncDispose]();
  assert.equal(await waiting, undefined);
  await client.write(...encodeFrame(frameTypes.ping));
  assert.equal((await accepted?.readFrame())?.type, frameTypes.ping);
});
