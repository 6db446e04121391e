import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import { runSimple, socketOf, type TextRows } from './connect.ts';
import { isSqlState, toSourceError } from './failures.ts';
import type { Lsn } from './position.ts';
import type { SnapshotContext } from './snapshot-context.ts';
import { createTemporarySlot, type SlotPlace } from './snapshot-slot.ts';
import { quoteText } from './sql.ts';

// Connections that all see one state of a database. A temporary slot of logical replication exports it together with its place in the log; a connection of ours takes it over
// and keeps it, and any number of others take it from there, each for as long as it reads.

/** A wait for somebody's lock on a table ends with an error that leads to another try: a dump has all the time, but must not wait unseen. */
const lockTimeoutMs = 60_000;

/** What a new snapshot is kept by. */
type Exported = { readonly keeper: pg.Client; readonly name: string; readonly place: SlotPlace };

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

  private constructor(context: SnapshotContext, { keeper, name, place }: Exported) {
    this.#context = context;
    this.#keeper = keeper;
    this.#name = name;
    this.systemId = place.systemId;
    this.timeline = place.timeline;
    this.lsn = place.lsn;
  }

  static async open(context: SnapshotContext, signal: AbortSignal): Promise<SharedSnapshot> {
    const { shared, replication } = await SharedSnapshot.openWithSlot(context, signal);
    // The slot goes with its connection.
    socketOf(replication).destroy();
    return shared;
  }

  /** The connection that the temporary slot lives with is the caller's to close, and to stream by: what comes after the snapshot. */
  static async openWithSlot(
    context: SnapshotContext,
    signal: AbortSignal,
  ): Promise<{ readonly shared: SharedSnapshot; readonly replication: pg.Client; readonly slot: string }> {
    const replication = await context.connect({ replication: true });
    try {
      const place = await createTemporarySlot(context, replication, signal);
      const keeper = await context.connect();
      try {
        await importSnapshot(context, keeper, place.snapshotName);
        const { rows } = await runSimple(keeper, 'SELECT pg_catalog.pg_export_snapshot()', context.node);
        const shared = new SharedSnapshot(context, { keeper, name: rows[0]?.[0] ?? '', place });
        return { shared, replication, slot: place.slot };
      } catch (error) {
        socketOf(keeper).destroy();
        throw error;
      }
    } catch (error) {
      socketOf(replication).destroy();
      throw error;
    }
  }

  /** Rows of a statement in the snapshot, by the keeper's connection. */
  async query(sql: string): Promise<TextRows['rows']> {
    return (await runSimple(this.#keeper, sql, this.#context.node)).rows;
  }

  /** Lets `use` have a connection that sees the snapshot. Its locks are given up afterwards. */
  async *borrow<T>(use: (client: pg.Client) => AsyncIterable<T>): AsyncGenerator<T> {
    const client = await this.#take();
    let isClean = false;
    try {
      await importSnapshot(this.#context, client, this.#name);
      yield* use(client);
      await runSimple(client, 'COMMIT', this.#context.node);
      isClean = true;
    } finally {
      if (isClean && !this.#isDisposed) this.#idle.add(client);
      else socketOf(client).destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    for (const client of [this.#keeper, ...this.#idle]) socketOf(client).destroy();
    this.#idle.clear();
    await Promise.resolve();
  }

  async #take(): Promise<pg.Client> {
    const [idle] = this.#idle;
    if (idle === undefined) return await this.#context.connect();
    this.#idle.delete(idle);
    return idle;
  }
}

/** Begins a transaction that sees the snapshot. One message: it is done for every part of every table. */
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
  try {
    await client.query(statements.join('; '));
  } catch (error) {
    // 22023, 55000: nobody keeps the snapshot any more.
    const isGone = isSqlState(error, '22023') || isSqlState(error, '55000');
    if (!isGone) throw toSourceError(error, context.node);
    throw new BatonError('CONNECTION_LOST', `${context.node}: the connection that kept the snapshot was lost`, {
      retryable: true,
      cause: error,
    });
  }
}
