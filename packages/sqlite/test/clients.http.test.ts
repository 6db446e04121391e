// What the page for users shows beyond a client's own examples.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from '@libsql/client';
import { serve } from './support/served.ts';

// Proves: a database is reached by its path over both ways, with the slash at the end that clients need.
test('a database by its path', async () => {
  await using served = await serve();
  for (const scheme of ['http', 'ws']) {
    const client = createClient({ url: served.url('/db/other/', scheme) });
    await client.execute('CREATE TABLE IF NOT EXISTS only_here (a)');
    await client.execute('INSERT INTO only_here VALUES (1)');
    client.close();
  }
  const client = createClient({ url: served.url() });
  await assert.rejects(client.execute('SELECT * FROM only_here'), { code: 'SQLITE_ERROR' });
  client.close();
});

// Proves: a stock client can name a transaction, and anybody can ask what became of it.
test('a key for a transaction', async () => {
  await using served = await serve();
  const keyed = (request: Request): Promise<Response> => {
    request.headers.set('idempotency-key', 'order-4711');
    return fetch(request);
  };
  const client = createClient({ url: served.url(), fetch: keyed });
  await client.batch(['CREATE TABLE t (a)', 'INSERT INTO t VALUES (1)'], 'write');
  client.close();
  const receipt = (await (await fetch(served.url('/txn/order-4711'))).json()) as { state: string };
  assert.equal(receipt.state, 'committed');
});
