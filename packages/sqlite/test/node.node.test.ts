// A node with its threads, as a program embeds it.
import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { openNode, type SqlError, type SqliteNode } from '../src/index.ts';
import { accounts, audit, balance, judge, openBank, transfer } from './bank.ts';
import { askStock } from './stock.ts';

const timeout = 60_000;

async function open(sandbox: Sandbox, more: Partial<Parameters<typeof openNode>[0]> = {}): Promise<SqliteNode> {
  return await openNode({ directory: sandbox.join('node'), segmentBytes: 1_048_576, ...more });
}

// Proves: values of every kind come back as they were given, in both modes of numbers.
test('values', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using node = await open(sandbox);
  const given = [null, 1, -1, 2 ** 40, 2n ** 62n, 1.5, '', 'ä\u0000ß😀', new Uint8Array(0), Uint8Array.of(0, 255)];
  const marks = given.map(() => '?').join(', ');
  const { rows } = await node.query(`SELECT ${marks}`, given);
  assert.deepEqual(rows, [given]);
  const exact = await node.query('SELECT ?, ?, typeof(?), typeof(?)', [1, 1n, 1, 1n], { numbers: 'exact' });
  assert.deepEqual(exact.rows, [[1, 1n, 'real', 'integer']]);
  const named = await node.query('SELECT :a, $b, @c', { a: 1, $b: 2, c: 3 });
  assert.deepEqual(named.rows, [[1, 2, 3]]);
  await assert.rejects(node.query('SELECT ?', [1, 2]), { code: 'USAGE' });
  await assert.rejects(node.query('SELECT :a', { b: 1 }), { code: 'USAGE' });
});

// Proves: money is neither made nor lost for any reader at any moment, in threads of the node and in this one (I0 to I3, C1).
test('a bank under readers', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const random = new Random(seedOfRun());
  await using node = await open(sandbox, { checkpointBytes: 2_097_152, segmentBytes: 1_048_576, indexPages: 8192 });
  await node.batch(openBank);
  const local = await node.reader();
  let isDone = false;
  let reads = 0;
  const check = (total: unknown): void => {
    reads += 1;
    assert.equal(total, accounts * balance);
  };
  const readers = [
    ...Array.from({ length: 3 }, async () => {
      while (!isDone) check((await node.query('SELECT sum(balance) FROM account')).rows[0]![0]);
    }),
    (async () => {
      while (!isDone) {
        check(local.rows('SELECT sum(balance) FROM account')[0]![0]);
        await new Promise(setImmediate);
      }
    })(),
  ];
  const ids = Array.from({ length: 1200 }, (_, index) => index + 1);
  const waiting = [...ids];
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) await node.batch(transfer(id, random));
    }),
  );
  isDone = true;
  await Promise.all(readers);
  assert.ok(reads > 50, `${reads} reads`);
  assert.ok((await node.status()).checkpoint.index > 0, 'no checkpoint was made');
  await node.close();
  const path = sandbox.join('node', 'main.db');
  judge(askStock(path, audit.ledger), askStock(path, audit.accounts), askStock(path, audit.integrity), ids);
});

// Proves: a transaction of several calls sees itself and nobody else sees it before its commit; who writes meanwhile waits; a stale deferred one
// fails with an error that can be retried.
test('interactive transactions', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using node = await open(sandbox, { transactionMsMax: 700 });
  await node.execute('CREATE TABLE t (v)');
  const count = async (): Promise<unknown> => (await node.query('SELECT count(*) FROM t')).rows[0]![0];
  {
    await using transaction = await node.transaction();
    await transaction.execute('INSERT INTO t VALUES (1)');
    assert.deepEqual((await transaction.execute('SELECT count(*) FROM t')).rows, [[1]]);
    const other = node.execute('INSERT INTO t VALUES (2)');
    assert.equal(await count(), 0);
    const position = await transaction.commit();
    assert.ok((await other).position.index >= position.index);
    assert.deepEqual((await node.query('SELECT count(*) FROM t', [], { atLeast: (await other).position })).rows, [[2]]);
  }
  {
    await using transaction = await node.transaction();
    await transaction.execute('DELETE FROM t');
  }
  assert.equal(await count(), 2);
  {
    await using stale = await node.transaction({ mode: 'deferred' });
    await stale.execute('SELECT * FROM t');
    await node.execute('INSERT INTO t VALUES (3)');
    assert.deepEqual((await stale.execute('SELECT count(*) FROM t')).rows, [[2]]);
    await assert.rejects(stale.execute('INSERT INTO t VALUES (4)'), { sqliteCode: 'SQLITE_BUSY', retryable: true });
  }
  await using slow = await node.transaction();
  await slow.execute('DELETE FROM t');
  await node.execute('INSERT INTO t VALUES (5)');
  await assert.rejects(slow.commit(), { code: 'TIMED_OUT' });
  assert.equal(await count(), 4);
});

