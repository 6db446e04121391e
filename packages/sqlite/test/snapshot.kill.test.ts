// Processes that are killed while they back up, restore or import.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode } from '../src/index.ts';
import { verifyBackup } from '../src/snapshot/backup.ts';
import { findBackups } from '../src/snapshot/backup-format.ts';
import { isSoak } from './property.ts';

const rounds = isSoak ? 30 : 1;
const timeout = isSoak ? 3_600_000 : 120_000;
const program = fileURLToPath(new URL('./operations-process.ts', import.meta.url));
const never = new AbortController().signal;

async function runAndKill(args: readonly string[], liveMs: number): Promise<void> {
  const flags = ['--conditions=batondb-source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  setTimeout(() => child.kill('SIGKILL'), liveMs);
  assert.equal((await exited)[1], 'SIGKILL');
}

// Proves: whenever a process is killed, a directory is in one of its whole states, every backup that has a name is good, and nothing is left of an
// import that did not come to its end (B4 to B6).
test('killed at any time', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const random = new Random(seedOfRun());
  const [directory, backups, file] = [sandbox.join('node'), sandbox.join('backups'), sandbox.join('large.db')];
  const sql = 'CREATE TABLE t AS SELECT randomblob(1000) AS a FROM generate_series(1, 10000)';
  assert.equal(spawnSync('sqlite3', [file, sql]).status, 0);
  {
    await using node = await openNode({ directory, readers: 1 });
    await node.execute("CREATE TABLE here AS SELECT 'here' AS a");
  }
  for (let round = 0; round < rounds; round++) {
    for (const what of ['import', 'backup', 'restore']) {
      await runAndKill([what, directory, backups, file], random.integer(1, 2500));
      await using node = await openNode({ directory, readers: 1 });
      const names = (await node.status()).databases.map(({ name }) => name).sort();
      assert.ok(names.length === 0 || names.join() === 'main' || names.join() === 'large,main', names.join());
      if (names.includes('main')) assert.deepEqual((await node.query('SELECT a FROM here')).rows, [['here']]);
      if (names.includes('large')) {
        const { rows } = await node.query('SELECT count(*) FROM t', [], { database: 'large' });
        assert.deepEqual(rows, [[10_000]]);
      }
      for (const { path, manifest } of findBackups(backups)) await verifyBackup(path, manifest.files, never);
      await node.close();
      assert.equal(existsSync(join(directory, '.baton/received')), false);
    }
  }
});
