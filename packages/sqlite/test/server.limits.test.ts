// What the server gives up rather than be filled.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { limits } from '../src/hrana/limits.ts';
import { ReceivingBudget } from '../src/server/body.ts';
import { execute, post, resultsOf, serve, valuesOf } from './support/served.ts';

// Proves: streams over HTTP are limited in number, and one that ends makes room.
test('streams', async () => {
  await using served = await serve({ settings: { streamsMax: 2 } });
  const pipeline = served.url('/v2/pipeline');
  const select = { requests: [execute('SELECT 1')] };
  const first = await post(pipeline, select);
  await post(pipeline, select);
  const refused = await post(pipeline, select);
  assert.deepEqual([refused.status, refused.body['code']], [503, 'UNAVAILABLE']);
  await post(pipeline, { baton: first.body['baton'], requests: [{ type: 'close' }] });
  assert.deepEqual(valuesOf(resultsOf(await post(pipeline, select))[0]), [['1']]);
});

// Proves: a client that asks and does not take the answer is cut off.
test('an answer that nobody takes', async () => {
  await using served = await serve({ settings: { stallMsMax: 300 } });
  const [host = '', port = ''] = served.server.address.split(':');
  const body = JSON.stringify({ requests: [execute('SELECT zeroblob(16000000)')] });
  const socket = connect({ port: Number(port), host, onread: { buffer: Buffer.alloc(1), callback: () => false } });
  socket.on('error', () => undefined);
  socket.write(
    `POST /v2/pipeline HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  const startMs = performance.now();
  const connections = async (): Promise<unknown> => {
    const metrics = await (await fetch(served.url('/metrics'), { headers: { connection: 'close' } })).text();
    return /^baton_sqlite_connections (\d+)$/m.exec(metrics)?.[1];
  };
  while ((await connections()) !== '1' || served.databases.sessions.size === 0) {
    assert.ok(performance.now() - startMs < 10_000, 'it is still there');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  socket.destroy();
});

// Proves: all clients together cannot have more under way than fits, and what has arrived makes room again.
test('the budget of what is received', () => {
  const budget = new ReceivingBudget();
  budget.take(limits.receivingBytesMax - 1);
  budget.take(1);
  assert.throws(() => budget.take(1), { code: 'UNAVAILABLE' });
  budget.giveBack(1);
  budget.take(1);
});
