// Proves: source and sink are compared at one position while both go on: under load no difference is made up (Y10), and every kind of damage in a sink is found.
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import { Replicator, type Sink } from '@batondb/sync';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { createEveryType, insertEveryType } from '@batondb/testbed/every-type';
import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { type EtcdSinkOptions, planEtcdSink } from '../src/etcd/settings.ts';
import { EtcdSink } from '../src/etcd/sink.ts';
import { openEtcdView } from '../src/etcd/view.ts';
import { everything, type MappingOptions } from '../src/mapping/mapping.ts';
import { parsePattern } from '../src/mapping/patterns.ts';
import { ndjsonFileSink } from '../src/ndjson/file-sink.ts';
import { openNdjsonView } from '../src/ndjson/view.ts';
import { sqliteSink } from '../src/sqlite/sink.ts';
import { openSqliteView } from '../src/sqlite/view.ts';
import type { OpenView } from '../src/verify/await-view.ts';
import { VerifyTally } from '../src/verify/progress.ts';
import { isSame, type TableReport, type VerifyReport } from '../src/verify/report.ts';
import { type VerifyOptions, verifySink } from '../src/verify/verify.ts';
import { sourceOf } from './postgres-follower.ts';
import { runs } from './property.ts';

const timeout = 600_000;
const never = new AbortController().signal;
const rounds = runs(2).numRuns;
const keyless = parsePattern('public.keyless');

let sandbox: Sandbox;
let server: PostgresServer;
let etcd: EtcdCluster;

before(async () => {
  sandbox = makeSandbox();
  [server, etcd] = await Promise.all([startPostgres(sandbox), startEtcd(sandbox)]);
  await server.psql(`
    CREATE TABLE item (id int PRIMARY KEY, name text, big text, n numeric); ALTER TABLE item ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE pair (a text, b int, c double precision, PRIMARY KEY (a, b));
    CREATE TABLE whole (id bigint PRIMARY KEY, big text, flag boolean); ALTER TABLE whole REPLICA IDENTITY FULL;
    ALTER TABLE whole ALTER big SET STORAGE EXTERNAL;
    CREATE TABLE keyless (a int, b text); ALTER TABLE keyless REPLICA IDENTITY FULL;
    CREATE TABLE emptied (id int PRIMARY KEY, x text);
    INSERT INTO item SELECT i, 'item ' || i, repeat(md5(i::text), 100), i / 7.0 FROM generate_series(1, 500) i;
    INSERT INTO pair SELECT (ARRAY['', '/', '%', 'ü ', 'a/b'])[i % 5 + 1] || i % 50, i, i / 3.0 FROM generate_series(1, 500) i;
    INSERT INTO whole SELECT i, repeat(md5(i::text), 100), i % 2 = 0 FROM generate_series(1, 500) i;
    INSERT INTO keyless SELECT i % 20, 'same' FROM generate_series(1, 300) i;
    INSERT INTO emptied SELECT i, 'x' FROM generate_series(1, 300) i;
  `);
  await server.psql(`${createEveryType} ${insertEveryType(1)}`);
  await server.psql('CREATE PUBLICATION baton FOR ALL TABLES');
});

