// Proves: a snapshot and the stream after its position are the table (Y5); what a snapshot cannot show, or has to wait for, is said and never missing.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startPostgres } from '@batondb/testbed/postgres';
import { Random } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { parseLsn, parsePosition } from '../src/postgres/position.ts';
import { openSnapshot, type PublishedRows, type SnapshotOptions } from '../src/postgres/snapshot.ts';
import { pageRanges } from '../src/postgres/snapshot-plan.ts';
import { valueCodecs } from '../src/postgres/values.ts';
import type { RowPart, TableSnapshot } from '../src/source.ts';
import type { Row } from '../src/table.ts';
import { PostgresReading } from './postgres-reading.ts';

const timeout = 120_000;
const seed = Number(process.env['BATON_SEED'] ?? 5) | 0;
const loadMs = process.env['BATON_SOAK'] === '1' ? 20_000 : 1500;
const { signal } = new AbortController();

const sandbox = makeSandbox();
const postgres = await startPostgres(sandbox);
after(async () => {
  await postgres[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});
let databases = 0;

type TestDatabase = { readonly url: (user?: string) => string; readonly psql: (sql: string) => Promise<string> };

/** Each test has a database of its own on the file's one server. */
async function makeDatabase(): Promise<TestDatabase> {
  const database = `test_${++databases}`;
  await postgres.psql(`CREATE DATABASE ${database}`);
  return {
    url: (user = 'postgres') => postgres.url({ database, user, withPassword: true }),
    psql: async (sql) => await postgres.psql(sql, { database }),
  };
}

async function published(server: TestDatabase, name: string, columns: readonly string[]): Promise<PublishedRows> {
  const id = await server.psql(`SELECT 'public.${name}'::regclass::oid`);
  const codec = valueCodecs(new Map())(25);
  const described = columns.map((column) => ({ name: column, type: 'text', isNullable: true, codec }));
  const table = { schema: 'public', name, id, columns: described, key: [0], hasWholeOldRows: false };
  return { table, filter: undefined };
}

function optionsOf(reading: PostgresReading, more: Partial<SnapshotOptions> = {}): SnapshotOptions {
  return { node: 'the server', serverVersion: 150_000, connect: reading.connect, onWait: () => undefined, ...more };
}

async function readAll(parts: readonly RowPart[]): Promise<Row[]> {
  const read = async (part: RowPart) => {
    const rows: Row[] = [];
    for await (const batch of part.read(signal)) rows.push(...batch);
    return rows;
  };
  return (await Promise.all(parts.map(read))).flat();
}

/** Random work on the table `account`, until told to stop. */
async function work(reading: PostgresReading, random: Random, isStopped: () => boolean): Promise<void> {
  const client = await reading.connect();
  while (!isStopped()) {
    const id = random.integer(0, 2999);
    const statements = [
      `INSERT INTO public.account VALUES (${id}, 'new ${random.integer(0, 999)}') ON CONFLICT (id) DO UPDATE SET name = 'again'`,
      `UPDATE public.account SET name = name || '.' WHERE id BETWEEN ${id} AND ${id + 20}`,
      `DELETE FROM public.account WHERE id = ${id}`,
      `BEGIN; DELETE FROM public.account WHERE id < 10; ROLLBACK`,
      `BEGIN; UPDATE public.account SET name = 'held' WHERE id = ${id}; SELECT pg_sleep(0.01); COMMIT`,
    ];
    await client.query(random.pick(statements)).catch((error: unknown) => {
      // Two of them may wait for each other.
      if (!(error instanceof Error && 'code' in error && error.code === '40P01')) throw error;
    });
  }
}

test('rows of the snapshot and changes of the stream after it are the table', { timeout }, async () => {
  const server = await makeDatabase();
  await server.psql(`CREATE TABLE account (id int PRIMARY KEY, name text);
    INSERT INTO account SELECT g, 'name ' || g FROM generate_series(1, 2000) g;
    CREATE PUBLICATION everything FOR TABLE account;
    SELECT FROM pg_create_logical_replication_slot('slot', 'pgoutput')`);
  await using reading = new PostgresReading(server.url());
  const table = await published(server, 'account', ['id', 'name']);
  let isStopped = false;
  const load = [1, 2, 3].map((number) => work(reading, new Random(seed + number), () => isStopped));
  await new Promise((resolve) => setTimeout(resolve, loadMs / 3));
  await using snapshot = await openSnapshot([table], optionsOf(reading, { partBytes: 16_384 }), signal);
  await new Promise((resolve) => setTimeout(resolve, loadMs / 3));
  const [{ parts }] = snapshot.tables as [TableSnapshot];
  assert(parts.length > 5, `${parts.length} parts`);
  const rows = new Map((await readAll(parts)).map(([id, name]) => [id, name]));
  await new Promise((resolve) => setTimeout(resolve, loadMs / 3));
  isStopped = true;
  await Promise.all(load);
  await server.psql('CREATE TABLE later ()');
  const until = parseLsn(await server.psql('SELECT pg_current_wal_insert_lsn()'));
  const messages = await reading.messages('slot', 'everything', until, 1);
  const { lsn } = parsePosition(snapshot.position);
  let isAfter = false;
  let [applied, skipped] = [0, 0];
  for (const message of messages) {
    if (message.kind === 'begin') {
      isAfter = message.finalLsn >= lsn;
      if (isAfter) applied++;
      else skipped++;
    }
    if (!isAfter) continue;
    // A row that is there already, or a missing one, is a transaction that was told twice, or not at all.
    if (message.kind === 'insert') assert.equal(rows.has(message.row[0]), false);
    if (message.kind === 'update' || message.kind === 'delete') {
      const [id] = message.kind === 'update' ? message.row : message.old;
      assert.equal(rows.has(id), true);
    }
    if (message.kind === 'insert' || message.kind === 'update') rows.set(message.row[0], message.row[1]);
    if (message.kind === 'delete') rows.delete(message.old[0]);
  }
  const now = await reading.rows('SELECT id, name FROM public.account', 2);
  assert.deepEqual(sorted([...rows]), sorted(now));
  assert(applied > 0 && skipped > 0, `${applied} after, ${skipped} before; seed ${seed}`);
  await reading[Symbol.asyncDispose]();
  const slots = 'SELECT count(*) FROM pg_replication_slots';
  assert.equal(await server.psql(slots), '1');
  while ((await server.psql(`${slots} WHERE active`)) !== '0');
  await server.psql("SELECT pg_drop_replication_slot('slot')");
});

test('partitions, row filters, chosen columns, quoted names, long values, empty tables', { timeout }, async () => {
  const server = await makeDatabase();
  await server.psql(`
    CREATE TABLE day (id int, at date, twice int GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY RANGE (at);
    CREATE TABLE day_1 PARTITION OF day FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
    CREATE TABLE day_2 PARTITION OF day FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY HASH (id);
    CREATE TABLE day_2a (at date, id int, twice int GENERATED ALWAYS AS (id * 2) STORED);
    ALTER TABLE day_2 ATTACH PARTITION day_2a FOR VALUES WITH (MODULUS 1, REMAINDER 0);
    INSERT INTO day SELECT g, '2026-01-01'::date + g FROM generate_series(0, 49) g;
    CREATE TABLE nowhere (id int) PARTITION BY LIST (id);
    CREATE TABLE "a ""table" ("a ""column" text);
    INSERT INTO "a ""table" VALUES (NULL), (''), (E'\\t\\n\\\\'), (repeat('é', 3000000));
    CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
    INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2);
    CREATE TABLE no_columns (); INSERT INTO no_columns DEFAULT VALUES; INSERT INTO no_columns DEFAULT VALUES`);
  await using reading = new PostgresReading(server.url());
  const named = await published(server, '"a ""table"', ['a "column']);
  const tables = [
    { ...(await published(server, 'day', ['at', 'id'])), filter: '(id < 40)' },
    await published(server, 'nowhere', ['id']),
    { ...named, table: { ...named.table, name: 'a "table' } },
    await published(server, 'parent', ['id']),
    await published(server, 'no_columns', []),
  ];
  await using snapshot = await openSnapshot(tables, optionsOf(reading), signal);
  const [day, nowhere, odd, parent, empty] = snapshot.tables as [TableSnapshot, ...TableSnapshot[]];
  assert.equal(day.parts.length, 2);
  const days = await readAll(day.parts);
  assert.deepEqual(sorted(days.map(([at, id]) => [id, at])).slice(0, 2), [
    ['0', '2026-01-01'],
    ['1', '2026-01-02'],
  ]);
  assert.equal(days.length, 40);
  assert.deepEqual(nowhere?.parts, []);
  assert.deepEqual(await readAll(odd?.parts ?? []), [[null], [''], ['\t\n\\'], ['é'.repeat(3_000_000)]]);
  assert.deepEqual(await readAll(parent?.parts ?? []), [['1']]);
  assert.deepEqual(await readAll(empty?.parts ?? []), [[], []]);
  assert(day.estimatedBytes > 0);
});

test('what happened to a table since is an error that leads to another snapshot', { timeout }, async () => {
  const server = await makeDatabase();
  const names = ['emptied', 'rewritten', 'dropped', 'renamed', 'grown'];
  await server.psql(
    names.map((name) => `CREATE TABLE ${name} (id int, x text); INSERT INTO ${name} VALUES (1)`).join('; '),
  );
  await using reading = new PostgresReading(server.url());
  const tables = await Promise.all(names.map((name) => published(server, name, ['id', 'x'])));
  await using snapshot = await openSnapshot(tables, optionsOf(reading), signal);
  await server.psql(`TRUNCATE emptied; ALTER TABLE rewritten ALTER id TYPE bigint; DROP TABLE dropped;
    ALTER TABLE renamed RENAME id TO number; ALTER TABLE grown ADD y int; INSERT INTO grown VALUES (2)`);
  for (const { table, parts } of snapshot.tables) {
    if (table.name === 'grown') assert.deepEqual(await readAll(parts), [['1', null]]);
    else await assert.rejects(readAll(parts), { code: 'SOURCE_CHANGED', retryable: true }, table.name);
  }
  await assert.rejects(openSnapshot(tables, optionsOf(reading), signal), {
    code: 'SOURCE_CHANGED',
    message: /dropped/,
  });
  assert.equal(await server.psql('SELECT count(*) FROM pg_replication_slots'), '0');
  const hidden = tables.filter(({ table }) => table.name === 'grown');
  await server.psql(`CREATE ROLE reader LOGIN REPLICATION PASSWORD '${postgres.password}'; GRANT SELECT ON grown TO reader;
    ALTER TABLE grown ENABLE ROW LEVEL SECURITY; CREATE POLICY none ON grown USING (false)`);
  await using asReader = new PostgresReading(server.url('reader'));
  await using blind = await openSnapshot(hidden, optionsOf(asReader), signal);
  await assert.rejects(readAll(blind.tables[0]?.parts ?? []), { code: 'ACCESS_DENIED', message: /row-level security/ });
});

test('open transactions that a snapshot waits for are named; an abort ends the wait and leaves nothing', {
  timeout,
}, async () => {
  const server = await makeDatabase();
  await server.psql('CREATE TABLE t (id int)');
  await using reading = new PostgresReading(server.url());
  const table = await published(server, 't', ['id']);
  const holder = await reading.connect();
  await holder.query("SET application_name = 'the holder'; BEGIN; INSERT INTO public.t VALUES (1)");
  const abort = new AbortController();
  const told = new Promise<string>((resolve) => {
    const opening = openSnapshot([table], optionsOf(reading, { onWait: resolve }), abort.signal);
    void assert.rejects(opening, /enough/);
  });
  assert.match(await told, /waits for open transactions: process [0-9]+ of postgres \(the holder\), since 20/);
  const opening = openSnapshot([table], optionsOf(reading), abort.signal);
  setTimeout(() => abort.abort(new Error('enough')), 200);
  await assert.rejects(opening, /enough/);
  const left = 'SELECT (SELECT count(*) FROM pg_replication_slots) + (SELECT count(*) FROM pg_stat_replication)';
  while ((await server.psql(left)) !== '0') await new Promise((resolve) => setTimeout(resolve, 20));
  await holder.query('COMMIT');
  await using snapshot = await openSnapshot([table], optionsOf(reading), signal);
  assert.deepEqual(await readAll(snapshot.tables[0]?.parts ?? []), [['1']]);
});

test('a part is read as fast as it is taken, can be broken off, and fails with its connection', {
  timeout,
}, async () => {
  const server = await makeDatabase();
  await server.psql(
    "CREATE TABLE t (id int, x text); INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(1, 60000) g",
  );
  await using reading = new PostgresReading(server.url());
  const table = await published(server, 't', ['id', 'x']);
  await using snapshot = await openSnapshot([table], optionsOf(reading, { partBytes: 1_000_000_000 }), signal);
  const [part] = snapshot.tables.flatMap(({ parts }) => parts) as [RowPart];
  const abort = new AbortController();
  const iterator = part.read(abort.signal)[Symbol.asyncIterator]();
  await iterator.next();
  const before = reading.bytesRead();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert(reading.bytesRead() - before < 1_000_000, 'what nobody takes is not read');
  abort.abort(new Error('enough'));
  await assert.rejects(async () => {
    while ((await iterator.next()).done !== true);
  }, /enough/);
  // Another try of the same part.
  for await (const rows of part.read(signal)) {
    assert(rows.length > 0);
    break;
  }
  assert.equal((await readAll([part])).length, 60_000);
  // It may fail while psql is still on its way back.
  const running = readAll([part, part]).catch((error: unknown) =>
    assert.equal((error as { retryable: boolean }).retryable, true),
  );
  await server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'");
  await running;
  const keepers = "FROM pg_stat_activity WHERE state = 'idle in transaction'";
  // The connections of the parts are on their way out; the one that holds the snapshot stays.
  while ((await server.psql(`SELECT count(*) ${keepers}`)) !== '1');
  assert.equal(await server.psql(`SELECT count(pg_terminate_backend(pid)) ${keepers}`), '1');
  while ((await server.psql(`SELECT count(*) ${keepers}`)) !== '0');
  await assert.rejects(readAll([part]), { code: 'CONNECTION_LOST', retryable: true });
});

test('ranges hold all pages, each once', () => {
  for (const pages of [0, 1, 7, 100]) {
    for (const bytes of [0, 1, 999, 1000, 5000, 1_000_000]) {
      const ranges = pageRanges({ schema: 's', name: 't', oid: 1, pages, bytes }, 1000, 150_000);
      assert.equal(ranges[0]?.from, 0);
      assert.equal(ranges.at(-1)?.to, undefined);
      for (const [place, range] of ranges.slice(1).entries()) assert.equal(range.from, ranges[place]?.to);
      assert(ranges.length <= Math.max(1, pages) && ranges.length <= Math.max(1, Math.ceil(bytes / 1000)));
    }
  }
  assert.equal(pageRanges({ schema: 's', name: 't', oid: 1, pages: 100, bytes: 1e9 }, 1000, 130_000).length, 1);
});

function sorted(rows: readonly Row[]): Row[] {
  return rows.toSorted(([one], [other]) => Number(one) - Number(other));
}
