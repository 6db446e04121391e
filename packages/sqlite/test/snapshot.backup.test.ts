// Backups, and what is restored from them.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { openNode, type SqliteNode } from '../src/index.ts';
import { type FileLayer, nodeFileLayer } from '../src/log/file-layer.ts';
import { Paths } from '../src/machine/paths.ts';
import { checkSnapshot } from '../src/snapshot/check.ts';
import { discardReplaced, listReplaced, restoreBackup } from '../src/snapshot/restore.ts';
import { finishSwap, installReceived } from '../src/snapshot/swap.ts';
import { audit } from './bank.ts';
import { isSoak } from './property.ts';
import { askStock } from './stock.ts';

const options = { timeout: 300_000 };
const never = new AbortController().signal;
const hour = 3_600_000;
const hasCode = (code: ErrorCode) => (error: unknown) => error instanceof BatonError && error.code === code;

function open(
  sandbox: Sandbox,
  name: string,
  more: { keep?: number; restoreIfEmpty?: boolean } = {},
): Promise<SqliteNode> {
  const { keep = 10, restoreIfEmpty = false } = more;
  const backupTo = { directory: sandbox.join('backups'), everyMs: hour, keep };
  return openNode({ directory: sandbox.join(name), readers: 1, backupTo, restoreIfEmpty });
}

const values = async (node: SqliteNode): Promise<unknown[]> =>
  (await node.query('SELECT a FROM t ORDER BY a')).rows.map(([a]) => a);

/** Changes some bytes in the middle of a file. */
function damage(path: string): void {
  writeSync(openSync(path, 'r+'), Buffer.alloc(16, 0x5a), 0, 16, 5000);
}

/** A node with backups of two of its states, closed. Returns their paths, the older one first. */
async function twoBackups(sandbox: Sandbox): Promise<readonly [string, string]> {
  await using node = await open(sandbox, 'node');
  await node.execute('CREATE TABLE t (a INTEGER PRIMARY KEY)', [], { key: 'the-table' });
  await node.execute('INSERT INTO t VALUES (1)');
  const { path: first } = await node.backup();
  await node.execute('INSERT INTO t VALUES (2)');
  const { path: second } = await node.backup();
  await node.execute('INSERT INTO t VALUES (3)');
  return [first, second];
}

// Proves: a backup is ordinary files that are verified, only as many as wanted are kept, and nothing of anybody else's is touched (B5).
test('backups', options, async () => {
  await using sandbox = makeSandbox();
  const strange = sandbox.join('backups', 'baton-20200101T000000000Z-1.1');
  mkdirSync(strange, { recursive: true });
  writeFileSync(join(strange, 'mine'), 'not a backup');
  const node = await open(sandbox, 'node', { keep: 2 });
  await node.execute('CREATE TABLE t (a)');
  const made: string[] = [];
  for (let count = 1; count <= 3; count++) {
    await node.execute('INSERT INTO t VALUES (?)', [count]);
    made.push((await node.backup()).path);
  }
  const { backups } = await node.status();
  assert.equal(backups?.newest?.path, made[2]);
  assert.equal(backups?.failed, 0);
  await node.close();
  const names = readdirSync(sandbox.join('backups')).sort();
  assert.deepEqual(
    names,
    ['baton-20200101T000000000Z-1.1', ...made.slice(1).map((path) => path.split('/').at(-1)!)].sort(),
  );
  assert.deepEqual(askStock(join(made[2]!, 'main.db'), audit.integrity), [['ok']]);
  assert.deepEqual(askStock(join(made[1]!, 'main.db'), 'SELECT count(*) FROM t'), [[2]]);
});

// Proves: a failing backup is told and ends nothing.
test('a backup that fails', options, async () => {
  await using sandbox = makeSandbox();
  writeFileSync(sandbox.join('backups'), 'a file where a directory should be');
  await using node = await open(sandbox, 'node');
  await node.execute('CREATE TABLE t (a)');
  await assert.rejects(node.backup());
  assert.ok((await node.status()).backups!.failed > 0);
  assert.match((await node.status()).backups!.failure!.message, /backups/);
  await node.execute('INSERT INTO t VALUES (1)');
});