after(async () => {
  await etcd[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

/** A sink of any kind, and how it is looked at. */
type Place = {
  readonly name: string;
  readonly sink: Sink;
  readonly openView: OpenView;
  readonly mapping: MappingOptions;
};

function etcdPlace(name: string, more: Partial<EtcdSinkOptions> = {}): Place {
  const plan = planEtcdSink({ url: `etcd://${etcd.endpoints.join(',')}/${name}`, ...more });
  const mapping = { ...everything, exclude: [keyless] };
  return { name, sink: new EtcdSink(plan), openView: () => openEtcdView(plan), mapping };
}

function sqlitePlace(name: string): Place & { readonly path: string } {
  const file = { path: sandbox.join(`${name}.db`), source: 'postgres:postgres' };
  return {
    name,
    path: file.path,
    sink: sqliteSink(file),
    openView: () => openSqliteView(file.path),
    mapping: everything,
  };
}

function linesPlace(name: string): Place & { readonly path: string } {
  const file = { path: sandbox.join(`${name}.ndjson`), source: 'postgres:postgres' };
  const mapping = {
    ...everything,
    renames: [{ from: { schema: 'public', name: 'item' }, to: { schema: 'shop', name: 'things' } }],
  };
  return { name, path: file.path, sink: ndjsonFileSink(file), openView: () => openNdjsonView(file), mapping };
}

/** A place that is fed for as long as it is not disposed. */
async function feed({ name, sink, mapping }: Place): Promise<AsyncDisposable> {
  await server.psql(`SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`);
  const stop = new AbortController();
  const source = sourceOf(server, sandbox, { slot: name, spillDirectory: sandbox.join(`spill-${name}`) });
  const replicator = new Replicator({
    name,
    source,
    sink,
    mapping,
    phases: 'both',
    until: undefined,
    jobs: 2,
    onEvent: () => undefined,
  });
  const running = replicator.run(stop.signal);
  running.catch(() => undefined);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

async function verify({ openView, mapping }: Place, more: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  const source = sourceOf(server, sandbox, { slot: 'none', spillDirectory: sandbox.join(`spill-${Math.random()}`) });
  const options = { source, openView, mapping, tables: [], limit: 10, jobs: 2, tally: new VerifyTally(), ...more };
  return await verifySink(options, never);
}

/** A transaction of all kinds of changes: keys that move while a long value stays, values that come and go, tables that are emptied. */
function changesOf(random: Random): string {
  const id = (): number => random.integer(1, 500);
  const kinds: readonly (() => string)[] = [
    () => `UPDATE item SET name = 'new ${random.word()}' WHERE id BETWEEN ${id()} AND ${id()} AND id % 50 = 0`,
    () =>
      `UPDATE item SET id = -id WHERE id = ${id()} AND NOT EXISTS (SELECT FROM item AS other WHERE other.id = -item.id)`,
    () => `UPDATE item SET big = repeat('${random.word()}', 400), n = ${random.word()} WHERE abs(id) = ${id()}`,
    () => `DELETE FROM item WHERE id = ${id()}`,
    () => `INSERT INTO item VALUES (${id()}, 'again', repeat('x', 3000), 0.10) ON CONFLICT DO NOTHING`,
    () => `UPDATE pair SET a = a || '/', c = c * 3 WHERE b = ${id()}`,
    () => `UPDATE whole SET flag = NOT flag, id = id + 10000 WHERE id = ${id()}`,
    () => `INSERT INTO keyless VALUES (${random.integer(1, 20)}, 'same'), (1, '${random.word()}')`,
    () => `DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless)`,
    () => `UPDATE keyless SET b = 'other' WHERE ctid = (SELECT max(ctid) FROM keyless)`,
    () => `INSERT INTO emptied VALUES (${random.word() % 100_000}, '${random.word()}') ON CONFLICT DO NOTHING`,
    () => (random.integer(0, 29) === 0 ? 'TRUNCATE emptied' : 'DELETE FROM emptied WHERE id % 7 = 0'),
  ];
  const statements = Array.from({ length: random.integer(1, 4) }, () => `${random.pick(kinds)()};`);
  return `BEGIN; ${statements.join(' ')} COMMIT;`;
}

/** Changes for as long as it is not disposed. */
function load(random: Random): AsyncDisposable {
  let isOver = false;
  const run = async (): Promise<void> => {
    for (; !isOver; await delay(50)) await server.psql(Array.from({ length: 20 }, () => changesOf(random)).join('\n'));
  };
  const running = run();
  running.catch(() => undefined);
  return {
    async [Symbol.asyncDispose]() {
      isOver = true;
      await running;
    },
  };
}

test('no difference is made up while everything goes on', { timeout }, async (t) => {
  const seed = seedOfRun();
  t.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  const template = '/{schema}/{table}/rows/{key}';
  const places = [
    etcdPlace('native'),
    etcdPlace('enveloped', { envelope: true, layout: { template } }),
    sqlitePlace('replica'),
    linesPlace('lines'),
  ];
  for (const place of places) {
    await using _ = await feed(place);
    await waitFor(place);
    {
      await using _load = load(random);
      for (let round = 0; round < rounds; round++) {
        const report = await verify(place);
        // What is emptied while it is read cannot be told.
        const skipped = report.skipped.filter(({ table }) => table !== 'public.emptied');
        assert.deepEqual([place.name, report.differences, skipped], [place.name, [], []]);
        assert.ok(isSame(report), JSON.stringify(report));
        assert.ok(report.tables.length >= 5, `${report.tables.length} tables`);
      }
    }
    // Nobody writes any more, and the sink comes to the source's state all the same.
    assert.ok(isSame(await verify(place)));
  }
});

/** Damage done to a row by hand, and what has to be said of it. */
type Damage = { readonly what: string; readonly do: () => Promise<void>; readonly found: string };

async function expectFound(place: Place, damages: readonly Damage[]): Promise<void> {
  for (const damage of damages) await damage.do();
  const { tables, differences } = await verify(place);
  const told = differences.map(({ table, kind, key, columns }) =>
    [kind, table, key, ...columns.map(({ column, expected, found }) => `${column}: ${expected} is ${found}`)].join(' '),
  );
  for (const { what, found } of damages) assert.ok(told.includes(found), `${what}: ${told.join('; ')}`);
  const count = tables.reduce((sum, { missing, extra, different }) => sum + missing + extra + different, 0);
  assert.deepEqual([count, told.length], [damages.length, damages.length], 'nothing else is told');
  const few = await verify(place, { limit: 1, tables: [parsePattern('emptied')] });
  assert.equal(few.differences.length, 1);
  const [{ missing, extra, different }] = few.tables as [TableReport];
  assert.ok(missing + extra + different > 1, 'all are counted');
}

test('damage in etcd is found', { timeout }, async () => {
  const place = etcdPlace('hurt');
  await using _ = await feed(place);
  await waitFor(place);
  const at = '/hurt/d/public/emptied/';
  const put = async (key: string, value: string): Promise<void> => void (await etcd.ctl('put', '--', key, value));
  await server.psql("TRUNCATE emptied; INSERT INTO emptied SELECT i, 'x' || i FROM generate_series(1, 20) i");
  await verify(place);
  await expectFound(place, [
    {
      what: 'a missing row',
      do: async () => void (await etcd.ctl('del', `${at}7`)),
      found: `missing public.emptied ${at}7`,
    },
    { what: 'an extra row', do: () => put(`${at}99`, '{"id":99,"x":"x99"}'), found: `extra public.emptied ${at}99` },
    {
      what: 'a value',
      do: () => put(`${at}3`, '{"id":3,"x":"y3"}'),
      found: `different public.emptied ${at}3 x: "x3" is "y3"`,
    },
    {
      what: 'a type',
      do: () => put(`${at}4`, '{"id":"4","x":"x4"}'),
      found: `different public.emptied ${at}4 id: 4 is "4"`,
    },
    { what: 'no row at all', do: () => put(`${at}5`, 'not a row'), found: `different public.emptied ${at}5` },
    { what: 'a column', do: () => put(`${at}6`, '{"id":6}'), found: `different public.emptied ${at}6 x: "x6" is null` },
  ]);
  await etcd.ctl('del', '--prefix', '/hurt/d/public/pair/');
  const { tables } = await verify(place, { tables: [parsePattern('pair')] });
  assert.deepEqual(
    tables.map(({ table, rows, missing, extra }) => [table, rows === missing && rows > 0, extra]),
    [['public.pair', true, 0]],
  );
});

test('damage in a replica of SQLite is found', { timeout }, async () => {
  const place = sqlitePlace('hurtfile');
  await using _ = await feed(place);
  await server.psql(
    "TRUNCATE emptied, keyless; INSERT INTO emptied SELECT i, 'x' || i FROM generate_series(1, 20) i; INSERT INTO keyless SELECT 1, 'same' FROM generate_series(1, 5)",
  );
  await waitFor(place);
  assert.ok(isSame(await verify(place)));
  const run = (sql: string) => async (): Promise<void> => {
    using database = new DatabaseSync(place.path, { timeout: 10_000 });
    database.exec(sql);
  };
  await expectFound(place, [
    { what: 'a missing row', do: run('DELETE FROM emptied WHERE id = 7'), found: 'missing public.emptied [7]' },
    { what: 'an extra row', do: run("INSERT INTO emptied VALUES (99, 'x')"), found: 'extra public.emptied [99]' },
    {
      what: 'a value',
      do: run("UPDATE emptied SET x = 'y3' WHERE id = 3"),
      found: 'different public.emptied [3] x: "x3" is "y3"',
    },
    {
      what: 'a type',
      do: run("UPDATE emptied SET x = x'7834' WHERE id = 4"),
      found: 'different public.emptied [4] x: "x4" is {"blob":"eDQ="}',
    },
    {
      what: 'one of equal rows',
      do: run('DELETE FROM keyless WHERE rowid = (SELECT min(rowid) FROM keyless)'),
      found: 'missing public.keyless {"a":1,"b":"same"}',
    },
  ]);
  await run('DROP TABLE pair')();
  const { tables } = await verify(place, { tables: [parsePattern('pair')] });
  assert.ok(tables[0]!.missing > 0 && tables[0]!.missing === tables[0]!.rows);
});

test('damage in lines is found', { timeout }, async () => {
  const place = linesPlace('hurtlines');
  await using _ = await feed(place);
  await waitFor(place);
  // These lines are the last ones then, after those of the dump.
  await server.psql("TRUNCATE emptied; INSERT INTO emptied SELECT i, 'x' || i FROM generate_series(1, 20) i");
  await waitFor(place);
  await verify(place);
  const edit = (from: string, to: string) => async (): Promise<void> => {
    const at = readFileSync(place.path).lastIndexOf(from);
    const file = openSync(place.path, 'r+');
    writeSync(file, to, at);
    closeSync(file);
  };
  const found = (id: number, more: string): string => `different public.emptied [${id}] ${more}`;
  await expectFound(place, [
    { what: 'a value', do: edit('"x":"x3"', '"x":"y3"'), found: found(3, 'x: "x3" is "y3"') },
    { what: 'a type', do: edit('"x":"x4"', '"x":4444'), found: found(4, 'x: "x4" is 4444') },
  ]);
  await edit('{"id":5,', '{"id":6,')();
  const { differences } = await verify(place);
  const kinds = differences.map(({ kind, key }) => `${kind} ${key}`);
  assert.ok(kinds.includes('missing [5]') && kinds.length === 3, kinds.join('; '));
});

// Proves: a sink that nobody feeds leads to an error that says so, in bounded time, and not to differences.
test('a sink that stands still', { timeout }, async () => {
  const place = sqlitePlace('still');
  {
    await using _ = await feed(place);
    await waitFor(place);
  }
  await server.psql("INSERT INTO emptied VALUES (-1, 'news')");
  await assert.rejects(verify(place, { stallMs: 1_000 }), { code: 'UNAVAILABLE', message: /nothing feeds it/ });
});

// Proves: a table whose shape is in motion is told of, and is neither compared nor called different; the others are compared.
test('tables in motion', { timeout }, async () => {
  const place = sqlitePlace('moving');
  await using _ = await feed(place);
  await waitFor(place);
  await server.psql(
    'CREATE TABLE shifting (id int PRIMARY KEY, a text); INSERT INTO shifting SELECT i FROM generate_series(1, 100) i',
  );
  let isOver = false;
  const shift = async (): Promise<void> => {
    for (let step = 0; !isOver; step++) {
      await server.psql(
        `ALTER TABLE shifting ADD COLUMN c${step} int DEFAULT ${step}; UPDATE shifting SET a = '${step}'`,
      );
      await delay(50);
    }
  };
  const shifting = shift();
  try {
    for (let round = 0; round < 3; round++) {
      const report = await verify(place);
      assert.ok(isSame(report), JSON.stringify(report.differences));
      assert.ok(
        report.skipped.every(({ table }) => table === 'public.shifting'),
        JSON.stringify(report.skipped),
      );
    }
  } finally {
    isOver = true;
    await shifting;
  }
});

/** Until the first dump has ended. */
async function waitFor({ openView }: Place): Promise<void> {
  for (const endsAt = Date.now() + 60_000; ; await delay(50)) {
    try {
      await using _ = await openView(never);
      return;
    } catch (error) {
      if (!(error instanceof BatonError) || Date.now() > endsAt) throw error;
    }
  }
}
