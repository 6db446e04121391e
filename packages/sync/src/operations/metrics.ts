import { Counter, Gauge, type Registry } from 'prom-client';
import type { Replication, SyncCounts, SyncPhase, SyncStatus } from '../status.ts';

// A replication's status as Prometheus reads it (https://prometheus.io/docs/practices/naming/): asked when somebody looks, kept nowhere twice.

const phases: readonly SyncPhase[] = [
  'connecting',
  'waiting',
  'dumping',
  'streaming',
  'paused',
  'retrying',
  'ended',
] as const;

type Level = readonly [name: string, help: string, value: (status: SyncStatus) => number | undefined];

const levels: readonly Level[] = [
  [
    'baton_sync_lag_bytes',
    'Log of the source between what it knows to be in the sink and its newest',
    ({ lagBytes }) => lagBytes,
  ],
  [
    'baton_sync_lag_seconds',
    'Age of the oldest transaction that was read and is not in the sink; 0 when there is none',
    ({ lagSeconds }) => lagSeconds,
  ],
  [
    'baton_sync_slot_retained_bytes',
    'Log that the source keeps for this replication',
    ({ retainedBytes }) => retainedBytes,
  ],
  [
    'baton_sync_slot_remaining_bytes',
    'How much more it may become before the source gives the replication up; absent without a bound',
    ({ remainingBytes }) => remainingBytes,
  ],
  [
    'baton_sync_committed_timestamp_seconds',
    'When the newest transaction in the sink was committed at the source',
    ({ committedAtMs }) => (committedAtMs === undefined ? undefined : committedAtMs / 1000),
  ],
  [
    'baton_sync_open',
    '1 while tables of the sink are not at one position: its readers see what was before',
    ({ isOpen }) => Number(isOpen),
  ],
  [
    'baton_sync_divergence_timestamp_seconds',
    'When a failover was last found to have lost what the sink had',
    ({ lastDivergence }) => (lastDivergence === undefined ? undefined : lastDivergence.atMs / 1000),
  ],
];

type Count = readonly [name: string, help: string, value: (counts: SyncCounts) => number];

const totals: readonly Count[] = [
  ['baton_sync_transactions_total', 'Transactions that were followed', (counts) => counts.transactions],
  ['baton_sync_truncates_total', 'TRUNCATE that was followed', (counts) => counts.truncates],
  ['baton_sync_reshapes_total', 'Tables that were changed, made or dropped', (counts) => counts.reshapes],
  ['baton_sync_retries_total', 'Failures after which it was tried again', (counts) => counts.retries],
  ['baton_sync_recorded_rows_total', 'Rows that the sink cannot hold, kept aside', (counts) => counts.recordedRows],
  [
    'baton_sync_repaired_keys_total',
    'Keys that were repaired after a failover that lost transactions',
    (counts) => counts.repairedKeys,
  ],
];

const rows = ['inserts', 'updates', 'deletes', 'dumpedRows', 'resyncedRows'] as const;
const kindOf: Readonly<Record<(typeof rows)[number], string>> = {
  inserts: 'insert',
  updates: 'update',
  deletes: 'delete',
  dumpedRows: 'dump',
  resyncedRows: 'resync',
};

/** Registers what is known of a replication. */
export function registerMetrics(replication: Replication, registry: Registry): void {
  const registers = [registry];
  for (const [name, help, value] of levels) {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers,
      collect: () => {
        gauge.remove();
        const now = value(replication.status());
        if (now !== undefined) gauge.set(now);
      },
    });
  }
  for (const [name, help, value] of totals) {
    const counter: Counter = new Counter({
      name,
      help,
      registers,
      collect: () => {
        counter.reset();
        counter.inc(value(replication.status().counts));
      },
    });
  }
  registerRows(replication, registry);
  registerPhase(replication, registry);
}

function registerRows(replication: Replication, registry: Registry): void {
  const counter: Counter<'kind'> = new Counter({
    name: 'baton_sync_rows_total',
    help: 'Rows, by kind: of the stream (insert, update, delete), of a dump, or read anew beside the stream (resync)',
    labelNames: ['kind'],
    registers: [registry],
    collect: () => {
      counter.reset();
      const { counts } = replication.status();
      for (const name of rows) counter.inc({ kind: kindOf[name] }, counts[name]);
    },
  });
}

function registerPhase(replication: Replication, registry: Registry): void {
  const gauge: Gauge<'phase'> = new Gauge({
    name: 'baton_sync_phase',
    help: `1 for what the replication is doing: ${phases.join(', ')}`,
    labelNames: ['phase'],
    registers: [registry],
    collect: () => {
      const current = replication.status().phase;
      for (const phase of phases) gauge.set({ phase }, Number(phase === current));
    },
  });
}
