import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import { isSqlState, toSourceError } from './failures.ts';
import { type Lsn, parseLsn } from './position.ts';
import { quoteText } from './sql.ts';

// Connections that all see one state of a database. A temporary slot of logical replication exports it together with its place in the log; a connection of ours takes it over
// and keeps it, and any number of others take it from there, each for as long as it reads.

/** Opens a connection to the primary with our session settings. It has a listener of errors. */
export type Connect = (options?: { readonly replication?: boolean }) => Promise<pg.Client>;

export type SnapshotContext = {
  /** The server, for people. */
  readonly node: string;
  readonly serverVersion: number;
  readonly connect: Connect;
  /** The server waits for transactions that are open; told again every few seconds, with the longest of them. */
  readonly onWait: (reason: string) => void;
};

export type TextRow = readonly (string | null)[];

/** A wait for somebody's lock on a table ends with an error that leads to another try: a dump has all the time, but must not wait unseen. */
const lockTimeoutMs = 60_000;
const waitNoticeMs = 3000;

/** A state and its place in the log; it lives as long as its keeper's transaction. */
export class SharedSnapshot implements AsyncDisposable {
  readonly systemId: string;
  readonly timeline: number;
  /** Transactions whose commit record begins before it are in the snapshot. */
  readonly lsn: Lsn;
  readonly #context: SnapshotContext;
  readonly #keeper: pg.Client;
  readonly #name: string;
  readonly #idle = new Set<pg.Client>();
  #isDisposed = false;

  private constructor(context: SnapshotContext, keeper: pg.Client, name: string, place: SlotPlace) {
    this.#context = context;
    this.#keeper = keeper;
    this.#name = name;
    this.systemId = place.systemId;
    this.timeline = place.timeline;
    this.lsn = place.lsn;
  }

  static async open(context: SnapshotContext, signal: AbortSignal): Promise<SharedSnapshot> {
    const replication = await context.connect({ replication: true });
    try {
      const place = await createTemporarySlot(context, replication, signal);
      const keeper = await context.connect();
      try {
        await importSnapshot(context, keeper, place.snapshotName);
        const [row] = await run(context, keeper, 'SELECT pg_catalog.pg_export_snapshot()');
        return new SharedSnapshot(context, keeper, row?.[0] ?? '', place);
      } catch (error) {
        close(keeper);
        throw error;
      }
    } finally {
      // The slot goes with its connection.
      close(replication);
    }
  }