// Proves: a batch is one transaction; an error takes all of it back, and says what SQLite says.
test('batches and errors', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using node = await open(sandbox);
  await node.execute('CREATE TABLE t (id INTEGER PRIMARY KEY)');
  const failing = node.batch([{ sql: 'INSERT INTO t VALUES (1)' }, { sql: 'INSERT INTO t VALUES (1)' }]);
  await assert.rejects(failing, (error: SqlError) => {
    assert.equal(error.code, 'STATEMENT_FAILED');
    assert.equal(error.sqliteCode, 'SQLITE_CONSTRAINT');
    assert.equal(error.sqliteExtendedCode, 'SQLITE_CONSTRAINT_PRIMARYKEY');
    return true;
  });
  assert.deepEqual((await node.query('SELECT * FROM t')).rows, []);
  await assert.rejects(node.query('INSERT INTO t VALUES (1)'), { code: 'USAGE' });
  await assert.rejects(node.execute('BEGIN'), { code: 'USAGE' });
  await assert.rejects(node.execute('SELECT 1; SELECT 2'), { code: 'USAGE' });
  const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n';
  await assert.rejects(node.query(endless, [], { timeoutMs: 100 }), { code: 'TIMED_OUT' });
  await assert.rejects(node.execute(endless, [], { timeoutMs: 100 }), { code: 'TIMED_OUT' });
  await assert.rejects(node.query('SELECT 1 UNION ALL SELECT 2', [], { rowsMax: 1 }), { code: 'LIMIT' });
});

// Proves: what would reach other files or weaken what lasts is refused, by name.
test('refused statements', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using node = await open(sandbox);
  await node.execute('CREATE TABLE t (v)');
  const refused = [
    "ATTACH '/etc/passwd' AS p",
    "ATTACH '' AS p",
    'DETACH main',
    "SELECT load_extension('x')",
    "VACUUM INTO '/tmp/x'",
    'PRAGMA journal_mode = WAL',
    'PRAGMA synchronous = 0',
    'PRAGMA page_size = 512',
    'PRAGMA writable_schema = 1',
    'PRAGMA schema_version = 7',
    "PRAGMA temp_store_directory = '/tmp'",
    'PRAGMA locking_mode = EXCLUSIVE',
    'PRAGMA foreign_keys = 1',
  ];
  for (const sql of refused) await assert.rejects(node.execute(sql), { code: 'STATEMENT_FAILED' }, sql);
  for (const sql of ["VACUUM INTO '/tmp/x'", "VACUUM main INTO 'x' || 'y'", "ATTACH 'x' AS y"])
    await assert.rejects(
      node.execute(sql),
      { sqliteCode: 'SQLITE_AUTH', message: /is not possible|are not possible/ },
      sql,
    );
  await node.execute('VACUUM');
  await using session = await node.session();
  await session.execute('PRAGMA foreign_keys = 1');
  assert.deepEqual((await session.execute('PRAGMA foreign_keys')).rows, [[1]]);
  for (const sql of ['VACUUM', 'PRAGMA user_version = 5', 'PRAGMA optimize', 'ANALYZE', 'REINDEX'])
    await node.execute(sql);
  assert.deepEqual((await node.query('PRAGMA user_version')).rows, [[5]]);
});

// Proves: a key's transaction is committed once, also when it is sent again, at once or after a restart.
test('receipts', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using node = await open(sandbox);
  await node.execute('CREATE TABLE t (v)');
  const twice = await Promise.all([1, 2].map(() => node.execute('INSERT INTO t VALUES (1)', [], { key: 'one' })));
  assert.deepEqual(
    twice.map(({ isRepeated }) => isRepeated),
    [false, true],
  );
  assert.deepEqual(await node.receipt('one'), { state: 'committed', position: twice[0]!.position });
  assert.deepEqual(await node.receipt('two'), { state: 'absent' });
  await assert.rejects(node.execute('INSERT INTO nowhere VALUES (1)', [], { key: 'two' }));
  assert.deepEqual(await node.receipt('two'), { state: 'absent' });
  await node.close();
  await using again = await open(sandbox);
  assert.deepEqual(await again.receipt('one'), { state: 'committed', position: twice[0]!.position });
  assert.equal((await again.execute('INSERT INTO t VALUES (1)', [], { key: 'one' })).isRepeated, true);
  assert.deepEqual((await again.query('SELECT count(*) FROM t')).rows, [[1]]);
});

