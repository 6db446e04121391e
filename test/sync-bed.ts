// A source with the sample database, and syncs of it into every kind of sink, as processes that can be killed.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compareWithEtcd } from '@batondb/testbed/compare-etcd';
import { compareWithNdjson } from '@batondb/testbed/compare-ndjson';
import { type Difference, describeDifferences } from '@batondb/testbed/compare-rows';
import { compareWithSqlite } from '@batondb/testbed/compare-sqlite';
import { type EtcdCluster, type EtcdOptions, startEtcd } from '@batondb/testbed/etcd';
import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import { waitUntil } from '@batondb/testbed/process-table';
import { type BatonEvent, type BatonRun, startBaton } from '@batondb/testbed/run-baton';
import { createSampleDatabase } from '@batondb/testbed/sample-database';
import { type SampleLoad, startSampleLoad } from '@batondb/testbed/sample-load';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { openSourceDatabase, type SourceDatabase, type SourceTable } from '@batondb/testbed/source-rows';

export const isSoak: boolean = process.env['BATON_SOAK'] === '1';

const database = 'app';
/** What is larger is streamed before it commits. */
const settings = { max_slot_wal_keep_size: '4GB', logical_decoding_work_mem: '256kB' };
const receiver = resolve(import.meta.dirname, '../docs/examples/sync-receiver.ts');
const catchUpMsMax = isSoak ? 600_000 : 120_000;

export type SinkKind = 'etcd' | 'sqlite' | 'ndjson' | 'exec';

/** Leases are below 2^53 here: a testbed's etcd has given out few. */
type Kvs = { readonly kvs?: readonly { readonly lease?: number }[] };

/** A place that a sync fills, with a slot of its own. */
export class SyncTarget {
  readonly kind: SinkKind;
  readonly slot: string;
  /** Of a file or a directory of ours. */
  readonly path: string;
  readonly etcd: EtcdCluster;
  readonly #bed: SyncBed;

  constructor(bed: SyncBed, kind: SinkKind, slot: string, place: Required<TargetPlace>) {
    this.#bed = bed;
    this.kind = kind;
    this.slot = slot;
    this.path = join(place.directory, slot);
    this.etcd = place.etcd;
    if (kind === 'exec') mkdirSync(this.path, { recursive: true });
  }

  /** Below it are its keys in etcd. */
  get prefix(): string {
    return `/${this.slot}`;
  }

  get to(): string {
    switch (this.kind) {
      case 'etcd':
        return `etcd://${this.etcd.endpoints.join(',')}${this.prefix}`;
      case 'exec':
        return `exec:${process.execPath} ${receiver} ${this.path}`;
      default:
        return `${this.kind}:${this.path}`;
    }
  }

  /** Starts a sync and returns while it runs. */
  start(...more: readonly string[]): BatonRun {
    // Nothing in etcd tells rows without a key apart.
    const ofKind = this.kind === 'etcd' ? ['--exclude', 'public.event_log'] : [];
    const { server } = this.#bed;
    const from = ['--from', server.url({ database }), '--password-file', server.passwordPath, '--slot', this.slot];
    const listen = more.includes('--listen') ? [] : ['--listen', 'none'];
    return startBaton(['sync', ...from, '--to', this.to, ...ofKind, ...listen, ...more], { timeoutMs: 900_000 });
  }

  /** The lease of a sync that was killed ends at once, so that nobody has to wait for it: ten seconds a kill. */
  async endLease(): Promise<void> {
    if (this.kind !== 'etcd') return;
    const { etcd } = this;
    const { kvs = [] } = JSON.parse(await etcd.ctl('get', `${this.prefix}/m/owner`, '--write-out=json')) as Kvs;
    for (const { lease = 0 } of kvs) await etcd.ctl('lease', 'revoke', lease.toString(16));
  }

  /** Waits until its slot is where the source is now: what was written before is in the sink. Ends before when `isEnough`. */
  async caughtUp(isEnough: () => boolean = () => false): Promise<void> {
    const { server } = this.#bed;
    const lsn = await this.#bed.newestLsn();
    const sql = `SELECT confirmed_flush_lsn >= '${lsn}' FROM pg_replication_slots WHERE slot_name = '${this.slot}'`;
    const isThere = async (): Promise<boolean> => isEnough() || (await server.psql(sql)) === 't';
    await waitUntil(`${this.slot} is at ${lsn}`, isThere, catchUpMsMax);
  }

