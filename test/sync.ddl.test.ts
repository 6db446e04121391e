// Tables that change while they are followed, under load, in every kind of sink that can be read back.
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Difference, describeDifferences } from '@batondb/testbed/compare-rows';
import { freePort } from '@batondb/testbed/ports';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { type BatonRun, runBaton } from '@batondb/testbed/run-baton';
import type { SourceTable } from '@batondb/testbed/source-rows';
import { tableChanges } from '@batondb/testbed/table-changes';
import { createStorm, runStorm, stormSchemas } from '@batondb/testbed/table-storm';
import { isSoak, isStreaming, type SinkKind, SyncBed, type SyncTarget } from './sync-bed.ts';

const kinds: readonly SinkKind[] = ['etcd', 'sqlite', 'ndjson'];
const equalMsMax = isSoak ? 600_000 : 120_000;
const stormTransactions = isSoak ? 5000 : 100;

/** Tables of other schemas are not published, and one of `picked` is when it was added. */
const publish = `CREATE SCHEMA ddl; CREATE SCHEMA aside; CREATE SCHEMA picked; ${createStorm}
  CREATE PUBLICATION ddl FOR TABLES IN SCHEMA public, sales, ddl, ${stormSchemas.join(', ')} WITH (publish_via_partition_root = true);`;

type Followed = { readonly target: SyncTarget; readonly run: BatonRun; readonly url: string };

let bed: SyncBed;
let followed: readonly Followed[];
const stack = new AsyncDisposableStack();
const random = new Random(seedOfRun());

before(async () => {
  bed = stack.use(await SyncBed.start({ scale: 20 }));
  await bed.sql(publish);
  await bed.sql(listOf(Object.values(tableChanges).map(({ before }) => before)));
  followed = await Promise.all(kinds.map(follow));
});

after(async () => {
  await stack.disposeAsync();
});

async function follow(kind: SinkKind): Promise<Followed> {
  const target = await bed.target(kind);
  const listen = `127.0.0.1:${await freePort()}`;
  const words = ['--publication', 'ddl', '--exclude', 'public.event_log', '--on-error', 'record', '--listen', listen];
  const run = stack.use(target.start(...words));
  await run.until(isStreaming);
  return { target, run, url: `http://${listen}` };
}

function listOf(statements: readonly string[]): string {
  return statements.map((statement) => `${statement};\n`).join('');
}

function isWanted({ schema, name }: SourceTable): boolean {
  return name !== 'event_log' && schema !== 'aside' && schema !== 'Archive 2';
}

/** What nobody writes to is noticed within seconds, and read anew: nothing says when the last of it is there. Nobody may write meanwhile. */
async function untilEqual(
  { target, run }: Followed,
  isAsked: (table: SourceTable) => boolean = () => true,
): Promise<void> {
  let differences: readonly Difference[] = [];
  for (const endsAt = Date.now() + equalMsMax; ; await sleep(1500)) {
    differences = await target.differences((table) => isWanted(table) && isAsked(table));
    if (differences.length === 0) return;
    const isOver = run.events.some(({ type }) => type === 'error');
    if (isOver || Date.now() > endsAt) break;
  }
  const told = run.events.slice(-5).map((event) => JSON.stringify(event));
  assert.fail(`${target.slot}: ${describeDifferences(differences)}\n${told.join('\n')}`);
}

async function keysBelow(prefix: string): Promise<readonly string[]> {
  return (await bed.etcd.ctl('get', '--prefix', prefix, '--keys-only')).split('\n').filter((key) => key !== '');
}

// Proves: whatever is done to a table, written to or not, each sink then has its rows and no others (Y5, Y7).
test('each change of a table', async () => {
  await using load = await bed.load(random.word());
  await bed.sql(listOf(Object.values(tableChanges).flatMap(({ changes }) => changes)));
  await load.stop();
  for (const each of followed) await untilEqual(each);
});

// Proves: the same for changes that come one upon the other, in transactions with others, and rolled back.
test('a storm of changes', async (t) => {
  t.diagnostic(`BATON_SEED=${random.seed}`);
  await using load = await bed.load(random.word());
  const url = bed.server.url({ database: 'app', withPassword: true });
  const taken = await Promise.all(
    [1, 2].map((number) => runStorm(url, random.fork(`storm ${number}`), stormTransactions)),
  );
  await load.stop();
  t.diagnostic(`${taken.join(' and ')} steps`);
  assert.ok(taken.every((count) => count > stormTransactions / 4));
  for (const each of followed) await untilEqual(each, ({ schema }) => schema.startsWith('storm'));
});