// Proves: databases have their names after a clean stop and only then; two nodes never share a directory; a dropped one's file is kept (D1, D2, D3, M2).
test('databases and files', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('node');
  await using node = await open(sandbox);
  await node.createDatabase('second', { pageBytes: 8192 });
  await node.execute('CREATE TABLE t AS SELECT 1 AS v', [], { database: 'second' });
  await node.execute('CREATE TABLE t AS SELECT 2 AS v');
  await assert.rejects(node.execute('SELECT 1', [], { database: 'third' }), { code: 'NOT_FOUND' });
  await assert.rejects(node.createDatabase('../up'), { code: 'USAGE' });
  await assert.rejects(node.createDatabase('odd', { pageBytes: 1000 }), { code: 'USAGE' });
  await assert.rejects(openNode({ directory }), { code: 'IN_USE' });
  assert.deepEqual(readdirSync(directory), ['.baton']);
  await node.close();
  assert.deepEqual(readdirSync(directory).sort(), ['.baton', 'main.db', 'second.db']);
  assert.deepEqual(askStock(`${directory}/second.db`, 'SELECT v FROM t'), [[1]]);
  await using again = await open(sandbox);
  assert.deepEqual((await again.query('SELECT v FROM t', [], { database: 'second' })).rows, [[1]]);
  await again.dropDatabase('second');
  await assert.rejects(again.query('SELECT 1', [], { database: 'second' }), { code: 'NOT_FOUND' });
  await again.createDatabase('second');
  assert.deepEqual((await again.query('SELECT name FROM sqlite_schema', [], { database: 'second' })).rows, []);
  await again.close();
  assert.deepEqual(readdirSync(directory).sort(), ['.baton', 'dropped', 'main.db', 'second.db']);
  const [dropped = ''] = readdirSync(`${directory}/dropped`);
  assert.deepEqual(askStock(`${directory}/dropped/${dropped}`, 'SELECT v FROM t'), [[1]]);
});

// Proves: a file that another program changed after a clean stop is noticed and adopted only on demand; one that was only copied is the same (D4).
test('a file that was changed in between', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('node');
  const path = `${directory}/main.db`;
  await using node = await open(sandbox);
  await node.execute('CREATE TABLE t AS SELECT 1 AS v');
  await node.close();
  copyFileSync(path, `${path}.copy`);
  utimesSync(path, 1, 1);
  await (await open(sandbox)).close();
  askStock(path, 'UPDATE t SET v = 2');
  await assert.rejects(open(sandbox), { code: 'CHANGED' });
  assert.ok(existsSync(path));
  await using adopted = await open(sandbox, { adopt: ['main'] });
  assert.deepEqual((await adopted.query('SELECT v FROM t')).rows, [[2]]);
  await adopted.execute('UPDATE t SET v = 3');
  await adopted.close();
  assert.deepEqual(askStock(path, 'SELECT v FROM t'), [[3]]);
  writeFileSync(`${path}-wal`, 'somebody was here');
  await assert.rejects(open(sandbox), { code: 'CHANGED', message: /-wal/ });
  await assert.rejects(open(sandbox, { adopt: ['main'] }), { code: 'CHANGED' });
  writeFileSync(`${path}-wal`, '');
  appendFileSync(path, 'more');
  await assert.rejects(open(sandbox), { code: 'CHANGED' });
});

// Proves: a transaction far larger than the memory it is given spills, rolls back, commits in parts, and is vacuumed again; what was promised of
// SQLite's extensions is there.
test('large transactions', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using node = await open(sandbox, { overlayBytes: 262_144, temporaryBytes: 262_144, cacheKib: 256 });
  await node.execute('CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)');
  const fill =
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) INSERT INTO t(v) SELECT randomblob(3000) FROM n';
  {
    await using transaction = await node.transaction();
    await transaction.execute(fill);
  }
  assert.deepEqual((await node.query('SELECT count(*) FROM t')).rows, [[0]]);
  await node.execute(fill);
  await node.execute('CREATE INDEX by_v ON t (hex(v))');
  await node.execute('DELETE FROM t WHERE id % 3 > 0');
  await node.execute('VACUUM');
  await node.execute('CREATE VIRTUAL TABLE f USING fts5(text)');
  await node.execute("INSERT INTO f VALUES ('a page of a transaction'), ('a log')");
  await node.execute('CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)');
  await node.execute('INSERT INTO r VALUES (1, 0, 10)');
  assert.deepEqual((await node.query("SELECT text FROM f WHERE f MATCH 'log'")).rows, [['a log']]);
  assert.deepEqual((await node.query('SELECT count(*) FROM t')).rows, [[2000]]);
  assert.deepEqual((await node.query('PRAGMA integrity_check')).rows, [['ok']]);
  await node.close();
  assert.deepEqual(askStock(sandbox.join('node', 'main.db'), 'PRAGMA integrity_check'), [['ok']]);
});

// Proves: a reader that stays for long loses its snapshot instead of filling the disk, with an error that can be retried (I4).
test('a snapshot that is too old', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using node = await open(sandbox, {
    snapshotMsMax: 1000,
    segmentBytes: 1_048_576,
    checkpointBytes: 1_048_576,
    cacheKib: 64,
    readers: 1,
  });
  await node.execute('CREATE TABLE t (v)');
  const insert = 'INSERT INTO t VALUES (randomblob(50000))';
  await node.batch(Array.from({ length: 20 }, () => ({ sql: insert })));
  const slow =
    'SELECT sum(length(hex(a.v)) + length(hex(b.v)) + length(hex(c.v)) + length(hex(d.v))) FROM t a, t b, t c, t d';
  const reading = assert.rejects(node.query(slow), { code: 'HISTORY_LOST', retryable: true });
  for (let count = 0; count < 60; count++) {
    await node.execute(insert);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  await reading;
  const { logBytes } = await node.status();
  assert.ok(logBytes < 5_000_000, `${logBytes} bytes of log`);
});
