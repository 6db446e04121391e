// Hrana over WebSocket, message by message.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { limits } from '../src/hrana/limits.ts';
import { RawSocket, refusalOf } from './support/raw-socket.ts';
import { type Json, type Served, serve, valuesOf } from './support/served.ts';

const hello = { type: 'hello', jwt: null };

async function greet(served: Served, protocols?: readonly string[], path = ''): Promise<RawSocket> {
  const client = await RawSocket.open(served.url(path, 'ws'), protocols);
  client.say(hello);
  await client.find(({ type }) => type === 'hello_ok');
  return client;
}

const open = (streamId: number): Json => ({ type: 'open_stream', stream_id: streamId });
const execute = (streamId: number, sql: string, more: Json = {}): Json => ({
  type: 'execute',
  stream_id: streamId,
  stmt: { sql, ...more },
});

// Proves: the newest version that both know is chosen, and nothing is served to who knows none of ours.
test('subprotocols', async () => {
  await using served = await serve();
  for (const [offered, chosen] of [
    [['hrana2', 'hrana1'], 'hrana2'],
    [['hrana3-protobuf', 'hrana2', 'hrana3'], 'hrana3'],
  ] as const) {
    using client = await RawSocket.open(served.url('', 'ws'), offered);
    assert.equal(client.socket.protocol, chosen);
  }
  assert.deepEqual(await refusalOf(served.url('', 'ws'), ['hrana1']), [415, 'WRONG_TYPE']);
  assert.deepEqual(await refusalOf(served.url('/v2', 'ws'), ['hrana2']), [404, 'NO_SUCH_PATH']);
});

// Proves: requests may be sent before the answers to those that they depend on, streams are apart from each other, texts are shared (H3).
test('streams and stored texts', async () => {
  await using served = await serve();
  using client = await greet(served, ['hrana2']);
  const numbers = [
    open(1),
    execute(1, 'CREATE TABLE t (a)'),
    { type: 'store_sql', sql_id: 1, sql: 'SELECT count(*) FROM t' },
    execute(1, 'BEGIN'),
    execute(1, 'INSERT INTO t VALUES (1)'),
    open(2),
    { type: 'execute', stream_id: 2, stmt: { sql_id: 1 } },
    { type: 'execute', stream_id: 1, stmt: { sql_id: 1 } },
    { type: 'batch', stream_id: 1, batch: { steps: [{ stmt: { sql: 'COMMIT' } }, { stmt: { sql_id: 1 } }] } },
    { type: 'sequence', stream_id: 1, sql: 'INSERT INTO t VALUES (2); INSERT INTO t VALUES (3)' },
    { type: 'describe', stream_id: 1, sql_id: 1 },
  ].map((request) => client.request(request));
  const answers = await Promise.all(numbers.map((number) => client.answer(number)));
  assert.deepEqual(
    answers.map(({ type }) => type),
    [
      'open_stream',
      'execute',
      'store_sql',
      'execute',
      'execute',
      'open_stream',
      'execute',
      'execute',
      'batch',
      'sequence',
      'describe',
    ],
  );
  assert.deepEqual([valuesOf(answers[6]), valuesOf(answers[7])], [[['0']], [['1']]]);
  assert.equal((await client.ask({ type: 'close_sql', sql_id: 1 }))['type'], 'close_sql');
  assert.equal((await client.ask({ type: 'describe', stream_id: 1, sql_id: 1 }))['code'], 'PROTOCOL');
  for (const streamId of [1, 2, 3])
    assert.equal((await client.ask({ type: 'close_stream', stream_id: streamId }))['type'], 'close_stream');
  assert.equal(served.databases.sessions.size, 0);
  assert.equal((await client.ask(execute(1, 'SELECT 1')))['message'], 'the stream 1 was not opened');
  assert.equal(
    (await client.ask({ type: 'get_autocommit', stream_id: 1 }))['code'],
    'PROTOCOL',
    'which Hrana 2 does not have',
  );
});

