// The command `baton sync` against a real server: what it says, and what it can be told.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { freePort } from '@batondb/testbed/ports';
import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import { waitUntil } from '@batondb/testbed/process-table';
import { type BatonEvent, type BatonRun, runBaton, startBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';

const patienceMs = 30_000;

let sandbox: Sandbox;
let server: PostgresServer;

before(async () => {
  sandbox = makeSandbox();
  server = await startPostgres(sandbox);
  await server.psql(`CREATE TABLE item (id bigint PRIMARY KEY, name text);
    INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 1000) i;
    CREATE TABLE extra (id int PRIMARY KEY)`);
  await setUp();
});

/** Makes publication and slot by the command, and says what was printed. */
async function setUp(...more: readonly string[]): Promise<string> {
  const words = ['sync', 'setup', '--from', server.url(), '--allow-unbounded-slot', ...more];
  const { code, stdout, stderr } = await runBaton(words, { json: false, env: { PGPASSWORD: server.password } });
  assert.equal(code, 0, stderr);
  return stdout;
}

after(async () => {
  await server[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

/** A sync of the server into a file of SQLite, that says where its pages are. */
async function startSync(file: string, ...more: readonly string[]): Promise<{ run: BatonRun; url: string }> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const words = ['sync', '--from', server.url(), '--to', `sqlite:${file}`, '--listen', url.slice('http://'.length)];
  const run = startBaton([...words, ...more], { env: { PGPASSWORD: server.password } });
  return { run, url };
}

function rowsOf(file: string, table: string): number {
  if (!existsSync(file)) return -1;
  using database = new DatabaseSync(file, { readOnly: true });
  try {
    return Number(database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.['n']);
  } catch {
    return -1;
  }
}

/** What an order is answered with: its status, and the phase of the sync after it. */
async function order(url: string, path: string): Promise<readonly [number, unknown]> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${url}${path}`, { method: 'POST', headers });
  return [answer.status, ((await answer.json()) as Readonly<Record<string, unknown>>)['phase']];
}

const isStreaming = (event: BatonEvent): boolean =>
  event.type === 'phase' && 'phase' in event && event.phase === 'streaming';

// Proves: a sync dumps, follows, tells of itself over HTTP, takes orders, stops with a signal by code 0, and goes on where it was without a dump.
test('a sync and its operator', async () => {
  const file = sandbox.join('replica.db');
  {
    const { run, url } = await startSync(file);
    await using _ = run;
    await run.until(isStreaming);
    await server.psql("INSERT INTO item VALUES (1001, 'later')");
    await waitUntil('the row is there', () => rowsOf(file, 'item') === 1001, patienceMs);
    const ready = await fetch(`${url}/ready`);
    assert.deepEqual([ready.status, await ready.text()], [200, 'ready\n']);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    for (const line of [
      'baton_sync_rows_total{kind="dump"} 1000',
      'baton_sync_rows_total{kind="insert"} 1',
      'baton_sync_phase{phase="streaming"} 1',
      'baton_sync_transactions_total 1',
    ])
      assert.ok(metrics.includes(`${line}\n`), `${line}\n${metrics}`);
    assert.match(metrics, /^baton_sync_slot_retained_bytes \d+$/m);
    const shown = await runBaton(['sync', 'status', url], { json: false });
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, /^phase +streaming, for /m);
    assert.match(shown.stdout, /^tables +2 tables$/m);

    assert.deepEqual(await order(url, '/pause'), [200, 'paused']);
    assert.equal((await fetch(`${url}/ready`)).status, 503);
    await server.psql("INSERT INTO item VALUES (1002, 'paused')");
    assert.deepEqual(await order(url, '/resume'), [200, 'streaming']);
    await waitUntil('the row is there', () => rowsOf(file, 'item') === 1002, patienceMs);

    const resync = await runBaton(['sync', 'resync', '--table', 'public.item', url], { json: false });
    assert.equal(resync.code, 0, resync.stderr);
    await run.until(({ type }) => type === 'table-resynced');
    assert.deepEqual(await order(url, '/resync?table=public.nothing'), [404, undefined]);
    assert.deepEqual((await fetch(`${url}/pause`, { method: 'POST' })).status, 415);
    assert.equal(rowsOf(file, 'item'), 1002);

    run.kill('SIGTERM');
    assert.equal((await run.finished).code, 0, run.stderr);
    assert.equal(run.events.at(-1)?.type, 'done');
  }
  await server.psql("DELETE FROM item WHERE id > 1000; UPDATE item SET name = 'other' WHERE id = 1");
  const config = sandbox.join('sync.yaml');
  writeFileSync(config, `from: ${server.url()}\nto: sqlite:${file}\nlisten: none\nname: again\n`, { mode: 0o600 });
  await using run = startBaton(['sync', '--config', config], { env: { PGPASSWORD: server.password } });
  await waitUntil('the rows are gone', () => rowsOf(file, 'item') === 1000, patienceMs);
  assert.ok(!run.events.some(({ type }) => type === 'table-dumped'));
  run.kill('SIGINT');
  assert.equal((await run.finished).code, 0, run.stderr);
});

// Proves: a dump alone ends by itself, listens nowhere, and prints lines that are all on standard output and nothing else is.
test('a dump to standard output', async () => {
  const words = ['sync', '--from', server.url(), '--to', 'ndjson:-', '--dump-only', '--include', 'public.item'];
  const run = await runBaton(words, { json: false, env: { PGPASSWORD: server.password } });
  assert.equal(run.code, 0, run.stderr);
  const lines = run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly op: string });
  assert.equal(lines.filter(({ op }) => op === 'read').length, 1000);
  assert.match(run.stderr, /stopped at \S+: 1000 rows dumped|1,000 rows dumped/);
});

// Proves: what is set up is found in order, is not made twice, and goes again when that was said and not before; what would be done is SQL that psql takes.
test('setup, check and drop', async () => {
  const env = { PGPASSWORD: server.password };
  const names = ['--slot', 'other', '--publication', 'other_publication'];
  const sql = await setUp(...names, '--dry-run');
  assert.match(sql, /^CREATE PUBLICATION "?other_publication"? /m);
  const check = async (): Promise<number | null> => {
    const run = await runBaton(['sync', 'check', '--from', server.url(), ...names], { json: false, env });
    assert.match(run.stdout, /^ok .*wal_level/m, run.stderr);
    return run.code;
  };
  assert.equal(await check(), 30);
  await server.psql(sql);
  assert.equal(await setUp(...names), '');
  assert.equal(await check(), 0);
  const drop = ['sync', 'drop', '--from', server.url(), ...names];
  const unsaid = await runBaton(drop, { json: false, env });
  assert.match(unsaid.stderr, /nobody is here to be asked/);
  const dropped = await runBaton([...drop, '--yes'], { json: false, env });
  assert.equal(dropped.code, 0, dropped.stderr);
  assert.equal(await server.psql('SELECT slot_name FROM pg_replication_slots'), 'baton');
});

// Proves: no error and no line has a password that stood in the address, and what is wrong ends it with what can be done.
test('what is wrong', async () => {
  const attempt = async (...words: readonly string[]): Promise<string> => {
    const { code, stderr, stdout } = await runBaton(['sync', '--listen', 'none', ...words], { json: false });
    assert.notEqual(code, 0);
    return stdout + stderr;
  };
  const from = `postgres://postgres:wrong-secret@127.0.0.1:${server.port}/postgres`;
  const denied = await attempt('--from', from, '--to', 'ndjson:-');
  assert.match(denied, /password authentication failed/);
  assert.ok(!denied.includes('wrong-secret'), denied);
  assert.match(await attempt('--from', server.url(), '--to', 'mongo:x'), /mongo: is no kind of sink/);
  const words = ['sync', '--from', server.url(), '--to', 'ndjson:-', '--listen', '0.0.0.0:0'];
  const open = await runBaton(words, { json: false });
  assert.match(open.stderr, /there is no token/);
});