  /** Runs a sync up to where the source is now, which ends by itself. */
  async finish(...more: readonly string[]): Promise<BatonRun> {
    const run = this.start('--until', await this.#bed.newestLsn(), ...more);
    try {
      const { code, stderr, events } = await run.finished;
      assert.equal(code, 0, `${this.slot} ended with ${code}: ${stderr}${JSON.stringify(events.slice(-5))}`);
    } finally {
      await run[Symbol.asyncDispose]();
    }
    return run;
  }

  /** Every row of the source is in the sink, and nothing else is. Nobody may write meanwhile. */
  async expectEqual(isWanted: (table: SourceTable) => boolean = () => true): Promise<void> {
    const differences = await this.differences(isWanted);
    assert.equal(differences.length, 0, `${this.slot}: ${describeDifferences(differences)}`);
  }

  /** Lines of what a sink of lines was told. */
  lines(): string[] {
    const path = this.kind === 'exec' ? join(this.path, 'lines') : this.path;
    return readFileSync(path, 'utf8').trimEnd().split('\n');
  }

  /** What differs now in tables that are wanted. */
  async differences(isWanted: (table: SourceTable) => boolean): Promise<readonly Difference[]> {
    const source = await this.#bed.source();
    switch (this.kind) {
      case 'etcd': {
        const isKept = (table: SourceTable): boolean => table.name !== 'event_log' && isWanted(table);
        return await compareWithEtcd(source, this.etcd, this.prefix, isKept);
      }
      case 'sqlite':
        return await compareWithSqlite(source, this.path, isWanted);
      case 'ndjson':
        return await compareWithNdjson(source, this.path, isWanted);
      case 'exec':
        return await compareWithNdjson(source, join(this.path, 'lines'), isWanted);
    }
  }
}

/** Where a sink is; what is left out is the bed's own. */
export type TargetPlace = { readonly directory?: string; readonly etcd?: EtcdCluster };

/** How a bed is made; every field may be left out. */
export type SyncBedOptions = {
  /** People of the sample database. Default: 60. */
  readonly scale?: number;
  readonly etcd?: EtcdOptions;
};

/** A PostgreSQL with the sample database and a publication of all of it, and an etcd. */
export class SyncBed implements AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly server: PostgresServer;
  readonly etcd: EtcdCluster;
  #targets = 0;

  private constructor(sandbox: Sandbox, server: PostgresServer, etcd: EtcdCluster) {
    this.sandbox = sandbox;
    this.server = server;
    this.etcd = etcd;
  }

  static async start({ scale = 60, etcd = {} }: SyncBedOptions = {}): Promise<SyncBed> {
    await using stack = new AsyncDisposableStack();
    const sandbox = stack.use(makeSandbox());
    const server = stack.use(await startPostgres(sandbox, { settings }));
    const cluster = stack.use(await startEtcd(sandbox, etcd));
    await createSampleDatabase(server, { database, scale });
    const publish = 'CREATE PUBLICATION baton FOR ALL TABLES WITH (publish_via_partition_root = true)';
    await server.psql(publish, { database });
    stack.move();
    return new SyncBed(sandbox, server, cluster);
  }

  /** A new sink, empty, and the slot for it. */
  async target(
    kind: SinkKind,
    { directory = this.sandbox.path, etcd = this.etcd }: TargetPlace = {},
  ): Promise<SyncTarget> {
    const slot = `${kind}_${++this.#targets}`;
    await this.server.psql(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`, { database });
    return new SyncTarget(this, kind, slot, { directory, etcd });
  }

  /** Clients that write at once. */
  async load(seed: number, pauseMs = 60): Promise<SampleLoad> {
    return await startSampleLoad({ urls: [this.server.url({ database, withPassword: true })], seed, pauseMs });
  }

  /** A transaction of several of etcd's, and more than a source keeps in memory of one that is not committed: so many rows come, and half of them go again. */
  async large(rows: number): Promise<void> {
    // Nobody is in a deadlock with who has nothing else.
    await this.sql(`BEGIN;
      LOCK TABLE "Archive 2"."Old orders" IN EXCLUSIVE MODE;
      UPDATE "Archive 2"."Old orders" SET "total amount" = "total amount" + 1;
      INSERT INTO "Archive 2"."Old orders" SELECT i, i, repeat(md5(i::text), 20), now() FROM generate_series(5000001, 5000000 + ${rows}) i
        ON CONFLICT (id) DO UPDATE SET "total amount" = "Old orders"."total amount" + 1;
      DELETE FROM "Archive 2"."Old orders" WHERE id > 5000000 AND id % 2 = 0;
      COMMIT;`);
  }

  async sql(statements: string): Promise<string> {
    return await this.server.psql(statements, { database });
  }

  /** A place in the log that is behind everything that was committed, and before a commit: a stream comes past it soon, also when nobody writes. */
  async newestLsn(): Promise<string> {
    return await this.sql("SELECT pg_logical_emit_message(true, 'bed', '')");
  }

  async source(): Promise<SourceDatabase> {
    return await openSourceDatabase(this.server, database);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.etcd[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    await this.sandbox[Symbol.asyncDispose]();
  }
}

export const isStreaming = (event: BatonEvent): boolean =>
  event.type === 'phase' && 'phase' in event && event.phase === 'streaming';

export const isInPhase =
  (phase: string) =>
  (event: BatonEvent): boolean =>
    event.type === 'phase' && 'phase' in event && event.phase === phase;

/** The code of the error that an event tells of. */
export function codeOf(event: BatonEvent): string | undefined {
  return (event as { readonly error?: { readonly code?: string } }).error?.code;
}
