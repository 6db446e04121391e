// Proves: setup makes what a sync needs and nothing that harms the application, prints what it runs, and a role with the least privileges suffices for everything else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { parsePattern } from '../src/mapping/patterns.ts';
import { parsePostgresAddress } from '../src/postgres/address.ts';
import { checkPostgres } from '../src/postgres/check.ts';
import { passwordSource } from '../src/postgres/passwords.ts';
import { roleStatements } from '../src/postgres/privileges.ts';
import { prepareSetup, type SetupPlace, setUp, tearDown } from '../src/postgres/setup.ts';
import type { SetupWish } from '../src/postgres/setup-plan.ts';
import { Follower, sourceOf } from './postgres-follower.ts';

const timeout = 60_000;
const { signal } = new AbortController();
let sandbox: Sandbox;
let server: PostgresServer;

before(async () => {
  sandbox = makeSandbox();
  server = await startPostgres(sandbox, { settings: { max_slot_wal_keep_size: '1GB' } });
  await server.psql(`CREATE SCHEMA sales; CREATE TABLE sales.orders (id int PRIMARY KEY, a text); CREATE TABLE "odd ""name" (id int PRIMARY KEY);
    CREATE TABLE keyless (a int); CREATE UNLOGGED TABLE fleeting (a int)`);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

function placeOf(user = 'postgres'): SetupPlace {
  const address = parsePostgresAddress(server.url({ user, withPassword: true }), {});
  return { address, passwordFor: passwordSource(address, {}, undefined) };
}

const wish: SetupWish = {
  slot: 'baton',
  publication: 'baton',
  schemas: [],
  includes: undefined,
  columnsOf: () => undefined,
  filterOf: () => undefined,
  allowsUnboundedSlot: false,
};

function failsWith(code: string, pattern: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof BatonError && error.code === code && pattern.test(`${error.message} ${error.hint}`);
}

// Proves: a table whose updates would fail once it is published is refused by name, and can be left out.
test('tables without an identity are refused', { timeout }, async () => {
  await assert.rejects(
    prepareSetup(placeOf(), wish, signal),
    failsWith('USAGE', /public\.keyless has no replica identity.*REPLICA IDENTITY FULL/),
  );
  const pattern = parsePattern('keyless');
  const { statements, notes } = await prepareSetup(
    placeOf(),
    { ...wish, includes: (name) => !pattern.matches(name) },
    signal,
  );
  assert.deepEqual(
    statements.map(({ sql }) => sql),
    [
      'CREATE PUBLICATION "baton" FOR TABLE "public"."odd ""name", "sales"."orders" WITH (publish_via_partition_root = true)',
      "SELECT pg_create_logical_replication_slot('baton', 'pgoutput')",
    ],
  );
  assert.match(notes.join(), /created later/);
  assert.equal(await server.psql('SELECT count(*) FROM pg_publication'), '0', 'preparing changes nothing');
});

// Proves: columns and rows are chosen in the publication, whole schemas take in what comes later, and a name that is not there is an error.
test('what is published can be chosen', { timeout }, async () => {
  const chosen: SetupWish = {
    ...wish,
    includes: ({ schema }) => schema === 'sales',
    columnsOf: () => ['id'],
    filterOf: () => "id > 10 AND id::text <> 'it''s'",
  };
  const [first] = (await prepareSetup(placeOf(), chosen, signal)).statements;
  assert.equal(
    first?.sql.includes(`FOR TABLE "sales"."orders" ("id") WHERE (id > 10 AND id::text <> 'it''s') WITH`),
    true,
  );
  await assert.rejects(
    prepareSetup(placeOf(), { ...chosen, columnsOf: () => ['x'] }, signal),
    failsWith('USAGE', /no column "x"/),
  );
  await assert.rejects(
    prepareSetup(placeOf(), { ...wish, schemas: ['nowhere'] }, signal),
    failsWith('NOT_FOUND', /"nowhere"/),
  );
  const [schema] = (await prepareSetup(placeOf(), { ...wish, schemas: ['sales'] }, signal)).statements;
  assert.match(schema?.sql ?? '', /FOR TABLES IN SCHEMA "sales"/);
});

// Proves: a slot that could fill the server's disk is refused unless told.
test('a slot without a bound is refused', { timeout }, async () => {
  await server.psql('ALTER SYSTEM SET max_slot_wal_keep_size = -1; SELECT pg_reload_conf(); SELECT pg_sleep(0.2)');
  const sales = { ...wish, schemas: ['sales'] };
  await assert.rejects(
    prepareSetup(placeOf(), sales, signal),
    failsWith('USAGE', /max_slot_wal_keep_size is -1.*--allow-unbounded-slot/),
  );
  assert.equal((await prepareSetup(placeOf(), { ...sales, allowsUnboundedSlot: true }, signal)).statements.length, 2);
  await server.psql('ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf(); SELECT pg_sleep(0.2)');
});

// Proves: check names what is missing with the next step; after setup, a role that has only what is printed dumps, streams, reads anew and reports; drop removes all.
test('setup, a least-privileged role, and drop', { timeout }, async () => {
  const question = { slot: 'baton', publications: ['baton'], includes: () => true };
  const before = await checkPostgres(placeOf(), question, signal);
  assert.deepEqual(
    before.filter(({ severity }) => severity === 'error').map(({ what, nextStep }) => `${what}: ${nextStep}`),
    ['the slot "baton": baton sync setup', 'the publication "baton": baton sync setup'],
  );
  const told: string[] = [];
  await setUp(placeOf(), { ...wish, schemas: ['sales'] }, ({ sql }) => told.push(sql), signal);
  assert.equal(told.length, 2);
  assert.deepEqual(
    (await setUp(placeOf(), { ...wish, schemas: ['sales'] }, () => assert.fail('it is there already'), signal))
      .statements,
    [],
  );

  const role = roleStatements({
    role: 'sync "role"',
    database: 'postgres',
    tables: [{ schema: 'sales', name: 'orders' }],
  });
  await server.psql(
    `${role.map(({ sql }) => sql).join('; ')}; ALTER ROLE "sync ""role""" PASSWORD '${server.password}'`,
  );
  const findings = await checkPostgres(placeOf('sync "role"'), question, signal);
  assert.deepEqual(
    findings.filter(({ severity }) => severity !== 'ok'),
    [],
  );

  const { address, passwordFor } = placeOf('sync "role"');
  await server.psql("INSERT INTO sales.orders SELECT n, 'a' FROM generate_series(1, 10) n");
  await using follower = await Follower.start(sourceOf(server, sandbox, { address, passwordFor }));
  await server.psql('CREATE TABLE sales.later (id int PRIMARY KEY); INSERT INTO sales.later VALUES (1)');
  await using snapshot = await follower.session.snapshot(await follower.session.tables(), signal);
  let rows = 0;
  for (const { parts } of snapshot.tables)
    for (const part of parts) for await (const batch of part.read(signal)) rows += batch.length;
  assert.equal(rows, 11);
  follower.session.resync({ table: [...follower.shapes.values()][0]! });
  await follower.until(
    'what came later',
    () => follower.changes.includes('resync sales.orders end') && follower.rows('sales.later').size === 1,
  );
  assert.ok((await follower.session.status()).retainedBytes >= 0);

  await assert.rejects(
    tearDown(placeOf(), wish, () => undefined, signal),
    failsWith('IN_USE', /stop the sync/),
  );
  await follower[Symbol.asyncDispose]();
  while ((await server.psql('SELECT active FROM pg_replication_slots')) === 't');
  await tearDown(placeOf(), wish, () => undefined, signal);
  assert.equal(
    await server.psql('SELECT count(*) FROM pg_publication; SELECT count(*) FROM pg_replication_slots'),
    '0\n0',
  );
  await assert.rejects(
    sourceOf(server, sandbox)
      .open(signal)
      .then((session) => session.start()),
    failsWith('NOT_FOUND', /no replication slot "baton".*running never does/),
  );
});

// Proves: what breaks the application already, and what a sync will stumble over, is found.
test('check finds what will hurt', { timeout }, async () => {
  await server.psql(`CREATE PUBLICATION baton FOR TABLE keyless, sales.orders WITH (publish = 'insert'); CREATE TABLE whole (a int); ALTER TABLE whole REPLICA IDENTITY FULL;
    ALTER PUBLICATION baton ADD TABLE whole; SELECT pg_create_logical_replication_slot('other', 'test_decoding')`);
  const findings = await checkPostgres(
    placeOf(),
    { slot: 'other', publications: ['baton'], includes: () => true },
    signal,
  );
  const bad = findings
    .filter(({ severity }) => severity !== 'ok')
    .map(({ severity, what, is }) => `${severity}: ${what}: ${is}`);
  assert.deepEqual(bad, [
    'error: the slot "other": the slot "other" is of the plugin test_decoding, not of pgoutput',
    'error: the publication "baton": leaves out update, delete, truncate',
    'error: public.keyless: published without a replica identity: the application cannot update or delete its rows',
    'warning: public.whole: without a primary key: its rows are told apart by all of their values',
  ]);
  assert.ok(findings.every(({ severity, nextStep }) => severity === 'ok' || nextStep !== undefined));
});

// Proves: a slot that is there before the publication, as Patroni makes it, can be read after setup, whatever was written between the two.
test('a slot that is older than the publication', { timeout }, async () => {
  const names = { slot: 'early', publication: 'late' };
  await server.psql(
    `SELECT pg_create_logical_replication_slot('early', 'pgoutput'); INSERT INTO sales.orders VALUES (100, 'between')`,
  );
  await setUp(placeOf(), { ...wish, ...names, schemas: ['sales'] }, () => undefined, signal);
  await using follower = await Follower.start(sourceOf(server, sandbox, { slot: 'early', publications: ['late'] }));
  await server.psql("INSERT INTO sales.orders VALUES (101, 'after')");
  await follower.catchUp(server);
  assert.deepEqual([...follower.rows('sales.orders').values()], [['101', 'after']]);
});
