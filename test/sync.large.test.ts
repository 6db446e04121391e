// A transaction that is larger than anything: it is seen whole or not at all, and takes no memory.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openReader, type Reader } from '@batondb/sync/reader';
import { waitUntil } from '@batondb/testbed/process-table';
import { Random, seedOfRun } from '@batondb/testbed/random';
import type { BatonRun } from '@batondb/testbed/run-baton';
import { isSoak, isStreaming, SyncBed, type SyncTarget } from './sync-bed.ts';

/** Of both tables together. */
const rows = isSoak ? 2_000_000 : 30_000;
const perTable = rows / 2;
const endMsMax = isSoak ? 1_800_000 : 120_000;
const tables = ['one', 'two'] as const;

/** Every row changes from generation 0 to 1, by one statement for each table, in one transaction. */
const createTables = tables
  .map(
    (table) => `CREATE TABLE large.${table} (id int PRIMARY KEY, generation int, note text);
    INSERT INTO large.${table} SELECT i, 0, md5(i::text) FROM generate_series(1, ${perTable}) i;`,
  )
  .join('\n');
const changeAll = `BEGIN; ${tables.map((table) => `UPDATE large.${table} SET generation = 1;`).join(' ')} COMMIT`;

type Answer = { readonly header: { readonly revision: number }; readonly kvs?: readonly { readonly value: string }[] };

/** A state as etcdctl shows it to who follows the rule: which generations some rows of both tables have. */
async function generationsByRule(bed: SyncBed, { prefix }: SyncTarget, random: Random): Promise<Set<number>> {
  const get = async (...words: readonly string[]): Promise<Answer> =>
    JSON.parse(await bed.etcd.ctl('get', ...words, '--write-out=json')) as Answer;
  const { header, kvs = [] } = await get(`${prefix}/m/pos`);
  const place = JSON.parse(Buffer.from(kvs[0]!.value, 'base64').toString()) as {
    open: boolean;
    closedRevision?: number;
  };
  const revision = place.open ? place.closedRevision : header.revision;
  assert.ok(revision !== undefined);
  const found = new Set<number>();
  for (const table of tables) {
    const all = `${prefix}/d/large/${table}/`;
    for (const start of [all, `${all}${random.integer(1, 9)}${random.integer(0, 99)}`, `${all}99`]) {
      const { kvs: some = [] } = await get(`--rev=${revision}`, '--limit=200', start, `${prefix}/d/large/${table}0`);
      for (const { value } of some) found.add(generationOf(Buffer.from(value, 'base64').toString()));
    }
  }
  return found;
}

function generationOf(row: string): number {
  return (JSON.parse(row) as { readonly generation: number }).generation;
}

async function generationsByReader(reader: Reader, random: Random): Promise<Set<number>> {
  const snapshot = await reader.snapshot();
  const found = new Set<number>();
  for (const table of tables) {
    for (let number = 0; number < 40; number++) {
      const row = await snapshot.get(`large.${table}`, [String(random.integer(1, perTable))]);
      assert.ok(row !== undefined);
      found.add(generationOf(row.json));
    }
  }
  return found;
}

/** How many rows of the large transaction came in each group that had any, until all have come. */
async function groupsOf(reader: Reader, signal: AbortSignal): Promise<number[]> {
  const groups: number[] = [];
  for await (const { changes } of reader.watch(await reader.snapshot(), signal)) {
    let count = 0;
    for await (const some of changes) {
      for (const change of some) {
        if (change.kind === 'put' && change.table.startsWith('large.') && generationOf(change.json) === 1) count++;
      }
    }
    if (count > 0) groups.push(count);
    if (groups.reduce((sum, each) => sum + each, 0) >= rows) return groups;
  }
  return groups;
}

/** Looks again and again, and remembers what it saw. */
class Looks {
  readonly seen = new Set<string>();
  count = 0;
  #isEnding = false;
  readonly #work: Promise<void>;

  constructor(look: () => Promise<ReadonlySet<number>>) {
    this.#work = this.#run(look);
    // Told by end().
    this.#work.catch(() => undefined);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#work;
  }

  async #run(look: () => Promise<ReadonlySet<number>>): Promise<void> {
    for (; !this.#isEnding; this.count++) this.seen.add([...(await look())].join(' and '));
  }
}

function peakMemoryBytes(run: BatonRun): number {
  const peaks = run.processes().map(({ pid }) => {
    const [, kilobytes = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kilobytes) * 1024;
  });
  return Math.max(...peaks);
}

// Proves: one transaction of very many rows, while small ones go on, is seen by no reader by halves: not by the documented rule, not by the library, and a watch brings it in one group (Y4). The server
// does not spill it, and what it takes of our memory does not depend on its size.
test('a transaction of very many rows', { timeout: endMsMax * 2 }, async (t) => {
  const random = new Random(seedOfRun());
  t.diagnostic(`BATON_SEED=${random.seed}`);
  await using bed = await SyncBed.start({ scale: 10, etcd: { more: ['--quota-backend-bytes=8589934592'] } });
  // In the tests as with its default of 64 MB in earnest: far less than the transaction.
  if (!isSoak) await bed.sql("ALTER SYSTEM SET logical_decoding_work_mem = '1MB'; SELECT pg_reload_conf()");
  await bed.sql(`CREATE SCHEMA large; ${createTables}`);
  const target = await bed.target('etcd');
  await using run = target.start('--etcd-budget', '7GiB');
  await run.until(isStreaming, endMsMax);
  await target.caughtUp();
  using reader = await openReader({ url: target.to });
  await using load = await bed.load(random.word());

  const stop = new AbortController();
  const groups = groupsOf(reader, stop.signal);
  const byRule = new Looks(() => generationsByRule(bed, target, random.fork('rule')));
  const byReader = new Looks(() => generationsByReader(reader, random.fork('reader')));
  const committedBefore = load.counts.committed;
  await bed.sql(changeAll);
  assert.deepEqual(await groups, [rows]);
  stop.abort();
  t.diagnostic(`${load.counts.committed - committedBefore} small transactions meanwhile`);
  for (const [name, looks] of Object.entries({ byRule, byReader })) {
    await waitUntil('all rows are seen', () => looks.seen.has('1'), 60_000);
    await looks.end();
    t.diagnostic(`${name}: ${looks.count} looks`);
    assert.deepEqual([...looks.seen].sort(), ['0', '1'], name);
  }
  await load.stop();
  await target.caughtUp();
  const stats = `SELECT spill_txns, stream_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = '${target.slot}'`;
  assert.equal(await bed.sql(stats), '0|t');
  const peak = peakMemoryBytes(run);
  t.diagnostic(`peak of memory: ${Math.round(peak / 2 ** 20)} MiB`);
  if (isSoak) assert.ok(peak < 300 * 2 ** 20);
  await target.expectEqual();
});
