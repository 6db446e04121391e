// Tables that change while they are followed.
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceTable } from '@batondb/testbed/source-rows';
import { tableChanges } from './ddl-changes.ts';
import { isStreaming, type SinkKind, SyncBed, type SyncTarget } from './sync-bed.ts';

const kinds: readonly SinkKind[] = ['etcd', 'sqlite', 'ndjson'];

/** What is published: a table that is made in `aside` is not, and one of `picked` is when it was added. */
const publish = `CREATE SCHEMA ddl; CREATE SCHEMA aside; CREATE SCHEMA picked;
  CREATE PUBLICATION ddl FOR TABLES IN SCHEMA public, sales, ddl WITH (publish_via_partition_root = true);`;

let bed: SyncBed;

before(async () => {
  bed = await SyncBed.start({ scale: 20 });
  await bed.sql(publish);
});

after(async () => {
  await bed[Symbol.asyncDispose]();
});

// Proves: whatever is done to a table, written to or not, each sink then has its rows and no others.
test('changes of tables', async () => {
  await bed.sql(
    Object.values(tableChanges)
      .map(({ before }) => `${before};\n`)
      .join(''),
  );
  await using stack = new AsyncDisposableStack();
  const targets: SyncTarget[] = [];
  for (const kind of kinds) targets.push(await bed.target(kind));
  const runs = targets.map((target) =>
    stack.use(target.start('--publication', 'ddl', '--exclude', 'public.event_log')),
  );
  await Promise.all(runs.map((run) => run.until(isStreaming)));
  const load = stack.use(await bed.load(7));
  await bed.sql(
    Object.values(tableChanges)
      .flatMap(({ then }) => then.map((sql) => `${sql};\n`))
      .join(''),
  );
  await load.stop();
  await sleep(12000);
  for (const run of runs)
    console.log(
      run.events
        .filter((e) => !/dump|progress|phase|connected/.test(e.type) || e.phase === 'retrying')
        .map((e) => JSON.stringify(e))
        .join('\n')
        .slice(0, 6000),
      run.stderr.slice(0, 2000),
    );
  const isWanted = ({ schema, name }: SourceTable): boolean =>
    name !== 'event_log' && schema !== 'aside' && schema !== 'Archive 2';
  for (const target of targets) {
    const d = await target.differences(isWanted);
    const c: Record<string, string[]> = {};
    for (const x of d) (c[x.table] ??= []).push(`${x.key} ${x.column}: ${x.source} / ${x.sink}`);
    for (const [k, v] of Object.entries(c)) console.log(target.slot, k, v.length, v.slice(0, 2).join(' || '));
  }
});
