// The stock Hrana client where it speaks version 3, which @libsql/client does not ask for yet.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as hrana from '@libsql/hrana-client';
import { serve } from './support/served.ts';

// Proves: cursors, prepared texts, descriptions and autocommit, as the protocol's own client understands them.
test('version 3 over WebSocket', async () => {
  await using served = await serve();
  const client = hrana.openWs(served.url('', 'ws'), undefined, 3);
  try {
    assert.equal(await client.getVersion(), 3);
    const stream = client.openStream();
    await stream.run('CREATE TABLE t (a INTEGER, b TEXT)');
    const insert = client.storeSql('INSERT INTO t VALUES (?, ?)');
    for (let a = 0; a < 5; a++) await stream.run([insert, [a, `row ${a}`]]);
    insert.close();
    const batch = stream.batch(true);
    const begin = batch.step();
    const begun = begin.run('BEGIN');
    const rows = batch.step().condition(hrana.BatchCond.ok(begin)).query('SELECT a, b FROM t ORDER BY a');
    const skipped = batch.step().condition(hrana.BatchCond.isAutocommit(batch)).query('SELECT 1');
    const failed = batch.step().run('nonsense');
    const refused = assert.rejects(failed, { code: 'SQLITE_ERROR' });
    await batch.execute();
    await begun;
    assert.deepEqual(
      (await rows)?.rows.map((row) => [row['a'], row['b']]),
      [0, 1, 2, 3, 4].map((a) => [a, `row ${a}`]),
    );
    assert.equal(await skipped, undefined);
    await refused;
    assert.equal(await stream.getAutocommit(), false);
    await stream.run('ROLLBACK');
    assert.equal(await stream.getAutocommit(), true);
    const large = stream.batch(true);
    const numbers = large
      .step()
      .query('WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT i FROM n');
    await large.execute();
    assert.equal((await numbers)?.rows.length, 20_000);
    const described = await stream.describe('SELECT a FROM t WHERE b = :b AND a = ?');
    assert.deepEqual(described.paramNames, [':b', undefined]);
    assert.deepEqual(described.columns, [{ name: 'a', decltype: 'INTEGER' }]);
    stream.close();
  } finally {
    client.close();
  }
});
