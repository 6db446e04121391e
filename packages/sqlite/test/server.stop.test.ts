// How a server ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { RawSocket } from './support/raw-socket.ts';
import { execute, post, resultsOf, serve } from './support/served.ts';

const close = { type: 'close' };

// Proves: a stopping server lets open transactions come to their end, begins nothing new, and then is gone (H7).
test('transactions come to their end', async () => {
  await using served = await serve();
  const pipeline = served.url('/v2/pipeline');
  await post(pipeline, { requests: [execute('CREATE TABLE t (a)'), close] });
  const { body } = await post(pipeline, { requests: [execute('BEGIN'), execute('INSERT INTO t VALUES (1)')] });
  const idle = await post(pipeline, { requests: [execute('SELECT 1')] });
  using busy = await RawSocket.open(served.url('', 'ws'));
  using bored = await RawSocket.open(served.url('', 'ws'));
  for (const client of [busy, bored]) {
    client.say({ type: 'hello', jwt: null });
    await client.ask({ type: 'open_stream', stream_id: 1 });
  }
  await busy.ask({ type: 'execute', stream_id: 1, stmt: { sql: 'BEGIN' } });

  const stopped = served.server.stop();
  assert.deepEqual(await bored.whenClosed(), { code: 1001, reason: 'the server is stopping' });
  assert.equal((await fetch(served.url('/ready'))).status, 503);
  assert.deepEqual((await post(pipeline, { requests: [execute('SELECT 1')] })).body['code'], 'UNAVAILABLE');
  assert.equal((await post(pipeline, { baton: idle.body['baton'], requests: [close] })).body['code'], 'STREAM_EXPIRED');
  assert.equal((await busy.ask({ type: 'open_stream', stream_id: 2 }))['code'], 'UNAVAILABLE');
  const more = await post(pipeline, { baton: body['baton'], requests: [execute('INSERT INTO t VALUES (2)')] });
  const done = await post(pipeline, { baton: more.body['baton'], requests: [execute('COMMIT')] });
  assert.deepEqual([resultsOf(done)[0]?.['type'], done.body['baton']], ['execute', null]);
  assert.equal((await busy.ask({ type: 'execute', stream_id: 1, stmt: { sql: 'COMMIT' } }))['type'], 'execute');
  assert.equal((await busy.whenClosed()).code, 1001);
  await stopped;
  assert.equal(served.databases.sessions.size, 0);
  await assert.rejects(fetch(served.url('/health')));
});

// Proves: what does not come to its end is ended by the limit, and rolled back (H7).
test('a stop has a limit', async () => {
  await using served = await serve({ settings: { stopMsMax: 300 } });
  const pipeline = served.url('/v2/pipeline');
  await post(pipeline, { requests: [execute('BEGIN IMMEDIATE')] });
  const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n';
  const running = post(pipeline, { requests: [{ type: 'execute', stmt: { sql: endless, want_rows: false } }] });
  const outcome = running.then(
    (reply) => resultsOf(reply)[0]?.['code'],
    () => 'broken',
  );
  await delay(100);
  const startMs = performance.now();
  await Promise.all([served.server.stop(), served.server.stop()]);
  assert.ok(performance.now() - startMs >= 290);
  assert.equal(served.databases.sessions.size, 0);
  assert.ok(['STREAM_EXPIRED', 'broken'].includes(String(await outcome)), String(await outcome));
});
