// SQLite files of others, taken over as databases.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode } from '../src/index.ts';
import { audit } from './bank.ts';
import { askStock } from './stock.ts';

const options = { timeout: 300_000 };

/** Makes a file with Debian's sqlite3. */
function makeFile(path: string, sql: string): void {
  const { status, stderr } = spawnSync('sqlite3', [path, sql], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

const rows = (count: number): string =>
  `CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT); CREATE INDEX byText ON t (text);
   INSERT INTO t SELECT value, hex(randomblob(200)) FROM generate_series(1, ${count})`;

const hasCode = (code: ErrorCode) => (error: unknown) => error instanceof BatonError && error.code === code;

// Proves: files of every page size become databases with the same content, and others write meanwhile (B6).
test('page sizes', options, async () => {
  await using sandbox = makeSandbox();
  await using node = await openNode({ directory: sandbox.join('node') });
  await node.execute('CREATE TABLE other (a)');
  for (const pageBytes of [512, 1024, 4096, 65_536]) {
    const path = sandbox.join(`${pageBytes}.db`);
    makeFile(path, `PRAGMA page_size = ${pageBytes}; ${rows(5000)}`);
    const name = `db${pageBytes}`;
    const importing = node.importFile(path, name);
    await node.execute('INSERT INTO other VALUES (1)');
    await importing;
    const { rows: found } = await node.query('SELECT count(*), sum(length(text)) FROM t', [], { database: name });
    assert.deepEqual(found, [[5000, 5000 * 400]]);
    await node.execute("INSERT INTO t (text) VALUES ('one more')", [], { database: name });
  }
  await node.close();
  for (const name of ['db512', 'db65536']) {
    const path = sandbox.join('node', `${name}.db`);
    assert.deepEqual(askStock(path, audit.integrity), [['ok']]);
    assert.deepEqual(askStock(path, 'SELECT count(*) FROM t'), [[5001]]);
  }
  assert.deepEqual(
    readdirSync(sandbox.join('node')).filter((name) => name.startsWith('~')),
    [],
  );
});

// Proves: a file takes the place of a database in one moment, sessions see it from then on, and the old one is kept (D3).
test('in the place of another one', options, async () => {
  await using sandbox = makeSandbox();
  const node = await openNode({ directory: sandbox.join('node') });
  await node.execute("CREATE TABLE t AS SELECT 'old' AS text");
  makeFile(sandbox.join('new.db'), "CREATE TABLE t AS SELECT 'new' AS text; PRAGMA journal_mode = WAL");
  await assert.rejects(node.importFile(sandbox.join('new.db'), 'main'), hasCode('EXISTS'));
  assert.deepEqual((await node.query('SELECT text FROM t')).rows, [['old']]);
  const session = await node.session();
  await node.importFile(sandbox.join('new.db'), 'main', { replaces: true });
  assert.deepEqual((await node.query('SELECT text FROM t')).rows, [['new']]);
  assert.deepEqual((await session.execute('SELECT text FROM t')).rows, [['new']]);
  assert.deepEqual(
    (await node.status()).databases.map(({ name }) => name),
    ['main'],
  );
  await node.close();
  const [kept] = readdirSync(sandbox.join('node/dropped'));
  assert.deepEqual(askStock(sandbox.join('node/dropped', kept!), 'SELECT text FROM t'), [['old']]);
  await using again = await openNode({ directory: sandbox.join('node') });
  assert.deepEqual((await again.query('SELECT text FROM t')).rows, [['new']]);
});

// Proves: what is no database, is damaged, or in the middle of something is refused, and leaves nothing (B7).
test('what is refused', options, async () => {
  await using sandbox = makeSandbox();
  await using node = await openNode({ directory: sandbox.join('node') });
  const path = sandbox.join('file.db');
  await assert.rejects(node.importFile(path, 'x'), hasCode('NOT_FOUND'));
  makeFile(path, rows(2000));
  await assert.rejects(node.importFile(path, '~1'), hasCode('USAGE'));
  await assert.rejects(node.importFile(path, '../x'), hasCode('USAGE'));
  const descriptor = openSync(path, 'r+');
  writeSync(descriptor, Buffer.alloc(4096, 7), 0, 4096, 5 * 4096);
  closeSync(descriptor);
  await assert.rejects(node.importFile(path, 'x'), hasCode('DIGEST_MISMATCH'));
  const text = sandbox.join('text');
  makeFile(sandbox.join('busy.db'), 'CREATE TABLE t (a)');
  writeFileSync(text, 'no database');
  await assert.rejects(node.importFile(text, 'x'), hasCode('UNSUPPORTED'));
  const wal = openSync(`${sandbox.join('busy.db')}-wal`, 'w');
  writeSync(wal, 'something');
  closeSync(wal);
  await assert.rejects(node.importFile(sandbox.join('busy.db'), 'x'), hasCode('CHANGED'));
  assert.deepEqual((await node.status()).databases, []);
});
