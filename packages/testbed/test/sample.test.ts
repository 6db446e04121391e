// Proves: a sample database is the same from the same seed, and a load on it knows what was acknowledged through a kill -9.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '../src/postgres.ts';
import { createSampleDatabase } from '../src/sample-database.ts';
import { startSampleLoad } from '../src/sample-load.ts';
import { makeSandbox } from '../src/sandbox.ts';
import { openSourceDatabase } from '../src/source-rows.ts';

test('a sample database and a load', { timeout: 120_000 }, async () => {
  await using sandbox = makeSandbox();
  await using server = await startPostgres(sandbox);
  await createSampleDatabase(server, { database: 'one', scale: 20 });
  await createSampleDatabase(server, { database: 'two', scale: 20 });
  const read = async (database: string): Promise<string[]> => {
    const source = await openSourceDatabase(server, database);
    const all: string[] = [];
    for await (const { table, rows } of source.read(() => true)) {
      for (const { values } of rows) all.push(`${table.name} ${[...values.values()].join(' ')}`);
    }
    return all.sort();
  };
  const one = await read('one');
  assert.ok(one.length > 400);
  assert.deepEqual(await read('two'), one);

  await using load = await startSampleLoad({ urls: [server.url({ database: 'one', withPassword: true })] });
  await sleep(500);
  await server.kill();
  await server.start();
  const before = load.counts.committed;
  while (load.counts.committed < before + 10) await sleep(20);
  await load.stop();
  const ledger = await server.psql(`SELECT worker || '/' || number FROM ledger`, { database: 'one' });
  const there = new Set(ledger.split('\n'));
  assert.deepEqual(
    [...load.acknowledged].filter((name) => !there.has(name)),
    [],
  );
  assert.deepEqual(
    [...there].filter((name) => !load.acknowledged.has(name) && !load.unknown.has(name)),
    [],
  );
});