// Proves: no key is too odd, and two keys never meet; a row that etcd cannot hold is kept aside and named until it fits.
test('odd keys, and a row that is too large', async () => {
  const odd = [
    "''",
    "'/'",
    "'%'",
    "'%2F'",
    "'a/b'",
    "'%N'",
    "' '",
    "'.'",
    "'..'",
    "'ü\u{1f600}'",
    "E'\\t\\n\\x01\\x7f'",
    "repeat('k', 10000)",
  ];
  await bed.sql(`CREATE TABLE ddl.odd (a text, b text, v text, PRIMARY KEY (b, a));
    INSERT INTO ddl.odd SELECT one, other, 'v' FROM unnest(ARRAY[${odd.join(', ')}]) one, unnest(ARRAY[${odd.join(', ')}]) other;
    UPDATE ddl.odd SET v = 'other' WHERE a = '/'; DELETE FROM ddl.odd WHERE b = '%2F'; UPDATE ddl.odd SET a = 'moved/' || a WHERE b = '';
    INSERT INTO ddl.odd VALUES ('large', 'row', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 60000) i))`);
  const [etcd] = followed as [Followed];
  await etcd.run.until(({ type }) => type === 'row-recorded');
  await etcd.target.caughtUp();
  assert.equal((await keysBelow(`${etcd.target.prefix}/m/errors/`)).length, 1);
  await bed.sql("UPDATE ddl.odd SET v = 'fits' WHERE a = 'large'");
  for (const each of followed) await untilEqual(each, ({ name }) => name === 'odd');
  assert.deepEqual(await keysBelow(`${etcd.target.prefix}/m/errors/`), []);
});

// Proves: a table that is read anew while it is written to has exactly the source's rows then, also when somebody else has put rows into the sink, changed some and taken some away.
test('a table that is read anew', async () => {
  const [etcd, sqlite, lines] = followed as [Followed, Followed, Followed];
  const { prefix } = etcd.target;
  const people = await keysBelow(`${prefix}/d/public/people/`);
  await bed.etcd.ctl('put', `${prefix}/d/public/people/987654`, '{"id":"987654"}');
  await bed.etcd.ctl('put', people[1]!, '{"id":"0"}');
  await bed.etcd.ctl('del', people[2]!);
  {
    using database = new DatabaseSync(sqlite.target.path, { timeout: 10_000 });
    database.exec(`UPDATE people SET first_name = 'nobody' WHERE id % 3 = 0; DELETE FROM people WHERE id % 3 = 1;
      INSERT INTO people (id, first_name) VALUES (987654, 'surplus'), (987655, 'surplus')`);
  }
  await using load = await bed.load(random.word());
  await Promise.all(
    [etcd, sqlite, lines].map(async ({ run, url }) => {
      const ended = run.events.length;
      const order = ['sync', 'resync', '--table', 'public.people', url];
      const { code, stderr } = await runBaton(order, { json: false });
      assert.equal(code, 0, stderr);
      await run.until((event) => event.type === 'table-resynced' && run.events.indexOf(event) >= ended);
    }),
  );
  await load.stop();
  for (const each of followed) await untilEqual(each, ({ schema }) => schema === 'public');
});

// Proves: rows that nothing tells apart are followed by SQLite and lines; etcd stops and says which table it is, and goes on when that is left out, or has got a key.
test('a table without a key', async () => {
  const [etcd, ...others] = followed as [Followed, ...Followed[]];
  await bed.sql(`CREATE TABLE ddl.keyless (a int, b text); ALTER TABLE ddl.keyless REPLICA IDENTITY FULL;
    INSERT INTO ddl.keyless VALUES (1, 'twice'), (1, 'twice'), (2, NULL); DELETE FROM ddl.keyless WHERE ctid = '(0,1)'; UPDATE ddl.keyless SET b = 'x' WHERE a = 2`);
  const { code, stderr } = await etcd.run.finished;
  assert.equal(code, 2, stderr);
  assert.match(stderr, /ddl\.keyless has no key.*\n.*--exclude.*primary key/);
  for (const each of others) await untilEqual(each, ({ name }) => name === 'keyless');
  await bed.sql('ALTER TABLE ddl.keyless ADD id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY');
  for (const each of others) await untilEqual(each, ({ name }) => name === 'keyless');
  const run = stack.use(etcd.target.start('--publication', 'ddl', '--exclude', 'public.event_log'));
  await untilEqual({ ...etcd, run });
});