// Proves: a restored directory is the backup's state with its receipts, under a new history; what was there is kept until told (B4).
test('a restore', options, async () => {
  await using sandbox = makeSandbox();
  const [first] = await twoBackups(sandbox);
  const before = JSON.parse(readFileSync(sandbox.join('node/.baton/state'), 'utf8').split('\n')[1]!) as {
    logId: string;
  };
  await using _other = await openNode({ directory: sandbox.join('other') });
  await assert.rejects(restoreBackup(first, sandbox.join('other'), never), hasCode('IN_USE'));
  const restored = await restoreBackup(first, sandbox.join('node'), never);
  assert.equal(restored.path, first);
  const [old] = listReplaced(sandbox.join('node'));
  assert.deepEqual(askStock(join(old!, 'main.db'), 'SELECT a FROM t'), [[1], [2], [3]]);
  await using node = await open(sandbox, 'node');
  assert.deepEqual(await values(node), [1]);
  assert.notEqual((await node.status()).logId, before.logId);
  assert.equal((await node.receipt('the-table')).state, 'committed');
  await node.execute('INSERT INTO t VALUES (7)');
  await node.close();
  discardReplaced(sandbox.join('node'));
  assert.deepEqual(listReplaced(sandbox.join('node')), []);
  await using again = await open(sandbox, 'node');
  assert.deepEqual(await values(again), [1, 7]);
});

// Proves: a damaged backup is refused and changes nothing; a new directory begins with the newest one that is good, and says what it passed by.
test('damaged backups', options, async () => {
  await using sandbox = makeSandbox();
  const [first, second] = await twoBackups(sandbox);
  damage(join(second, 'main.db'));
  await assert.rejects(restoreBackup(second, sandbox.join('node'), never), hasCode('DIGEST_MISMATCH'));
  {
    await using node = await open(sandbox, 'node');
    assert.deepEqual(await values(node), [1, 2, 3]);
  }
  {
    await using node = await open(sandbox, 'fresh', { restoreIfEmpty: true });
    assert.deepEqual(await values(node), [1]);
    const { restored } = await node.status();
    assert.equal(restored?.path, first);
    assert.deepEqual(
      restored?.skipped.map(({ path }) => path),
      [second],
    );
  }
  // The first ones of the nodes, too: the one of the restored node is good, and the other one is empty.
  for (const name of readdirSync(sandbox.join('backups'))) {
    const path = sandbox.join('backups', name);
    if (existsSync(join(path, 'main.db'))) damage(join(path, 'main.db'));
    else rmSync(path, { recursive: true });
  }
  await assert.rejects(open(sandbox, 'third', { restoreIfEmpty: true }), hasCode('DIGEST_MISMATCH'));
  await using empty = await openNode({ directory: sandbox.join('fourth') });
  assert.deepEqual((await empty.status()).databases, []);
});

/** A file system on which everything ends before a step. */
function endingLayer(steps: number): FileLayer {
  let left = steps;
  const step = (): void => {
    if (left-- <= 0) throw new Error('the end');
  };
  const layer = Object.create(nodeFileLayer) as FileLayer;
  return Object.assign(layer, {
    rename: (from: string, to: string) => (step(), nodeFileLayer.rename(from, to)),
    remove: (path: string) => (step(), nodeFileLayer.remove(path)),
    makeDirectory: (path: string) => (step(), nodeFileLayer.makeDirectory(path)),
    syncDirectory: (path: string) => (step(), nodeFileLayer.syncDirectory(path)),
  });
}

// Proves: whatever step of a swap is the last one, the next start has either all of the old state or all of the new one (B4).
test('a swap that ends anywhere', options, async () => {
  await using sandbox = makeSandbox();
  const [first] = await twoBackups(sandbox);
  let isDone = false;
  let news = 0;
  for (let steps = 0; !isDone; steps += isSoak ? 1 : 3) {
    const directory = sandbox.join(`copy${steps}`);
    const paths = new Paths(directory);
    copyTree(sandbox.join('node'), directory);
    copyTree(first, paths.received);
    const record = checkSnapshot(nodeFileLayer, paths.received);
    try {
      installReceived(endingLayer(steps), paths, record);
      isDone = true;
    } catch (error) {
      assert.equal((error as Error).message, 'the end');
    }
    // It may end again while it is finished.
    for (const more of [1, 2]) {
      try {
        finishSwap(endingLayer(more), paths);
      } catch (error) {
        assert.equal((error as Error).message, 'the end');
      }
    }
    const node = await openNode({ directory, readers: 1 });
    const found = await values(node);
    await node.close();
    if (found.length === 1) {
      news += 1;
      assert.deepEqual(listReplaced(directory).length, 1);
    } else assert.deepEqual(found, [1, 2, 3]);
    assert.deepEqual(askStock(join(directory, 'main.db'), audit.integrity), [['ok']]);
  }
  assert.ok(news > 1);
});

function copyTree(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    if (entry.isDirectory()) copyTree(source, join(to, entry.name));
    else writeFileSync(join(to, entry.name), readFileSync(source));
  }
}
