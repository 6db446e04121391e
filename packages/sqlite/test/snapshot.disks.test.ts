// Backups and imports on a disk that is full.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode } from '../src/index.ts';
import { audit } from './bank.ts';
import { askStock } from './stock.ts';

const options = { timeout: 120_000 };
const isFull = (error: unknown): boolean => error instanceof BatonError && error.code === 'NO_SPACE';

// Proves: a full disk leaves nothing half of a backup, the older ones stay, and the next one is made when there is space (B5).
test('a backup on a full disk', options, async () => {
  await using sandbox = makeSandbox();
  await using disk = await smallFileSystem(sandbox, sandbox.join('disk'), { kind: 'tmpfs', sizeBytes: 6_000_000 });
  const backupTo = { directory: `${disk.path}/backups`, everyMs: 3_600_000, keep: 2 };
  await using node = await openNode({ directory: sandbox.join('node'), readers: 1, backupTo });
  await node.execute('CREATE TABLE t (a)');
  await node.execute('INSERT INTO t VALUES (randomblob(1000000))');
  const first = await node.backup();
  writeFileSync(`${disk.path}/ballast`, Buffer.alloc(3_900_000));
  await node.execute('INSERT INTO t VALUES (randomblob(1000000))');
  await assert.rejects(node.backup(), isFull);
  assert.match((await node.status()).backups!.failure!.message, /space/);
  assert.ok(readdirSync(backupTo.directory).every((name) => !name.endsWith('.partial')));
  assert.deepEqual(askStock(`${first.path}/main.db`, 'SELECT count(*) FROM t'), [[1]]);
  rmSync(`${disk.path}/ballast`);
  const { path } = await node.backup();
  assert.deepEqual(askStock(`${path}/main.db`, 'SELECT count(*) FROM t'), [[2]]);
  assert.equal((await node.status()).backups!.failure, undefined);
});

// Proves: an import that the disk has no room for is refused before it begins; one that meets a full disk leaves nothing, and with space
// everybody writes again (B6).
test('an import on a full disk', options, async () => {
  await using sandbox = makeSandbox();
  await using disk = await smallFileSystem(sandbox, sandbox.join('disk'), { kind: 'tmpfs', sizeBytes: 220_000_000 });
  const file = sandbox.join('large.db');
  const sql = 'CREATE TABLE t AS SELECT randomblob(1000) AS a FROM generate_series(1, 30000)';
  assert.equal(spawnSync('sqlite3', [file, sql]).status, 0);
  mkdirSync(`${disk.path}/node`);
  const settings = { directory: `${disk.path}/node`, readers: 1, segmentBytes: 4_194_304 };
  await using node = await openNode(settings);
  await node.execute("CREATE TABLE here AS SELECT 'here' AS a");
  const ballast = `${disk.path}/ballast`;
  writeFileSync(ballast, Buffer.alloc(100_000_000));
  await assert.rejects(node.importFile(file, 'large'), isFull);
  rmSync(ballast);
  const fill = (): void => void spawnSync('sh', ['-c', `cat /dev/zero >> ${ballast}`]);
  await assert.rejects(node.importFile(file, 'large', { onProgress: (done) => done > 5_000_000 && fill() }), isFull);
  assert.deepEqual((await node.query('SELECT a FROM here')).rows, [['here']]);
  rmSync(ballast);
  await node.execute("INSERT INTO here VALUES ('still')");
  assert.deepEqual(
    (await node.status()).databases.map(({ name }) => name),
    ['main'],
  );
  await node.importFile(file, 'large');
  await node.close();
  assert.deepEqual(askStock(`${disk.path}/node/main.db`, audit.integrity), [['ok']]);
  assert.deepEqual(askStock(`${disk.path}/node/large.db`, 'SELECT count(*) FROM t'), [[30_000]]);
});