// Proves: what a request gets wrong is its own answer, and the connection goes on (H6).
test('mistakes of a request', async () => {
  await using served = await serve();
  using client = await greet(served);
  await client.ask(open(1));
  for (const [request, message] of [
    [open(1), /^the stream 1 is open already/],
    [{ type: 'open_stream', stream_id: 1.5 }, /^request\.stream_id must be an integer of 32 bits/],
    [{ type: 'nonsense' }, /^request\.type must be a request of Hrana 3 over WebSocket/],
    [{ type: 'execute', stream_id: 1, stmt: { sql: 1 } }, /^request\.stmt\.sql must be a string, and is a number/],
    [{ type: 'fetch_cursor', cursor_id: 9, max_count: 1 }, /^the cursor 9 was not opened/],
    [execute(1, 'nonsense'), /syntax error/],
  ] as const) {
    assert.match(String((await client.ask(request))['message']), message);
  }
  assert.deepEqual(valuesOf(await client.ask(execute(1, 'SELECT 1'))), [['1']]);
});

// Proves: a breach of the protocol itself closes the connection, with the reason.
test('breaches of the protocol', async () => {
  await using served = await serve();
  for (const [messages, code, reason] of [
    [['{'], 1002, /no JSON/],
    [['[]'], 1002, /must be an object/],
    [[{ type: 'request', request_id: 1, request: open(1) }], 1002, /must be hello/],
    [[hello, { type: 'goodbye' }], 1002, /type must be hello or request/],
    [[hello, { type: 'request', request_id: '1', request: {} }], 1002, /request_id must be an integer/],
    [['x'.repeat(limits.helloBytesMax + 1)], 1008, /must be hello/],
  ] as const) {
    using client = await RawSocket.open(served.url('', 'ws'));
    for (const message of messages) client.say(message);
    const closed = await client.whenClosed();
    assert.deepEqual([closed.code, reason.test(closed.reason)], [code, true], closed.reason);
  }
  using client = await greet(served);
  client.socket.send(Buffer.from('{}'), { binary: true });
  assert.equal((await client.whenClosed()).code, 1003);
});

// Proves: who connects and says nothing is not served for long, and neither is who stops answering.
test('silence', async () => {
  await using served = await serve({ settings: { arrivalMsMax: 200, pingMs: 200 } });
  using silent = await RawSocket.open(served.url('', 'ws'));
  assert.deepEqual(await silent.whenClosed(), { code: 1008, reason: 'no hello came' });
  using client = await RawSocket.open(served.url('', 'ws'), ['hrana3'], { autoPong: false });
  client.say(hello);
  assert.equal((await client.whenClosed()).code, 1006);
  using awake = await greet(served);
  await delay(700);
  assert.equal((await awake.ask(open(1)))['type'], 'open_stream');
});

// Proves: a cursor gives all entries in order, in pieces of at most the size that was asked for, while other streams go on.
test('a cursor', async () => {
  await using served = await serve();
  using client = await greet(served);
  await client.ask(open(1));
  await client.ask(open(2));
  const numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n';
  const batch = { steps: [{ stmt: { sql: numbers } }, { stmt: { sql: 'nonsense' } }] };
  assert.deepEqual(await client.ask({ type: 'open_cursor', stream_id: 1, cursor_id: 7, batch }), {
    type: 'open_cursor',
  });
  const fetch = { type: 'fetch_cursor', cursor_id: 7, max_count: 300 };
  assert.deepEqual(await client.ask({ ...fetch, max_count: 0 }), { type: 'fetch_cursor', entries: [], done: false });
  assert.match(String((await client.ask(execute(1, 'SELECT 1')))['message']), /^the cursor 7 is open on this stream/);
  assert.deepEqual(valuesOf(await client.ask(execute(2, 'SELECT 1'))), [['1']]);
  const entries: Json[] = [];
  for (let done = false; !done; ) {
    const piece = await client.ask(fetch);
    const some = piece['entries'] as Json[];
    assert.ok(some.length <= 300);
    entries.push(...some);
    done = piece['done'] === true;
  }
  assert.deepEqual(await client.ask(fetch), { type: 'fetch_cursor', entries: [], done: true });
  assert.equal(entries.length, 1003);
  const rows = entries.slice(1, 1001).map(({ row }) => Number((row as Json[])[0]?.['value']));
  assert.deepEqual(
    rows,
    Array.from({ length: 1000 }, (_, index) => index + 1),
  );
  assert.deepEqual(
    [entries[1001]?.['type'], entries[1002]?.['type'], entries[1002]?.['step']],
    ['step_end', 'step_error', 1],
  );
  assert.equal(
    (await client.ask({ type: 'open_cursor', stream_id: 2, cursor_id: 7, batch }))['message'],
    'the cursor 7 is open already',
  );
  await client.ask({ type: 'close_cursor', cursor_id: 7 });
  assert.deepEqual(valuesOf(await client.ask(execute(1, 'SELECT 2'))), [['2']]);
});

