// Proves: database servers start, replicate, and leave nothing, also when the test that started them is killed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { startMariadb, startReplication, startWriteLoad, tableChecksum, waitUntilCaughtUp } from '../src/mariadb.ts';
import { killProcess, processStart } from '../src/process-table.ts';
import { sweep } from '../src/removal.ts';
import { makeSandbox } from '../src/sandbox.ts';

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
  const module = (name: string): string => JSON.stringify(new URL(`../src/${name}.ts`, import.meta.url).pathname);
  const script = `
    import { startMariadb } from ${module('mariadb')};
    import { makeSandbox } from ${module('sandbox')};
    const sandbox = makeSandbox();
    const server = await startMariadb(sandbox, { name: 'left' });
    console.log(JSON.stringify({ pid: server.pid, path: sandbox.path }));
  `;
  const argv = ['--conditions=batondb-source', '--input-type=module', '--eval', script];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  const { pid, path } = JSON.parse(said.toString()) as { pid: number; path: string };
  await killProcess(child.pid ?? 0);
  assert.notEqual(processStart(pid), undefined);
  await sweep();
  assert.equal(processStart(pid), undefined);
  assert.equal(existsSync(path), false);
});
