// A source that does not have any more what a sink stands on: a slot that went, another cluster, a standby, an older state.
import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import { waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { type BatonResult, runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { type Destination, etcdDestination, Follower, ndjsonDestination, sqliteDestination } from './sync-followers.ts';

const database = 'postgres';

let sandbox: Sandbox;
let server: PostgresServer;
let etcd: EtcdCluster;
/** By the name of the slot. */
let destinations: ReadonlyMap<string, Destination>;

before(async () => {
  sandbox = makeSandbox();
  [server, etcd] = await Promise.all([startPostgres(sandbox), startEtcd(sandbox)]);
  destinations = new Map([
    ['etcd', etcdDestination(etcd, '/app')],
    ['sqlite', sqliteDestination(sandbox.join('replica.db'))],
    ['lines', ndjsonDestination(sandbox.join('lines'))],
  ]);
  await server.psql(`CREATE TABLE item (id bigint PRIMARY KEY, name text);
    INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 1000) i;
    CREATE TABLE note (id int PRIMARY KEY, body text);
    ALTER TABLE note ALTER body SET STORAGE EXTERNAL;
    INSERT INTO note SELECT i, repeat(i::text, 4000) FROM generate_series(1, 20) i;
    CREATE TABLE event_log (at timestamptz, kind text);
    ALTER TABLE event_log REPLICA IDENTITY FULL;
    CREATE PUBLICATION baton FOR ALL TABLES`);
  await makeSlots();
});

after(async () => {
  await server?.[Symbol.asyncDispose]();
  await etcd?.[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

async function makeSlots(): Promise<void> {
  for (const slot of destinations.keys()) {
    await server.psql(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  }
}

/** Changes of tables that nobody writes to are noticed in the catalog, now and then. */
const catalogMsMax = 30_000;

/** Syncs into every sink until all have what the server has, and says how each began. */
async function follow(withinMs = 0): Promise<readonly string[]> {
  await using started = new AsyncDisposableStack();
  const options = { from: server.url(), password: server.password };
  const followers = [...destinations].map(([slot, destination]) =>
    started.use(new Follower(destination, { ...options, slot })),
  );
  for (const follower of followers) await follower.expectEqual(server, database, withinMs);
  for (const follower of followers) await follower.stop();
  return followers.map((follower) => {
    const [kind = 'continued'] = ['history-lost', 'repairing', 'dumping'].filter(
      (type) => follower.said(type).length > 0,
    );
    return kind;
  });
}

/** One start of a sync that is to end by itself. */
async function attempt(from: string, to: string, ...more: readonly string[]): Promise<BatonResult> {
  const words = ['sync', '--from', from, '--to', to, '--listen', 'none', '--exclude', 'public.event_log'];
  return await runBaton([...words, ...more], { json: false, env: { PGPASSWORD: server.password } });
}

const toOf = (slot: string): string => destinations.get(slot)?.to ?? '';

const differences = `UPDATE item SET name = 'other' WHERE id <= 3; DELETE FROM item WHERE id IN (4, 5); INSERT INTO item VALUES (1001, 'new');
  UPDATE note SET body = body || '!' WHERE id = 1`;

/** Counts what is written to rows of the sinks from here on, by means of their own. */
async function countWrites(): Promise<() => Promise<{ readonly etcd: number; readonly sqlite: number }>> {
  const { header } = JSON.parse(await etcd.ctl('get', '/app/m/pos', '--write-out=json')) as {
    header: { revision: number };
  };
  const path = sandbox.join('replica.db');
  {
    using file = new DatabaseSync(path);
    file.exec('CREATE TABLE IF NOT EXISTS writes (n INTEGER); DELETE FROM writes');
    for (const table of ['item', 'note']) {
      for (const what of ['INSERT', 'UPDATE', 'DELETE']) {
        file.exec(
          `CREATE TRIGGER IF NOT EXISTS ${table}_${what} AFTER ${what} ON ${table} BEGIN INSERT INTO writes VALUES (1); END`,
        );
      }
    }
  }
  return async () => {
    const said = await etcd.ctl('get', '--prefix', '/app/d/', '--write-out=json', '--keys-only');
    const { kvs } = JSON.parse(said) as { readonly kvs: readonly { readonly mod_revision: number }[] };
    const changed = kvs.filter(({ mod_revision: at }) => at > header.revision);
    using file = new DatabaseSync(path, { readOnly: true });
    return { etcd: changed.length, sqlite: Number(file.prepare('SELECT count(*) AS n FROM writes').get()?.['n']) };
  };
}

// Proves: a slot that somebody dropped and made anew is noticed; everything is read again, and nothing is written but what differs (Y6, Y7).
test('a slot that somebody made anew', { timeout: 120_000 }, async () => {
  assert.deepEqual(await follow(), ['dumping', 'dumping', 'dumping']);
  await server.psql('SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
  const missing = await attempt(server.url(), toOf('etcd'), '--slot', 'etcd');
  assert.notEqual(missing.code, 0);
  assert.match(missing.stderr, /there is no replication slot "etcd"[^]*baton sync setup/);
  await server.psql(differences);
  await makeSlots();
  const written = await countWrites();
  assert.deepEqual(await follow(), ['history-lost', 'history-lost', 'history-lost']);
  // Deletes leave no keys in etcd.
  assert.deepEqual(await written(), { etcd: 5, sqlite: 7 });
});

// Proves: a slot whose log the server did not keep ends the sync with what is to be done, and that is enough.
test('a slot that was cut off', { timeout: 120_000 }, async () => {
  await server.psql(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'; SELECT pg_reload_conf();
    CREATE TABLE filler AS SELECT i, repeat('x', 1000) FROM generate_series(1, 60000) i; DROP TABLE filler;
    SELECT pg_switch_wal(); CHECKPOINT`);
  const isLost = `SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'`;
  await waitUntil('slots are lost', async () => (await server.psql(`CHECKPOINT; ${isLost}`)) === '3', 20_000);
  const lost = await attempt(server.url(), toOf('sqlite'), '--slot', 'sqlite');
  assert.notEqual(lost.code, 0);
  assert.match(
    lost.stderr,
    /the slot "sqlite" has lost the log that it needs[^]*baton sync drop --yes[^]*baton sync setup/,
  );
  await server.psql(`ALTER SYSTEM RESET max_slot_wal_keep_size; SELECT pg_reload_conf()`);
  const common = ['--from', server.url(), '--slot', 'sqlite'];
  for (const words of [
    ['drop', '--yes', '--publication', 'none'],
    ['setup', '--allow-unbounded-slot'],
  ]) {
    const run = await runBaton(['sync', ...words, ...common], { json: false, env: { PGPASSWORD: server.password } });
    assert.equal(run.code, 0, run.stderr);
  }
  await server.psql(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name <> 'sqlite';
    SELECT pg_create_logical_replication_slot(name, 'pgoutput') FROM unnest(ARRAY['etcd', 'lines']) name;
    DELETE FROM item WHERE id = 7`);
  const written = await countWrites();
  assert.deepEqual(await follow(), ['history-lost', 'history-lost', 'history-lost']);
  assert.deepEqual(await written(), { etcd: 0, sqlite: 1 });
});

// Proves: another cluster behind the address, or a standby alone, is said to be what it is; the one ends the sync, the other is waited for.
test('other servers behind the address', { timeout: 120_000 }, async () => {
  {
    await using other = await startPostgres(sandbox, { name: 'other', ownSystemId: true });
    await other.psql(`CREATE TABLE item (id bigint PRIMARY KEY, name text); CREATE PUBLICATION baton FOR ALL TABLES;
      SELECT pg_create_logical_replication_slot('sqlite', 'pgoutput')`);
    const refused = await attempt(other.url(), toOf('sqlite'), '--slot', 'sqlite');
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /is of the cluster \d+, and the sink was filled from the cluster \d+/);
  }
  await using standby = await startPostgres(sandbox, { name: 'standby', standbyOf: server });
  const options = { from: standby.url(), password: server.password, slot: 'sqlite' };
  await using follower = new Follower(destinations.get('sqlite') as Destination, options);
  const retry = (await follower.run.untilType('retry')) as unknown as {
    readonly error: { readonly code: string; readonly message: string };
  };
  assert.equal(retry.error.code, 'UNAVAILABLE');
  assert.match(retry.error.message, /is a standby, and changes are read from a primary/);
  await follower.stop();
});

// Proves: when the primary is put back to an older state, what the sinks have beyond it is taken back, row by row where the sink can tell which, also over changes of tables on either side.
test('a primary that was restored to a point in time', { timeout: 120_000 }, async () => {
  await server.stop();
  const copy = sandbox.join('copy');
  await mustRun(['cp', '-a', server.dataDirectory, copy]);
  await server.start();
  await server.psql(`INSERT INTO item SELECT i, 'kept' FROM generate_series(2001, 2100) i; SELECT pg_create_restore_point('here');
    UPDATE item SET name = 'lost' WHERE id > 2050; DELETE FROM item WHERE id BETWEEN 100 AND 110; UPDATE note SET id = id + 100 WHERE id <= 5;
    ALTER TABLE item ADD COLUMN lost int DEFAULT 7; INSERT INTO item VALUES (3000, 'lost', 8);
    INSERT INTO event_log VALUES (now(), 'lost')`);
  assert.deepEqual(await follow(catalogMsMax), ['continued', 'continued', 'continued']);
  await server.stop();
  const lost = sandbox.join('lost');
  await mustRun(['mv', server.dataDirectory, lost]);
  await mustRun(['mv', copy, server.dataDirectory]);
  appendFileSync(
    join(server.dataDirectory, 'postgresql.conf'),
    `restore_command = 'cp ${lost}/pg_wal/%f %p'
    recovery_target_name = 'here'\nrecovery_target_action = 'promote'\n`,
  );
  writeFileSync(join(server.dataDirectory, 'recovery.signal'), '');
  await server.start();
  await waitUntil('it takes writes', async () => (await server.psql('SELECT pg_is_in_recovery()')) === 'f', 20_000);
  await server.psql(`ALTER TABLE note ADD COLUMN made text DEFAULT 'here'; INSERT INTO item VALUES (3001, 'after');
    UPDATE item SET name = 'after' WHERE id = 105`);
  assert.deepEqual(await follow(catalogMsMax), ['repairing', 'repairing', 'history-lost']);
});