  /** Rows of a statement in the snapshot, by the keeper's connection. Values are PostgreSQL's text: cast what a driver would parse. */
  async query(sql: string): Promise<readonly TextRow[]> {
    return await run(this.#context, this.#keeper, sql);
  }

  /** Lets `use` have a connection that sees the snapshot. Its locks are given up afterwards. */
  async *borrow<T>(use: (client: pg.Client) => AsyncIterable<T>): AsyncGenerator<T> {
    const client = await this.#take();
    let isClean = false;
    try {
      await importSnapshot(this.#context, client, this.#name);
      yield* use(client);
      await run(this.#context, client, 'COMMIT');
      isClean = true;
    } catch (error) {
      throw this.#explain(error);
    } finally {
      if (isClean && !this.#isDisposed) this.#idle.add(client);
      else close(client);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    for (const client of [this.#keeper, ...this.#idle]) close(client);
    this.#idle.clear();
    await Promise.resolve();
  }

  async #take(): Promise<pg.Client> {
    const [idle] = this.#idle;
    if (idle === undefined) return await this.#context.connect();
    this.#idle.delete(idle);
    return idle;
  }

  #explain(error: unknown): unknown {
    // 22023: the exported snapshot is not there any more. 55000: its transaction is not.
    const isGone = isSqlState(error, '22023') || isSqlState(error, '55000');
    if (!isGone) return error;
    return new BatonError('CONNECTION_LOST', `${this.#context.node}: the connection that kept the snapshot was lost`, {
      retryable: true,
      cause: error,
    });
  }
}

/** One statement of the simple protocol; values as text. Throws BatonErrors. */
export async function run({ node }: SnapshotContext, client: pg.Client, sql: string): Promise<readonly TextRow[]> {
  try {
    return (await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows;
  } catch (error) {
    throw toSourceError(error, node);
  }
}

async function importSnapshot(context: SnapshotContext, client: pg.Client, name: string): Promise<void> {
  const settings = [
    'statement_timeout = 0',
    'idle_in_transaction_session_timeout = 0',
    ...(context.serverVersion >= 170_000 ? ['transaction_timeout = 0'] : []),
    `lock_timeout = ${lockTimeoutMs}`,
    // A policy that hides rows from us is an error, and not a dump with rows missing (Y5).
    'row_security = off',
  ];
  const statements = [
    'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    `SET TRANSACTION SNAPSHOT ${quoteText(name)}`,
    ...settings.map((setting) => `SET LOCAL ${setting}`),
  ];
  for (const statement of statements) await run(context, client, statement);
}

type SlotPlace = {
  readonly systemId: string;
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly snapshotName: string;
};

async function createTemporarySlot(
  context: SnapshotContext,
  client: pg.Client,
  signal: AbortSignal,
): Promise<SlotPlace> {
  const [system] = await run(context, client, 'IDENTIFY_SYSTEM');
  const slotName = `baton_snapshot_${process.pid}_${Math.random().toString(36).slice(2, 10)}`;
  const sql = `CREATE_REPLICATION_SLOT ${slotName} TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT`;
  const created = run(context, client, sql);
  await using _watch = await watchWait(context, client, signal);
  const [slot] = await created.catch((error: unknown) => {
    throw signal.aborted ? signal.reason : error;
  });
  const [systemId, timeline] = system ?? [];
  const [, consistentPoint, snapshotName] = slot ?? [];
  if (!systemId || !timeline || !consistentPoint || !snapshotName) {
    throw new BatonError('PROTOCOL', `${context.node}: a temporary slot was made, but no snapshot was exported`);
  }
  return { systemId, timeline: Number(timeline), lsn: parseLsn(consistentPoint), snapshotName };
}

const openTransactionsSql = `
SELECT owner.name, owner.since::pg_catalog.text, pg_catalog.count(*) OVER ()::pg_catalog.text
FROM (
  SELECT 'process ' || lock.pid || coalesce(' of ' || activity.usename, '') || coalesce(' (' || nullif(activity.application_name, '') || ')', '') AS name,
    activity.xact_start AS since
  FROM pg_catalog.pg_locks AS lock
  LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
  WHERE lock.locktype = 'transactionid' AND lock.mode = 'ExclusiveLock' AND lock.granted AND lock.pid IS NOT NULL
  UNION ALL
  SELECT 'the prepared transaction ' || gid, prepared FROM pg_catalog.pg_prepared_xacts
) AS owner
ORDER BY owner.since NULLS LAST
LIMIT 1`;

/** Says what the slot waits for, and cancels it when the signal says so: a server that waits does not notice that its client has gone. */
async function watchWait(context: SnapshotContext, waiting: pg.Client, signal: AbortSignal): Promise<AsyncDisposable> {
  const watcher = await context.connect();
  const waitingPid = (waiting as unknown as { processID: number }).processID;
  const tell = async (): Promise<void> => {
    const [row] = await run(context, watcher, openTransactionsSql);
    if (row === undefined) return;
    const [name, since, count] = row;
    const others = Number(count) - 1;
    context.onWait(
      `${context.node}: a snapshot waits for transactions that are open: ${name}${since === null ? '' : `, since ${since}`}${others > 0 ? `, and ${others} more` : ''}`,
    );
  };
  // Whether it could be said changes nothing; the slot's own connection tells of a broken server.
  const timer = setInterval(() => void tell().catch(() => undefined), waitNoticeMs);
  const onAbort = () =>
    void run(context, watcher, `SELECT pg_catalog.pg_cancel_backend(${waitingPid})`).catch(() => undefined);
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      signal.removeEventListener('abort', onAbort);
      await watcher.end().catch(() => undefined);
    },
  };
}

/** At once, whatever it is doing: its transaction only reads. */
function close(client: pg.Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
