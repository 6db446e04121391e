import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import type { OwnedSink, Row, StreamEvent, Table, ValueCodec, ValueKind } from '@batondb/sync';
import { sqliteSink } from '@batondb/sync/sqlite/sink';
import { openSqliteView } from '@batondb/sync/sqlite/view';
import { sinkTable } from './sink-tables.ts';

// What SQLite alone has to keep: its files, names and types, and those who read them.

const a = sinkTable('a', ['id', 'x']);

async function fileFor(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-replica-'));
  t.after(() => rm(directory, { recursive: true }));
  return join(directory, 'replica.db');
}

function own(path: string, source = 'a source'): Promise<OwnedSink> {
  return sqliteSink({ path, source }).own(
    new AbortController().signal,
    () => {},
    () => {},
  );
}

async function apply(owned: OwnedSink, position: string, ...changes: StreamEvent[]): Promise<void> {
  async function* stream(): AsyncGenerator<readonly StreamEvent[]> {
    yield [...changes, { kind: 'reached', position }];
  }
  for await (const _position of owned.apply(stream()));
}

function sql(path: string, statement: string): unknown[] {
  const database = new DatabaseSync(path, { timeout: 10_000 });
  try {
    return database
      .prepare(statement)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

function isError(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof BatonError && error.code === code && message.test(error.message);
}

// Proves: files of others are refused and left as they are: what is no database, a database of something else, and a replica of another source.
test('a file that is not ours is refused', async (t) => {
  const path = await fileFor(t);
  await writeFile(path, 'a letter to a friend, which is long enough to be taken for a database');
  await assert.rejects(own(path), isError('USAGE', /is not an SQLite database/));
  await rm(path);
  sql(path, 'CREATE TABLE theirs (x)');
  await assert.rejects(own(path), isError('USAGE', /has the table theirs/));
  assert.deepEqual(sql(path, 'SELECT name FROM sqlite_schema'), [{ name: 'theirs' }]);
  sql(path, 'DROP TABLE theirs');
  await using owned = await own(path);
  await owned[Symbol.asyncDispose]();
  await assert.rejects(own(path, 'another one'), isError('USAGE', /replica of a source, not of another one/));
});

// Proves: an owner that has been replaced writes nothing any more, and knows it (Y2).
test('an owner that was replaced is refused', async (t) => {
  const path = await fileFor(t);
  await using owned = await own(path);
  await owned.begin('p0', [a], true);
  sql(path, 'UPDATE _baton_state SET owner = owner + 1');
  await assert.rejects(
    apply(owned, 'p1', { kind: 'insert', table: a, row: ['1', 'x'] }),
    isError('REFUSED', /has another owner, number 2 and not 1/),
  );
  assert.ok(owned.lost.aborted);
  assert.deepEqual(sql(path, 'SELECT * FROM a'), []);
});

// Proves: a file that was removed under us is noticed, and not written to for ever.
test('a file that was removed is noticed', async (t) => {
  const path = await fileFor(t);
  await using owned = await own(path);
  await owned.begin('p0', [a], true);
  await rm(path);
  await assert.rejects(apply(owned, 'p1'), isError('CHANGED', /was removed or replaced/));
});

// Proves: names that SQLite cannot tell apart, or that are taken, are refused before anything is written.
test('names that collide are refused', async (t) => {
  const path = await fileFor(t);
  await using owned = await own(path);
  const refused: [Table[], RegExp][] = [
    [[sinkTable('sales_orders', ['id']), sinkTable('orders', ['id'], { schema: 'sales' })], /would be the same table/],
    [[sinkTable('Users', ['id']), sinkTable('users', ['id'])], /would be the same table/],
    [[sinkTable('a', ['id', 'X', 'x'])], /columns X and x of public.a are one name/],
    [[sinkTable('sqlite_x', ['id'])], /is reserved/],
    [[sinkTable('_baton_state', ['id'])], /is reserved/],
  ];
  for (const [tables, message] of refused)
    await assert.rejects(owned.begin('p0', tables, true), isError('USAGE', message));
  await owned.begin('p0', [sinkTable('a', ['rowid', 'oid'])], true);
});

const kinds: readonly [ValueKind, string, (text: string) => number | bigint | string | Uint8Array, string][] = [
  ['boolean', 'INTEGER', (text) => (text === 't' ? 1 : 0), 't'],
  ['integer', 'INTEGER', Number, '4294967295'],
  ['bigint', 'INTEGER', BigInt, '-9223372036854775808'],
  ['decimal', 'TEXT', String, '12345678901234567890.123456789000'],
  ['float', 'REAL', Number, '0.1'],
  ['text', 'TEXT', String, '007'],
  ['binary', 'BLOB', (text) => Buffer.from(text, 'hex'), '00ff'],
  ['json', 'TEXT', String, '{"a":1.0}'],
  ['timestamp', 'TEXT', String, '2026-11-21T12:00:00.000001'],
];

// Proves: each kind of value has a type that keeps it as it is: numbers are not rounded, texts are not taken for numbers. A view tells a row as the source would.
test('values are kept as they are', async (t) => {
  const path = await fileFor(t);
  const columns = kinds.map(([kind, , sqlite]) => {
    const codec: ValueCodec = { kind, json: String, sqlite };
    return { name: kind, type: kind, isNullable: true, codec };
  });
  const id = sinkTable('all', ['id']).columns[0]!;
  const all: Table = { ...sinkTable('all', ['id']), columns: [id, ...columns] };
  const full: Row = ['1', ...kinds.map(([, , , text]) => text)];
  const empty: Row = ['2', ...kinds.map(() => null)];
  await using owned = await own(path);
  await owned.begin('p0', [all], true);
  await apply(owned, 'p1', { kind: 'insert', table: all, row: full }, { kind: 'insert', table: all, row: empty });
  const types = sql(path, 'PRAGMA table_info("all")') as { name: string; type: string }[];
  assert.deepEqual(
    types.slice(1).map(({ type }) => type),
    kinds.map(([, type]) => type),
  );
  const texts = kinds.map(([kind]) => `CAST("${kind}" AS TEXT)`).join(` || ' ' || `);
  assert.deepEqual(
    sql(
      path,
      `SELECT ${texts.replace('CAST("binary" AS TEXT)', 'hex("binary")')} AS all_of_it FROM "all" WHERE id = 1`,
    ),
    [
      {
        all_of_it:
          '1 4294967295 -9223372036854775808 12345678901234567890.123456789000 0.1 007 00FF {"a":1.0} 2026-11-21T12:00:00.000001',
      },
    ],
  );
  await using view = await openSqliteView(path);
  assert.equal(view.state.position, 'p1');
  const held = [];
  for await (const rows of view.rows(all)) held.push(...rows);
  assert.deepEqual(held, [view.expect(all, full), view.expect(all, empty)]);
});

// Proves: a view is of one state, whatever is written meanwhile, and there is none of tables that are not at one position (Y4).
test('a view is of one state', async (t) => {
  const path = await fileFor(t);
  await assert.rejects(openSqliteView(path), isError('NOT_FOUND', /does not exist/));
  await using owned = await own(path);
  await owned.begin('p0', [a], false);
  await assert.rejects(openSqliteView(path), isError('UNAVAILABLE', /not at one position/));
  await apply(owned, 'p1', { kind: 'insert', table: a, row: ['1', 'x'] });
  await using view = await openSqliteView(path);
  await apply(owned, 'p2', { kind: 'insert', table: a, row: ['2', 'x'] });
  const held = [];
  for await (const rows of view.rows(a)) held.push(...rows);
  assert.deepEqual(held, [view.expect(a, ['1', 'x'])]);
});

// Proves: indexes and views that users make stay, also when their table is built anew for another shape.
test('what users made stays', async (t) => {
  const path = await fileFor(t);
  await using owned = await own(path);
  await owned.begin('p0', [sinkTable('a', ['id', 'gone', 'x'])], true);
  sql(path, 'CREATE INDEX theirs ON a (x)');
  sql(path, 'CREATE INDEX also_gone ON a (gone)');
  sql(path, 'CREATE VIEW seen AS SELECT x FROM a');
  await apply(owned, 'p1', { kind: 'reshape', table: a }, { kind: 'insert', table: a, row: ['1', 'x'] });
  const names = sql(path, `SELECT name FROM sqlite_schema WHERE type IN ('index', 'view') AND sql IS NOT NULL`);
  assert.deepEqual(names, [{ name: 'seen' }, { name: 'theirs' }]);
  assert.deepEqual(sql(path, 'SELECT * FROM seen'), [{ x: 'x' }]);
});

// Proves: keys that may be NULL tell rows apart as the source does: NULL is equal to itself.
test('parts of keys that are NULL', async (t) => {
  const path = await fileFor(t);
  const nullable = sinkTable('n', ['id', 'k', 'x'], { key: [0, 1] });
  await using owned = await own(path);
  await owned.begin('p0', [nullable], false);
  for (const position of ['p1', 'p2']) {
    await using load = await owned.load(nullable);
    await load.write([
      ['1', null, 'a'],
      ['1', 'k', 'b'],
    ]);
    await load.finish(position);
  }
  await apply(
    owned,
    'p3',
    { kind: 'insert', table: nullable, row: ['1', null, 'again'] },
    { kind: 'update', table: nullable, row: ['2', null, undefined], old: ['1', 'k', undefined] },
    { kind: 'update', table: nullable, row: ['2', null, 'c'] },
  );
  assert.deepEqual(sql(path, 'SELECT * FROM n ORDER BY id'), [
    { id: 1, k: null, x: 'again' },
    { id: 2, k: null, x: 'c' },
  ]);
});

// Proves: an update of a row that the replica does not have is an error when it does not say everything (Y5), and the row when it does.
test('an update of a row that is missing', async (t) => {
  const path = await fileFor(t);
  await using owned = await own(path);
  await owned.begin('p0', [a], true);
  await apply(owned, 'p1', { kind: 'update', table: a, row: ['1', 'x'] });
  await assert.rejects(
    apply(owned, 'p2', { kind: 'update', table: a, row: ['2', undefined] }),
    isError('DIVERGED', /has no row \(2\) of public.a/),
  );
});
