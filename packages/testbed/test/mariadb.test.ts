// Proves: database servers start, replicate, and leave nothing, also when the test that started them is killed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMariadb, startReplication, startWriteLoad, tableChecksum, waitUntilCaughtUp } from '../src/mariadb.ts';
import { processStart } from '../src/process-table.ts';
import { makeSandbox } from '../src/sandbox.ts';
import { assertSweptAfterKill } from './killed-run.ts';

const timeout = 60_000;

test('a replica has what its source has', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using source = await startMariadb(sandbox, { name: 'source' });
  await using replica = await startMariadb(sandbox, { name: 'replica' });
  assert.notEqual(await source.value('SELECT @@server_id'), await replica.value('SELECT @@server_id'));
  await startReplication(replica, { source });
  const load = await startWriteLoad(source);
  await load.stop();
  await waitUntilCaughtUp(replica, source);
  const rows = await source.value('SELECT COUNT(*) FROM load_test.rows');
  assert.ok(Number(rows) > 50);
  assert.equal(await replica.value('SELECT MAX(id) FROM load_test.rows'), rows);
  assert.equal(await tableChecksum(replica, 'load_test.rows'), await tableChecksum(source, 'load_test.rows'));
  const { pid } = source;
  await source.stop();
  assert.equal(processStart(pid), undefined);
  assert.match(source.log(), /Shutdown complete/);
});

test('a killed test leaves nothing behind after a sweep', { timeout }, async () => {
  await assertSweptAfterKill('mariadb', "startMariadb(sandbox, { name: 'left' })");
});
