// SQLite's memory, which grows while SQLite is called.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { FaultyLayer } from './faulty-layer.ts';
import { openHost, run } from './in-process.ts';

// Proves: connections are opened as many as there is memory for, also those in whose opening the memory grows and is another array afterwards.
test('many connections', async () => {
  const host = await openHost(new FaultyLayer(new Random(seedOfRun())));
  await host.openDatabase('main', 1024);
  await run(host, 'CREATE TABLE t (v)');
  for (let count = 0; count < 300; count++) {
    const session = host.executor.openSession('main');
    await run(host, 'INSERT INTO t VALUES (?)', [count], { session });
    await run(host, 'CREATE TEMP TABLE own (v)', [], { session });
  }
  assert.deepEqual((await run(host, 'SELECT count(*) FROM t')).results[0]!.rows, [[300]]);
  await host.close();
});