// Proves: a cursor that is closed in the middle runs no further, and one that nobody reads ends with its stream (H4).
test('a cursor that is left', async () => {
  await using served = await serve({ settings: { streamIdleMsMax: 200 } });
  using client = await greet(served);
  await client.ask(open(1));
  const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n';
  const steps = [{ stmt: { sql: endless } }, { stmt: { sql: 'CREATE TABLE never (a)' } }];
  const openCursor = { type: 'open_cursor', stream_id: 1, cursor_id: 1, batch: { steps } };
  await client.ask(openCursor);
  await client.ask({ type: 'fetch_cursor', cursor_id: 1, max_count: 10 });
  await client.ask({ type: 'close_cursor', cursor_id: 1 });
  assert.equal((await client.ask(execute(1, 'SELECT * FROM never')))['code'], 'SQLITE_ERROR');
  await client.ask(openCursor);
  await client.ask({ type: 'fetch_cursor', cursor_id: 1, max_count: 10 });
  await delay(500);
  assert.equal(served.databases.sessions.size, 0);
  await client.ask({ type: 'close_cursor', cursor_id: 1 });
  assert.match(
    String((await client.ask(execute(1, 'SELECT 1')))['message']),
    /cursor was not read for more than 0\.2 s/,
  );
});

// Proves: over WebSocket, too, a write can be named, and its answer carries its position; reads carry none.
test('positions and keys', async () => {
  await using served = await serve();
  using client = await greet(served);
  await client.ask(open(1));
  await client.ask(execute(1, 'CREATE TABLE t (a)'));
  const written = await client.ask({ ...execute(1, 'INSERT INTO t VALUES (1)'), transaction_key: 'k' });
  assert.match(String(written['position']), /^1\.\d+$/);
  assert.deepEqual(served.databases.receipts.get('k'), written['position']);
  assert.equal((await client.ask({ ...execute(1, 'SELECT 1'), at_least: written['position'] }))['position'], undefined);
  assert.deepEqual(served.databases.asked.slice(-2), [{ transactionKey: 'k' }, { atLeast: written['position'] }]);
  assert.equal((await client.ask({ ...execute(1, 'SELECT 1'), transaction_key: 'a b' }))['code'], 'PROTOCOL');
  assert.match(String((await client.ask({ ...execute(1, 'SELECT 1'), at_least: 7 }))['message']), /^request\.at_least/);
});

// Proves: what a connection has open ends with it.
test('a client that goes away', async () => {
  await using served = await serve();
  const client = await greet(served, ['hrana3'], '/db/other');
  await client.ask(open(1));
  await client.ask(execute(1, 'BEGIN IMMEDIATE'));
  assert.equal(served.databases.sessions.size, 1);
  client.socket.terminate();
  const startMs = performance.now();
  while (served.databases.sessions.size > 0 && performance.now() - startMs < 10_000) await delay(10);
  assert.equal(served.databases.sessions.size, 0);
});

// Proves: streams are limited, and a flood of requests is held up by the network and not by our memory: all are answered.
test('floods', async () => {
  await using served = await serve();
  using client = await greet(served);
  for (let id = 0; id < limits.streamsPerSocketMax; id++) client.request(open(id));
  assert.equal((await client.ask(open(-1)))['code'], 'LIMIT');
  const numbers = Array.from({ length: 5000 }, (_, index) =>
    client.request(execute(index % 8, 'SELECT ?', { args: [{ type: 'integer', value: String(index) }] })),
  );
  for (const [index, number] of numbers.entries())
    assert.deepEqual(valuesOf(await client.answer(number)), [[String(index)]]);
});

// Proves: a client that does not read gets no more answers begun than fit: its wishes wait with it (H8).
test('a client that does not read', async () => {
  await using served = await serve();
  using client = await greet(served);
  await client.ask(open(1));
  await client.ask(execute(1, 'CREATE TABLE t (a)'));
  client.socket.pause();
  const large = `SELECT zeroblob(4000000)`;
  for (let count = 0; count < 10; count++) client.request(execute(1, large));
  const last = client.request(execute(1, 'INSERT INTO t VALUES (1)'));
  using observer = await greet(served);
  await observer.ask(open(1));
  await delay(2000);
  assert.deepEqual(valuesOf(await observer.ask(execute(1, 'SELECT count(*) FROM t'))), [['0']]);
  client.socket.resume();
  assert.equal((await client.answer(last))['type'], 'execute');
});
