// A disk that fills up under a running node: real files on a small file system.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode, type SqliteNode } from '../src/index.ts';
import { askStock } from './stock.ts';

const settings = {
  readers: 1,
  segmentBytes: 1_048_576,
  checkpointBytes: 8_388_608,
  overlayBytes: 65_536,
  temporaryBytes: 65_536,
  cacheKib: 64,
};
const insert = 'INSERT INTO t (v) VALUES (randomblob(20000)) RETURNING id';
const large =
  'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t (v) SELECT randomblob(20000) FROM n';
const sorting =
  'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) SELECT count(DISTINCT hex(randomblob(5000))) FROM n';

before(() => requireRoot('the test of a full disk'));

/** Inserts rows until one is refused. Returns what was acknowledged and the refusal. */
async function insertUntilRefused(node: SqliteNode, rowsMax: number): Promise<{ ids: number[]; error: unknown }> {
  const ids: number[] = [];
  while (ids.length < rowsMax) {
    try {
      ids.push((await node.execute(insert)).rows[0]![0] as number);
    } catch (error) {
      return { ids, error };
    }
  }
  return { ids, error: undefined };
}

async function idsOf(node: SqliteNode): Promise<unknown[]> {
  return (await node.query('SELECT id FROM t ORDER BY id')).rows.map(([id]) => id);
}

// Proves: without space writes are refused with NO_SPACE and can be tried again, nothing that was acknowledged is gone, reads and the checkpoint's
// error hurt nobody, and writing goes on by itself when there is space; so does the next start.
test('a full disk', { timeout: 240_000 }, async () => {
  await using sandbox = makeSandbox();
  await using disk = await smallFileSystem(sandbox, sandbox.join('disk'), { sizeBytes: 67_108_864 });
  const directory = `${disk.path}/node`;
  const node = await openNode({ directory, ...settings });
  try {
    await node.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)');
    const first = await insertUntilRefused(node, 20);
    assert.equal(first.error, undefined);
    await disk.fill(1_500_000);
    const second = await insertUntilRefused(node, 2000);
    const { code, retryable } = second.error as { readonly code: string; readonly retryable: boolean };
    assert.deepEqual([code, retryable], ['NO_SPACE', true]);
    const acknowledged = [...first.ids, ...second.ids];
    assert.deepEqual(await idsOf(node), acknowledged);
    await node.checkpoint().catch(() => undefined);
    assert.deepEqual(await idsOf(node), acknowledged);
    disk.empty();
    const third = await insertUntilRefused(node, 20);
    assert.equal(third.error, undefined);
    await node.checkpoint();
    assert.deepEqual(await idsOf(node), [...acknowledged, ...third.ids]);
    await node.close();
    assert.deepEqual(askStock(`${directory}/main.db`, 'PRAGMA integrity_check'), [['ok']]);
    assert.equal(askStock(`${directory}/main.db`, 'SELECT count(*) FROM t')[0]![0], acknowledged.length + 20);
  } finally {
    await node.close();
  }
});

// Proves: a transaction whose pages, and a query whose sorting, do not fit on the disk ends with an error of its own, leaves nothing behind, and
// hurts nobody else.
test('a full disk under a large transaction and a large query', { timeout: 240_000 }, async () => {
  await using sandbox = makeSandbox();
  await using disk = await smallFileSystem(sandbox, sandbox.join('disk'), { sizeBytes: 67_108_864 });
  await using node = await openNode({ directory: `${disk.path}/node`, ...settings });
  await node.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)');
  const { ids } = await insertUntilRefused(node, 5);
  await disk.fill(4_000_000);
  const { bytes } = disk.free();
  await assert.rejects(node.execute(large), isFull);
  await assert.rejects(node.query(sorting), isFull);
  assert.deepEqual(await idsOf(node), ids);
  assert.ok(disk.free().bytes > bytes / 2, `${disk.free().bytes} of ${bytes} bytes are free afterwards`);
  const { ids: more, error } = await insertUntilRefused(node, 5);
  assert.equal(error, undefined);
  assert.deepEqual(await idsOf(node), [...ids, ...more]);
  disk.empty();
  assert.deepEqual((await node.query('PRAGMA integrity_check')).rows, [['ok']]);
});

function isFull(error: { readonly code: string; readonly sqliteCode?: string; readonly message: string }): boolean {
  return error.code === 'NO_SPACE' || error.sqliteCode === 'SQLITE_FULL' || /ENOSPC|full/.test(error.message);
}
