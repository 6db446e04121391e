// Syncs of one database into each kind of sink, as processes, with what a test wants to know of them: where they are, and whether they are right.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareWithEtcd } from '@batondb/testbed/compare-etcd';
import { compareWithNdjson } from '@batondb/testbed/compare-ndjson';
import { type Difference, describeDifferences } from '@batondb/testbed/compare-rows';
import { compareWithSqlite } from '@batondb/testbed/compare-sqlite';
import type { EtcdCluster } from '@batondb/testbed/etcd';
import type { PostgresClient } from '@batondb/testbed/postgres-client';
import { waitUntil } from '@batondb/testbed/process-table';
import { type BatonEvent, type BatonRun, startBaton } from '@batondb/testbed/run-baton';
import { openSourceDatabase, type SourceDatabase, type SourceTable } from '@batondb/testbed/source-rows';

const patienceMs = 60_000;

/** Where a sink says that it is. */
export type Place = { readonly position: string; readonly open: boolean };

/** A place that a sync fills. */
export type Destination = {
  /** What `--to` is told. */
  readonly to: string;
  /** Undefined: nothing was begun there yet. */
  place(): Promise<Place | undefined>;
  differences(source: SourceDatabase): Promise<readonly Difference[]>;
};

/** Rows that no key tells apart are for sinks of lines alone. */
const hasKey = ({ key }: SourceTable): boolean => key.length > 0;

export function etcdDestination(etcd: EtcdCluster, prefix: string): Destination {
  return {
    to: `etcd://${etcd.endpoints.join(',')}${prefix}`,
    place: async () => {
      const text = await etcd.ctl('get', `${prefix}/m/pos`, '--print-value-only');
      return text === '' ? undefined : (JSON.parse(text) as Place);
    },
    differences: (source) => compareWithEtcd(source, etcd, prefix, hasKey),
  };
}

export function sqliteDestination(path: string): Destination {
  return {
    to: `sqlite:${path}`,
    place: async () => {
      if (!existsSync(path)) return undefined;
      using database = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
      const row = database.prepare('SELECT position, is_open FROM _baton_state').get();
      const position = row?.['position'];
      return typeof position === 'string' ? { position, open: row?.['is_open'] === 1 } : undefined;
    },
    differences: (source) => compareWithSqlite(source, path, hasKey),
  };
}

export function ndjsonDestination(path: string): Destination {
  return {
    to: `ndjson:${path}`,
    place: async () => {
      if (!existsSync(path)) return undefined;
      const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
      const last = lines.findLast((line) => line.startsWith('{"op":"commit",'));
      if (last === undefined) return undefined;
      const { position, open = false } = JSON.parse(last) as { readonly position: string; readonly open?: boolean };
      return { position, open };
    },
    differences: (source) => compareWithNdjson(source, path),
  };
}

export type FollowerOptions = {
  /** A connection string without a password. */
  readonly from: string;
  readonly password: string;
  readonly slot?: string;
  /** Of its pages. Default: none. */
  readonly listen?: string;
  /** More words of the command. */
  readonly more?: readonly string[];
};

/** A sync that runs. It is killed at the end of its block. */
export class Follower implements AsyncDisposable {
  readonly destination: Destination;
  readonly run: BatonRun;
  /** When each event came, in milliseconds since 1970. */
  readonly #cameAtMs: WeakMap<BatonEvent, number> = new WeakMap();
  #hasEnded = false;

  constructor(
    destination: Destination,
    { from, password, slot = 'baton', listen = 'none', more = [] }: FollowerOptions,
  ) {
    this.destination = destination;
    const keyless = destination.to.startsWith('ndjson:') ? [] : ['--exclude', 'public.event_log'];
    const words = ['--from', from, '--to', destination.to, '--slot', slot, '--listen', listen];
    this.run = startBaton(['sync', ...words, ...keyless, ...more], {
      env: { PGPASSWORD: password },
      timeoutMs: 900_000,
      onEvent: (event) => this.#cameAtMs.set(event, Date.now()),
    });
    void this.run.finished.then(() => {
      this.#hasEnded = true;
    });
  }

  /** Events from the `from`th on, of some types: `phase` of those of phases. */
  said(type: string, from = 0): readonly string[] {
    return this.run.events
      .slice(from)
      .map((event) => (event.type === 'phase' ? (event as unknown as { phase: string }).phase : event.type))
      .filter((found) => found === type);
  }

  /** Waits until the stream is followed. */
  async streams(): Promise<void> {
    await this.#until(isStreaming);
  }

  /** When the stream was followed again after a moment. */
  async streamsAgainAfter(momentMs: number): Promise<number> {
    const came = (event: BatonEvent): number => this.#cameAtMs.get(event) ?? 0;
    await this.#until((event) => isStreaming(event) && came(event) > momentMs);
    return came(this.run.events.find((event) => isStreaming(event) && came(event) > momentMs) as BatonEvent);
  }

  /** Waits until the sink has all that the primary has now and is at one position. Nobody may write meanwhile. */
  async caughtUp(primary: PostgresClient, database: string): Promise<void> {
    const told = await primary.psql(
      // One that has lost its standbys would wait for them.
      `SET synchronous_commit TO local; SELECT pg_logical_emit_message(true, 'test', ''); SELECT pg_current_wal_flush_lsn()`,
      { database },
    );
    const goal = lsnOf(told.split('\n').at(-1) as string);
    let place: Place | undefined;
    await waitUntil(
      `${this.destination.to} is at ${goal}`,
      async () => {
        if (this.#hasEnded) throw new Error(`the sync has ended: ${JSON.stringify(this.run.events.slice(-3))}`);
        place = await this.destination.place();
        return place !== undefined && !place.open && lsnOf(place.position.split('/').slice(-2).join('/')) >= goal;
      },
      patienceMs,
      50,
    ).catch((error: unknown) => {
      const last = JSON.stringify(this.run.events.slice(-8), undefined, 1);
      throw new Error(`${(error as Error).message}: at ${JSON.stringify(place)}\n${last}\n${this.run.stderr}`);
    });
  }

  /** Every row of the primary is in the sink, and nothing else is. Nobody may write meanwhile. `withinMs`: what is noticed by and by has so long. */
  async expectEqual(primary: PostgresClient, database: string, withinMs = 0): Promise<void> {
    await this.caughtUp(primary, database);
    const source = await openSourceDatabase(primary, database);
    const endsAtMs = Date.now() + withinMs;
    let differences = await this.destination.differences(source);
    while (differences.length > 0 && Date.now() < endsAtMs) {
      await sleep(250);
      differences = await this.destination.differences(source);
    }
    assert.equal(differences.length, 0, `${this.destination.to}: ${describeDifferences(differences)}`);
  }

  async #until(matches: (event: BatonEvent) => boolean): Promise<void> {
    await this.run.until(matches, patienceMs).catch((error: unknown) => {
      throw new Error(
        `${(error as Error).message}\n${this.run.events
          .slice(-12)
          .map((event) => JSON.stringify(event))
          .join('\n')}`,
      );
    });
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    this.run.kill('SIGTERM');
    const { code, stderr } = await this.run.finished;
    assert.equal(code, 0, stderr);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run[Symbol.asyncDispose]();
  }
}

function isStreaming(event: BatonEvent): boolean {
  return event.type === 'phase' && 'phase' in event && event.phase === 'streaming';
}

function lsnOf(text: string): bigint {
  const [high = '', low = ''] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
