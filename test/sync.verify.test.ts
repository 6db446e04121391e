// The command `baton sync verify` against a sync that runs: what it prints, and how it ends.
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { startPostgres } from '@batondb/testbed/postgres';
import { type BatonEvent, runBaton, startBaton } from '@batondb/testbed/run-baton';
import { makeSandbox } from '@batondb/testbed/sandbox';

const isStreaming = (event: BatonEvent): boolean =>
  event.type === 'phase' && 'phase' in event && event.phase === 'streaming';

// Proves: verify compares while the sync runs and somebody writes, ends with 0 for what is the same and 25 for what is not, with each difference for people and as JSON;
// it leaves no slot behind, and refuses a sink that keeps nothing.
test('baton sync verify', async () => {
  await using sandbox = makeSandbox();
  await using server = await startPostgres(sandbox);
  const env = { PGPASSWORD: server.password };
  const file = sandbox.join('replica.db');
  await server.psql(`CREATE TABLE item (id bigint PRIMARY KEY, name text); CREATE TABLE other (id int PRIMARY KEY);
    INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 1000) i`);
  const from = ['--from', server.url()];
  const setUp = await runBaton(['sync', 'setup', ...from, '--allow-unbounded-slot'], { json: false, env });
  assert.equal(setUp.code, 0, setUp.stderr);
  const place = [...from, '--to', `sqlite:${file}`];
  await using run = startBaton(['sync', ...place, '--listen', 'none'], { env });
  await run.until(isStreaming);
  const verify = async (...more: readonly string[]): Promise<readonly [number | null, string]> => {
    const { code, stdout, stderr } = await runBaton(['sync', 'verify', ...place, ...more], { json: false, env });
    return [code, `${stdout}${stderr}`];
  };

  const writing = server.psql("UPDATE item SET name = name || '!'; INSERT INTO other SELECT generate_series(1, 100)");
  const [code, said] = await verify();
  await writing;
  assert.equal(code, 0, said);
  assert.match(said, /^no difference: 2 tables, 1,[01]00 rows, at \S+, in .*\n$/);

  {
    using database = new DatabaseSync(file, { timeout: 10_000 });
    database.exec("DELETE FROM item WHERE id IN (7, 8, 9); UPDATE item SET name = 'x' WHERE id = 3");
  }
  const [found, text] = await verify('--limit', '2');
  assert.equal(found, 25, text);
  const lines = text.trimEnd().split('\n');
  assert.deepEqual(lines.slice(0, -1), [
    'public.item: 3 missing, 1 different of 1,000 rows',
    '  different: [3]',
    '    name: "item 3!" at the source, "x" in the sink',
    '  missing: [7]',
    '  and 2 more (--limit)',
  ]);
  assert.match(lines.at(-1)!, /^differences in 1 table: 2 tables, 1,100 rows, at/);

  const [, json] = await verify('--json', '--table', 'item');
  const events = json
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  assert.deepEqual(
    events.map(({ type, kind, state }) => [type, kind ?? state]),
    [
      ['difference', 'different'],
      ...['7', '8', '9'].map(() => ['difference', 'missing']),
      ['table-compared', undefined],
      ['compared', 'different'],
    ],
  );
  assert.equal((await verify('--table', 'other'))[0], 0);
  assert.equal((await verify('--to', 'exec:cat'))[0], 2);
  assert.equal(
    await server.psql("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'baton_snapshot%'"),
    '0',
  );
});
