// Proves: what a slot brings is told as transactions that leave exactly the rows that the server has, whatever kind of change and identity, and whatever the size.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import pg from 'pg';
import { Follower, rowsOf, setup, sourceOf } from './postgres-follower.ts';

const timeout = 120_000;
let sandbox: Sandbox;
let server: PostgresServer;

before(async () => {
  sandbox = makeSandbox();
  // Transactions are streamed before they commit from 64 kB on.
  server = await startPostgres(sandbox, { settings: { logical_decoding_work_mem: '64kB' } });
  await server.psql(setup);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

const identities = `
  CREATE TABLE usual (id int PRIMARY KEY, a text, b text);
  CREATE TABLE reversed (a int, b int, c text, PRIMARY KEY (b, a));
  CREATE TABLE by_index (id int, code text NOT NULL, a text); CREATE UNIQUE INDEX by_code ON by_index (code);
  ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_code;
  CREATE TABLE whole (id int PRIMARY KEY, a text, b text); ALTER TABLE whole REPLICA IDENTITY FULL;
  CREATE TABLE keyless (a int, b text); ALTER TABLE keyless REPLICA IDENTITY FULL;
  CREATE TABLE nothing (id int PRIMARY KEY, a text); ALTER TABLE nothing REPLICA IDENTITY NOTHING;
`;

// Proves: every kind of change arrives by every kind of replica identity, with keys in the key's own order.
test('inserts, updates, changed keys, deletes and truncates, by every identity', { timeout }, async () => {
  await server.psql(identities);
  await using follower = await Follower.start(sourceOf(server, sandbox));
  for (const table of ['usual', 'whole']) {
    await server.psql(`INSERT INTO ${table} SELECT n, 'a' || n, 'b' || n FROM generate_series(1, 20) n; UPDATE ${table} SET a = NULL WHERE id < 5;
      UPDATE ${table} SET id = id + 100 WHERE id > 15; DELETE FROM ${table} WHERE id = 7; UPDATE ${table} SET id = id + 1 WHERE id IN (103, 120)`);
  }
  await server.psql(
    `INSERT INTO reversed SELECT n, n % 3, 'c' FROM generate_series(1, 9) n; UPDATE reversed SET a = a + 10 WHERE b = 1; DELETE FROM reversed WHERE b = 2`,
  );
  await server.psql(`INSERT INTO by_index SELECT n, 'code ' || n, 'a' FROM generate_series(1, 9) n; UPDATE by_index SET code = code || '!' WHERE id > 6;
    UPDATE by_index SET id = id * 2; DELETE FROM by_index WHERE id = 2`);
  await server.psql(
    `INSERT INTO keyless SELECT n, 'b' FROM generate_series(1, 9) n; UPDATE keyless SET a = a + 10 WHERE a > 6; DELETE FROM keyless WHERE a = 1`,
  );
  await server.psql(`INSERT INTO nothing VALUES (1, 'a'), (2, NULL)`);
  await follower.catchUp(server);
  assert.deepEqual(follower.sorted('public.usual'), await rowsOf(server, 'usual', 'id,a,b'));
  assert.deepEqual(follower.sorted('public.whole'), await rowsOf(server, 'whole', 'id,a,b'));
  assert.deepEqual(follower.sorted('public.reversed'), await rowsOf(server, 'reversed', 'a,b,c'));
  assert.deepEqual(follower.sorted('public.by_index'), await rowsOf(server, 'by_index', 'id,code,a'));
  assert.deepEqual(follower.sorted('public.keyless'), await rowsOf(server, 'keyless', 'a,b'));
  assert.deepEqual(follower.sorted('public.nothing'), await rowsOf(server, 'nothing', 'id,a'));
  assert.deepEqual([...follower.rows('public.reversed').keys()].slice(0, 1), ['["0","3"]']);
  await server.psql(
    `BEGIN; INSERT INTO usual VALUES (999); TRUNCATE usual, whole; INSERT INTO usual VALUES (1, 'new'); COMMIT`,
  );
  await follower.catchUp(server);
  assert.deepEqual(follower.sorted('public.usual'), ['["1","new",null]']);
  assert.deepEqual(follower.sorted('public.whole'), []);
});

// Proves Y5: a TOASTed value that an update does not touch is unknown, or the old row's, and never NULL.
test('values that were not sent again', { timeout }, async () => {
  await server.psql(`CREATE TABLE large (id int PRIMARY KEY, body text, n int); ALTER TABLE large ALTER body SET STORAGE EXTERNAL;
    CREATE TABLE large_whole (LIKE large INCLUDING ALL); ALTER TABLE large_whole REPLICA IDENTITY FULL`);
  await using follower = await Follower.start(sourceOf(server, sandbox));
  const unknown: unknown[] = [];
  follower.pace = async (events) => {
    for (const event of events)
      if (event.kind === 'update') unknown.push([event.table.name, event.row.includes(undefined)]);
  };
  for (const table of ['large', 'large_whole']) {
    await server.psql(
      `INSERT INTO ${table} VALUES (1, repeat('x', 100000), 1); UPDATE ${table} SET n = 2; UPDATE ${table} SET id = 2`,
    );
  }
  await follower.catchUp(server);
  assert.deepEqual(follower.sorted('public.large'), await rowsOf(server, 'large', 'id,body,n'));
  assert.deepEqual(follower.sorted('public.large_whole'), await rowsOf(server, 'large_whole', 'id,body,n'));
  assert.deepEqual(unknown, [
    ['large', true],
    ['large', true],
    ['large_whole', false],
    ['large_whole', false],
  ]);
});

// Proves: a transaction that is streamed before it commits is told as a whole where it commits, without its aborted parts, and goes through a file when it is large.
test('streamed transactions with savepoints, among small ones', { timeout }, async () => {
  await server.psql('CREATE TABLE big (id int PRIMARY KEY, a text); CREATE TABLE small (id int PRIMARY KEY)');
  await using follower = await Follower.start(sourceOf(server, sandbox));
  const kinds: string[] = [];
  follower.pace = async (events) => {
    for (const event of events) {
      const kind = event.kind === 'insert' ? event.table.name : event.kind;
      if (kind !== 'reached' && kinds.at(-1) !== kind) kinds.push(kind);
    }
  };
  const rows = (from: number, to: number): string =>
    `INSERT INTO big SELECT n, repeat('x', 100) FROM generate_series(${from}, ${to}) n`;
  const large =
    server.psql(`BEGIN; ${rows(1, 20000)}; SAVEPOINT one; ${rows(20001, 40000)}; SAVEPOINT two; ${rows(40001, 50000)};
    ROLLBACK TO one; ${rows(50001, 60000)}; SAVEPOINT three; ALTER TABLE big ADD COLUMN b int; ${rows(60001, 70000)}; ROLLBACK TO three;
    ${rows(70001, 80000)}; SELECT pg_sleep(1); COMMIT`);
  const aborted = server.psql(`BEGIN; ${rows(100001, 120000)}; SELECT pg_sleep(0.3); ROLLBACK`);
  for (let id = 1; id <= 20; id++) await server.psql(`INSERT INTO small VALUES (${id})`);
  await Promise.all([large, aborted]);
  await follower.catchUp(server);
  assert.equal(follower.rows('public.big').size, 40_000);
  assert.deepEqual(follower.sorted('public.big'), await rowsOf(server, 'big', 'id,a'));
  assert.equal(follower.rows('public.small').size, 20);
  assert.equal(kinds.filter((kind) => kind === 'big').length, 1, 'all of it is in one transaction');
  assert.deepEqual(readdirSync(sandbox.join('unfinished')), [], 'files have no names');
});

// Proves: when others write much, a sink is not told of each of their transactions, and in the end it is told where the server is, so that the slot lets go of their log.
test('other databases that write', { timeout }, async () => {
  await server.psql('CREATE DATABASE other');
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  let places = 0;
  follower.pace = async (events) => {
    places += events.filter(({ kind }) => kind === 'reached').length;
  };
  const client = new pg.Client({ connectionString: server.url({ database: 'other', withPassword: true }) });
  await client.connect();
  await client.query('CREATE TABLE busy (id int)');
  const beganAt = Date.now();
  for (let number = 0; number < 1000; number++) await client.query('INSERT INTO busy VALUES (1)');
  await client.end();
  const written = await server.psql('SELECT pg_current_wal_flush_lsn()');
  const end = follower.session.parsePosition(written);
  await follower.until('the end of the log', () => !follower.session.isBefore(follower.position, end));
  const seconds = (Date.now() - beganAt) / 1000;
  assert.ok(places <= 12 + 2 * seconds, `${places} places in ${seconds} s`);
});

// Proves: partitions appear under their root, generated columns not at all, and row filters and column lists are those of the publication.
test('what a publication chooses', { timeout }, async () => {
  await server.psql(`CREATE TABLE parted (id int, day date, a text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
    CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
    CREATE TABLE made (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, secret text, a text);
    CREATE PUBLICATION chosen FOR TABLE parted, made (id, a) WHERE (id > 10) WITH (publish_via_partition_root = true);
    SELECT pg_create_logical_replication_slot('chosen', 'pgoutput')`);
  await using follower = await Follower.start(sourceOf(server, sandbox, { slot: 'chosen', publications: ['chosen'] }));
  assert.deepEqual(
    [...follower.shapes.values()].map(({ name, columns }) => [name, columns.map((column) => column.name).join()]),
    [
      ['made', 'id,a'],
      ['parted', 'id,day,a'],
    ],
  );
  await server.psql(`INSERT INTO parted SELECT n, date '2026-01-01' + n, 'a' FROM generate_series(1, 300) n; UPDATE parted SET day = '2026-12-31' WHERE id = 1;
    TRUNCATE parted_2; INSERT INTO made (id, secret, a) SELECT n, 's', 'a' FROM generate_series(1, 20) n; UPDATE made SET id = 5 WHERE id = 15 AND false; DELETE FROM made WHERE id = 12`);
  await follower.catchUp(server);
  assert.deepEqual(follower.sorted('public.made'), await rowsOf(server, 'made', 'id,a', 'id > 10'));
  // The stream says nothing of the truncated partition: the catalog does, and the table is read anew.
  await follower.until('a resync', () => follower.changes.includes('resync public.parted end'));
  assert.deepEqual(
    follower.changes.filter((change) => change.includes('parted_')),
    [],
  );
});

// Proves: a source in which nothing happens says so, where it was left, too: whoever waits for that position waits no longer.
test('nothing has happened', { timeout }, async () => {
  const source = sourceOf(server, sandbox);
  const follow = async (position?: string): Promise<readonly [first: string, last: string]> => {
    await using follower = await Follower.start(source, position === undefined ? {} : { position });
    const { promise: first, resolve } = Promise.withResolvers<string>();
    follower.pace = async (events) => {
      for (const event of events) if (event.kind === 'reached') resolve(event.position);
    };
    return [await first, follower.position];
  };
  let [, position] = await follow();
  // The server itself writes to its log now and then.
  for (let attempt = 1; ; attempt++) {
    const [first, last] = await follow(position);
    if (first === position) return;
    assert.ok(attempt < 4, `it was at ${position}, and went on to ${first}`);
    position = last;
  }
});
