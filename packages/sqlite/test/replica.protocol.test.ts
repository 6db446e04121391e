// What a leader and a follower say to one another, without either.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import fc from 'fast-check';
import { Assembler } from '../src/replica/assembler.ts';
import { askPeer, connectPeer } from '../src/replica/connect.ts';
import { Lag } from '../src/replica/lag.ts';
import { Link } from '../src/replica/link.ts';
import {
  type Batch,
  decodeMessage,
  encodeMessage,
  type Hello,
  leaderOf,
  type Message,
} from '../src/replica/messages.ts';
import { type Asked, judgeHello } from '../src/replica/verdict.ts';
import { runs } from './property.ts';

/** Plain objects, as a decoder makes them. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });
const number = fc.nat(2 ** 40);
const position = record({ epoch: fc.nat(2 ** 32 - 1), index: number });
const text = fc.string({ maxLength: 60 });
const entry = record({ index: number, epoch: number, payload: fc.uint8Array({ maxLength: 300 }) });
const batch = record({
  type: fc.constant('entries' as const),
  leader: position,
  entries: fc.array(entry, { maxLength: 6 }),
});
const message: fc.Arbitrary<Message> = fc.oneof(
  batch,
  record({ type: fc.constant('ping' as const), leader: position, state: text }),
  record({ type: fc.constant('ack' as const), position }),
  record({
    type: fc.constant('hello' as const),
    versions: record({ min: fc.nat(9), max: fc.nat(9) }),
    nodeId: text,
    logId: text,
    position,
    state: text,
    name: text,
    pingMs: fc.nat(100_000),
  }),
  record({
    type: fc.constant('answer' as const),
    verdict: fc.constantFrom('continue', 'snapshot', 'diverged', 'wait', 'other-log', 'loop', 'version'),
    version: fc.nat(9),
    logId: text,
    position,
    upstream: fc.array(text, { maxLength: 4 }),
    reason: text,
  }),
);

function plain(decoded: Message): Message {
  if (decoded.type !== 'entries') return decoded;
  return { ...decoded, entries: decoded.entries.map((one) => ({ ...one, payload: new Uint8Array(one.payload) })) };
}

// Proves: every message comes out as it went in, however the network cuts it.
test('messages', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), fc.array(fc.integer({ min: 1, max: 97 })), (messages, cuts) => {
      const bytes = Buffer.concat(messages.map(encodeMessage));
      const assembler = new Assembler();
      const received: Message[] = [];
      for (let at = 0, cut = 0; at < bytes.length; cut++) {
        const length = cuts[cut % cuts.length] ?? bytes.length;
        for (const one of assembler.push(bytes.subarray(at, at + length))) received.push(plain(decodeMessage(one)));
        at += length;
      }
      assert.deepEqual(received, messages);
    }),
    runs(100),
  );
});

// Proves: entries that were damaged on the way in any bit are refused, and whatever comes is read or refused by a BatonError.
test('damage', () => {
  fc.assert(
    fc.property(batch, fc.nat(), fc.nat(7), (sent: Batch, at, bit) => {
      const bytes = encodeMessage(sent).subarray(4);
      assert.deepEqual(leaderOf(bytes), sent.leader);
      bytes[at % bytes.length]! ^= 1 << bit;
      assert.throws(() => decodeMessage(bytes), BatonError);
    }),
    runs(200),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        for (const one of new Assembler().push(bytes)) decodeMessage(one);
        if (bytes.length > 0) decodeMessage(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof BatonError, String(error));
      }
    }),
    runs(300),
  );
  const long = Buffer.alloc(4);
  long.writeUInt32LE(2 ** 31);
  assert.throws(() => [...new Assembler().push(long)], { code: 'LIMIT' });
});

// Proves: age is counted by the one clock of who counts, from when the other side said where it is until everything up to there is here.
test('lag', () => {
  const lag = new Lag(10);
  assert.equal(lag.ageMs(0), undefined);
  lag.tell(10, 100);
  assert.deepEqual([lag.ageMs(150), lag.behindMs(150), lag.entries], [50, 0, 0]);
  lag.tell(12, 200);
  lag.tell(12, 300);
  lag.tell(15, 400);
  assert.deepEqual([lag.ageMs(500), lag.behindMs(500), lag.entries], [400, 300, 5]);
  lag.reach(12);
  assert.deepEqual([lag.ageMs(500), lag.behindMs(500), lag.entries], [200, 100, 3]);
  lag.reach(15);
  assert.deepEqual([lag.ageMs(500), lag.behindMs(500), lag.entries], [100, 0, 0]);
});

const asked: Asked = {
  nodeId: 'asked',
  logId: 'log',
  origins: ['restored'],
  position: { epoch: 3, index: 50 },
  state: 'state',
  upstream: [],
  isConnected: true,
  isLeader: true,
};
const hello: Hello = {
  type: 'hello',
  versions: { min: 1, max: 1 },
  nodeId: 'follower',
  logId: 'log',
  position: { epoch: 3, index: 40 },
  state: 'earlier',
  name: 'name',
  pingMs: 1000,
};

// Proves: who is served is decided by what it says of itself (R3, R5, R6).
test('verdicts', () => {
  const judge = (change: Partial<Hello>, node: Partial<Asked> = {}): string =>
    judgeHello({ ...hello, ...change }, { ...asked, ...node })?.verdict ?? 'look at the log';
  const follower = { isLeader: false, upstream: ['leader'] };
  assert.equal(judge({}), 'look at the log');
  assert.equal(judge({ logId: '' }), 'look at the log');
  assert.equal(judge({ versions: { min: 2, max: 3 } }), 'version');
  assert.equal(judge({ versions: { min: 1, max: 3 } }), 'look at the log');
  assert.equal(judge({ logId: 'other' }), 'other-log');
  assert.equal(judge({ logId: 'restored' }), 'diverged');
  assert.equal(judge({ nodeId: 'asked' }), 'loop');
  assert.equal(judge({ nodeId: 'leader' }, follower), 'loop');
  assert.equal(judge({}, { ...follower, isConnected: false }), 'wait');
  assert.equal(judge({ position: { epoch: 3, index: 60 } }, follower), 'wait');
  assert.equal(judge({ position: { epoch: 3, index: 60 } }), 'look at the log');
  assert.equal(judge({ position: asked.position }), 'diverged');
  assert.equal(judge({ position: asked.position, state: 'state' }), 'look at the log');
});

async function socketPair(): Promise<readonly [Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  const [[other]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [[Socket], unknown];
  server.close();
  return [socket, other];
}

// Proves: a side that says nothing is given up after its time, and the last message of one that ends is heard.
test('silence and the last word', async () => {
  const [socket, other] = await socketPair();
  using quiet = new Link(socket, 100);
  await assert.rejects(quiet.receive(), { code: 'CONNECTION_LOST', message: /said nothing for 100 ms/ });
  other.destroy();
  const [near, far] = await socketPair();
  using ending = new Link(near);
  using hearing = new Link(far);
  ending.end(new BatonError('ACCESS_DENIED', 'the token was revoked'));
  await assert.rejects(hearing.receive(), { code: 'ACCESS_DENIED', message: 'the token was revoked' });
});

// Proves: a node that asks for another one and finds something else says what; where that may pass by itself it may be tried again.
test('what is no leader', async () => {
  let status = 200;
  const server = createHttpServer((_request, response) => response.writeHead(status).end('<html>')).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const follow = { url: `http://127.0.0.1:${port}` };
  const { signal } = new AbortController();
  for (const [answer, code, retryable] of [
    [200, 'PROTOCOL', false],
    [404, 'PROTOCOL', false],
    [502, 'UNREACHABLE', true],
  ] as const) {
    status = answer;
    await assert.rejects(connectPeer(follow, 'log', signal), { code, retryable, message: /127\.0\.0\.1/ });
    if (answer !== 200) await assert.rejects(askPeer(follow, '/txn/key', signal), { code, retryable });
  }
  server.close();
  await once(server, 'close');
  await assert.rejects(connectPeer(follow, 'log', signal), { code: 'UNREACHABLE', retryable: true });
  await assert.rejects(connectPeer(follow, 'log', AbortSignal.abort(new Error('gone'))), { message: 'gone' });
});
