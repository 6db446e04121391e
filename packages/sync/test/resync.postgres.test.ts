// Proves: rows that are read anew while the stream runs are exact where they appear, under load, through changed shapes, and for transactions that are in the log but not yet seen.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import pg from 'pg';
import type { Row, Table } from '../src/table.ts';
import { Follower, rowsOf, setup, sourceOf } from './postgres-follower.ts';

const timeout = 120_000;
let sandbox: Sandbox;
let server: PostgresServer;

before(async () => {
  sandbox = makeSandbox();
  server = await startPostgres(sandbox);
  await server.psql(setup);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

/** Changes rows all over a table of `id` and `a` until it is told to stop. */
async function load(table: string, rows: number, signal: AbortSignal): Promise<number> {
  const client = new pg.Client({ connectionString: server.url({ withPassword: true }) });
  await client.connect();
  let transactions = 0;
  const some = (): number => 1 + Math.floor(Math.random() * rows);
  for (; !signal.aborted; transactions++) {
    await client
      .query(`BEGIN; UPDATE ${table} SET a = a || '.' WHERE id = ${some()}; DELETE FROM ${table} WHERE id = ${some()};
      INSERT INTO ${table} VALUES (${some()}, 'new') ON CONFLICT (id) DO UPDATE SET a = 'again';
      SAVEPOINT s; UPDATE ${table} SET id = -id WHERE id = ${some()}; ${Math.random() < 0.5 ? 'ROLLBACK TO s' : 'RELEASE s'}; ${Math.random() < 0.2 ? 'ROLLBACK' : 'COMMIT'}`)
      // Two of them get into each other's way now and then.
      .catch(() => client.query('ROLLBACK'));
  }
  await client.end();
  return transactions;
}

function tableOf(follower: Follower, name: string): Table {
  const found = [...follower.shapes.values()].find((shape) => shape.name === name);
  assert.ok(found !== undefined);
  return found;
}

// Proves: a table that is read anew chunk by chunk, while every part of it changes, is what the server has.
test('a whole table under load', { timeout }, async () => {
  await server.psql(
    `CREATE TABLE busy (id int PRIMARY KEY, a text); INSERT INTO busy SELECT n, 'a' || n FROM generate_series(1, 23000) n`,
  );
  await server.psql("SELECT pg_replication_slot_advance('baton', pg_current_wal_lsn())");
  await using follower = await Follower.start(sourceOf(server, sandbox));
  const stop = new AbortController();
  const loads = [1, 2].map(() => load('busy', 23_000, stop.signal));
  // Small ranges are hit more often.
  const narrow = load('busy', 100, stop.signal);
  await delay(200);
  follower.session.resync({ table: tableOf(follower, 'busy') });
  await follower.until('the end', () => follower.changes.includes('resync public.busy end'));
  stop.abort();
  const counts = await Promise.all([...loads, narrow]);
  await follower.catchUp(server);
  assert.ok(
    counts.every((count) => count > 10),
    `loads of ${counts.join()}`,
  );
  assert.deepEqual(follower.sorted('public.busy'), await rowsOf(server, 'busy', 'id,a'));
});

// Proves: rows of chosen keys come anew, those that are not there become deletes, and others are left alone.
test('chosen keys', { timeout }, async () => {
  await server.psql(
    `CREATE TABLE pairs (a text, b int, c text, PRIMARY KEY (b, a)); INSERT INTO pairs SELECT 'k' || n, n, 'c' FROM generate_series(1, 3000) n`,
  );
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  const rows = follower.rows('public.pairs');
  rows.set('["7","k7"]', ['k7', '7', 'wrong']);
  rows.set('["9999","gone"]', ['gone', '9999', 'never']);
  rows.delete('["8","k8"]');
  const keys = async function* (): AsyncGenerator<readonly Row[]> {
    yield [];
    yield [['9999', 'gone']];
    yield Array.from({ length: 2500 }, (_, n) => [String(n + 1), `k${n + 1}`]);
  };
  follower.session.resync({ table: tableOf(follower, 'pairs'), keys: keys() });
  await follower.until('the end', () => follower.changes.includes('resync public.pairs end'));
  assert.deepEqual(follower.sorted('public.pairs'), await rowsOf(server, 'pairs', 'a,b,c'));
});

// Proves: a transaction that was streamed before a chunk was read, and that the read could not see since it waited for a standby, is not undone by the chunk.
test('a transaction that waits for a standby', { timeout }, async () => {
  await server.psql(
    "CREATE TABLE waiting (id int PRIMARY KEY, a text); INSERT INTO waiting VALUES (1, 'old'), (2, 'old')",
  );
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  await server.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()");
  await delay(100);
  const update = server.psql("UPDATE waiting SET a = 'new' WHERE id = 1");
  await follower.until('the update', () => follower.changes.includes('update public.waiting'));
  assert.equal(await server.psql('SELECT a FROM waiting WHERE id = 1'), 'old');
  follower.session.resync({ table: tableOf(follower, 'waiting') });
  await delay(500);
  assert.deepEqual(follower.rows('public.waiting').get('["1"]'), ['1', 'new']);
  await server.psql(
    'SET synchronous_commit = local; ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()',
  );
  await update;
  await follower.until('the end', () => follower.changes.includes('resync public.waiting end'));
  assert.deepEqual(follower.sorted('public.waiting'), ['["1","new"]', '["2","old"]']);
});

// Proves: whatever is done to a table's shape, written to or not, the rows become what the server has, and nothing is read anew where the old rows are right.
test('changed shapes', { timeout }, async () => {
  await server.psql(
    "CREATE TABLE shape (id int PRIMARY KEY, a text, b int); INSERT INTO shape SELECT n, 'a', n FROM generate_series(1, 100) n",
  );
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  const steps: readonly [sql: string, columns: string, isReadAnew: boolean][] = [
    ['ALTER TABLE shape ADD COLUMN c text', 'id,a,b,c', false],
    ['ALTER TABLE shape DROP COLUMN a', 'id,b,c', false],
    ["ALTER TABLE shape ADD COLUMN d text DEFAULT 'd'", 'id,b,c,d', true],
    ['ALTER TABLE shape RENAME COLUMN b TO e', 'id,e,c,d', true],
    ['ALTER TABLE shape ALTER COLUMN e TYPE text USING e || $$!$$', 'id,e,c,d', true],
    ['ALTER TABLE shape DROP CONSTRAINT shape_pkey, ADD PRIMARY KEY (id, e)', 'id,e,c,d', true],
  ];
  for (const [sql, columns, isReadAnew] of steps) {
    const from = follower.changes.length;
    await server.psql(
      `${sql}; UPDATE shape SET c = $$x$$ WHERE id = 5; INSERT INTO shape (id, ${columns.includes('e') ? 'e' : 'b'}) VALUES (${1000 + from}, 1)`,
    );
    await follower.catchUp(server);
    assert.deepEqual(follower.sorted('public.shape'), await rowsOf(server, 'shape', columns), sql);
    const changes = follower.changes.slice(from);
    assert.equal(changes.includes('resync public.shape end'), isReadAnew, sql);
    assert.ok(changes.includes('reshape public.shape'), sql);
  }
});

// Proves: tables that come, go and change their names are told of, also when nobody writes to them, and a table that takes another one's name takes its place.
test('new, renamed and dropped tables', { timeout }, async () => {
  await server.psql("CREATE TABLE first (id int PRIMARY KEY, a text); INSERT INTO first VALUES (1, 'first')");
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  await server.psql(
    "CREATE TABLE second (id int PRIMARY KEY, a text); ALTER TABLE first RENAME TO old; ALTER TABLE second RENAME TO first; INSERT INTO first VALUES (2, 'second')",
  );
  await follower.catchUp(server);
  await follower.until('the old table', () => follower.rows('public.old').size === 1 && !follower.isOpen);
  assert.deepEqual(follower.sorted('public.first'), ['["2","second"]']);
  assert.deepEqual(follower.sorted('public.old'), ['["1","first"]']);
  await server.psql(
    'DROP TABLE old; CREATE TABLE quiet (id int PRIMARY KEY); ALTER TABLE first ADD COLUMN b int DEFAULT 7',
  );
  await follower.until('all three', () => {
    const { changes } = follower;
    const isFilled = follower.sorted('public.first')[0] === '["2","second","7"]';
    return changes.includes('drop public.old') && changes.includes('resync public.quiet end') && isFilled;
  });
});

// Proves: what changed while nobody was there is found when the stream goes on.
test('shapes that changed meanwhile', { timeout }, async () => {
  await server.psql("CREATE TABLE away (id int PRIMARY KEY, a text); INSERT INTO away VALUES (1, 'a')");
  const source = sourceOf(server, sandbox);
  const first = await Follower.start(source);
  await first.catchUp(server);
  await first[Symbol.asyncDispose]();
  await server.psql(
    "ALTER TABLE away ADD COLUMN b text DEFAULT 'b'; CREATE TABLE came (id int PRIMARY KEY); INSERT INTO came VALUES (1); DROP TABLE pairs",
  );
  await using second = await Follower.start(source, { from: first });
  await second.until(
    'all of it',
    () => second.changes.includes('drop public.pairs') && second.changes.includes('resync public.away end'),
  );
  await second.catchUp(server);
  assert.deepEqual(second.sorted('public.away'), ['["1","a","b"]']);
});

// Proves: rows without a key are read anew as a whole, and appear once.
test('a table without a key', { timeout }, async () => {
  await server.psql(
    "CREATE TABLE keyless (a int, b text); ALTER TABLE keyless REPLICA IDENTITY FULL; INSERT INTO keyless SELECT n, 'b' FROM generate_series(1, 50) n",
  );
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  follower.rows('public.keyless').set('surplus', ['0', 'x']);
  follower.session.resync({ table: tableOf(follower, 'keyless') });
  await server.psql("UPDATE keyless SET b = 'c' WHERE a < 10; DELETE FROM keyless WHERE a = 50");
  await follower.until('the end', () => follower.changes.includes('resync public.keyless end'));
  await follower.catchUp(server);
  assert.deepEqual(follower.sorted('public.keyless'), await rowsOf(server, 'keyless', 'a,b'));
});
