import { once } from 'node:events';
import { mkdtempSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Replicator, type Sink, type SyncEvent } from '@batondb/sync';
import { planEtcdSink } from '@batondb/sync/etcd/settings';
import { EtcdSink } from '@batondb/sync/etcd/sink';
import { parsePattern } from '@batondb/sync/mapping/patterns';
import { ndjsonFileSink } from '@batondb/sync/ndjson/file-sink';
import { ndjsonOutputSink } from '@batondb/sync/ndjson/output-sink';
import { parsePostgresAddress } from '@batondb/sync/postgres/address';
import { passwordSource } from '@batondb/sync/postgres/passwords';
import { PostgresSource } from '@batondb/sync/postgres/source';
import { sqliteSink } from '@batondb/sync/sqlite/sink';
import type { FollowerPlan, Found } from './follower-plan.ts';
import { nothingSink } from './nothing-sink.ts';

// One replication in a process of its own, as the command runs it: its argument is a plan; what it found goes to file 3, and lines to standard output.
// It stops where the plan says so, or when its standard input ends.

async function main(plan: FollowerPlan): Promise<void> {
  const spillDirectory = mkdtempSync(join(tmpdir(), 'baton-sync-'));
  try {
    const replicator = makeReplicator(plan, spillDirectory, tell);
    const stop = new AbortController();
    if (plan.until === undefined && plan.phases !== 'dump') {
      process.stdin.resume();
      once(process.stdin, 'end').then(
        () => stop.abort(),
        () => stop.abort(),
      );
    }
    await replicator.run(stop.signal);
    const { counts } = replicator.status();
    const rows = plan.phases === 'dump' ? counts.dumpedRows : counts.inserts;
    const { user, system } = process.cpuUsage(begun?.cpu);
    const seconds = (performance.now() - (begun?.atMs ?? 0)) / 1000;
    const found: Found = { seconds, cpuSeconds: (user + system) / 1e6, rows };
    writeSync(3, `${JSON.stringify(found)}\n`);
  } finally {
    rmSync(spillDirectory, { recursive: true });
  }
}

let begun: { readonly atMs: number; readonly cpu: NodeJS.CpuUsage } | undefined;

function tell(event: SyncEvent): void {
  if (event.kind === 'retry') process.stderr.write(`${event.error.message}\n`);
  if (event.kind !== 'phase' || (event.phase !== 'dumping' && event.phase !== 'streaming')) return;
  begun ??= { atMs: performance.now(), cpu: process.cpuUsage() };
  if (event.phase === 'streaming') writeSync(3, '"streaming"\n');
}

function makeReplicator(plan: FollowerPlan, spillDirectory: string, onEvent: (event: SyncEvent) => void): Replicator {
  const { url, slot, publication, include, phases, until, jobs } = plan;
  const address = parsePostgresAddress(url, {});
  const source = new PostgresSource({
    address,
    passwordFor: passwordSource(address, {}, undefined),
    slot,
    publications: [publication],
    spillDirectory,
    onNotice: (message) => process.stderr.write(`${message}\n`),
  });
  const mapping = { include: include.map(parsePattern), exclude: [], columns: [], keys: [], renames: [] };
  return new Replicator({ name: 'bench', source, sink: sinkOf(plan), mapping, phases, until, jobs, onEvent });
}

function sinkOf({ sink, place }: FollowerPlan): Sink {
  switch (sink) {
    case 'nothing':
      return nothingSink();
    case 'lines':
      return ndjsonOutputSink({ output: process.stdout, source: 'bench' });
    case 'ndjson':
      return ndjsonFileSink({ path: place, source: 'bench' });
    case 'sqlite':
      return sqliteSink({ path: place, source: 'bench' });
    case 'etcd':
      return new EtcdSink(planEtcdSink({ url: place }));
  }
}

await main(JSON.parse(process.argv[2] ?? '') as FollowerPlan);
