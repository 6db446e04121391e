// Proves: a node's levels and a server's are in one answer of /metrics, of all databases and as of now, and none is left of a database
// that was dropped.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { Registry } from 'prom-client';
import { openNode } from '../src/node/open-node.ts';
import { startServer } from '../src/server/server.ts';

test('positions, sizes and transactions', async () => {
  await using sandbox = makeSandbox();
  await using node = await openNode({ directory: sandbox.join('node') });
  const registry = new Registry();
  node.registerMetrics(registry);
  await using server = await startServer(node.clients(), { listen: '127.0.0.1:0', registry, onFault: () => undefined });
  const metrics = async (): Promise<string> => await (await fetch(`http://${server.address}/metrics`)).text();
  await node.execute('CREATE TABLE t (x)');
  await node.createDatabase('other', { pageBytes: 8192 });
  await node.execute('CREATE TABLE u (x)', [], { database: 'other' });
  const text = await metrics();
  assert.match(text, new RegExp(`^baton_sqlite_position_index ${node.position.index}$`, 'm'));
  assert.match(text, /^baton_sqlite_database_bytes\{database="main"\} 8192$/m);
  assert.match(text, /^baton_sqlite_database_bytes\{database="other"\} 16384$/m);
  assert.match(text, /^baton_sqlite_database_transactions\{database="other"\} 1$/m);
  assert.match(text, /^baton_sqlite_writable 1$/m);
  assert.match(text, /^baton_sqlite_connections 1$/m);
  await node.dropDatabase('other');
  assert.doesNotMatch(await metrics(), /database="other"/);
});
