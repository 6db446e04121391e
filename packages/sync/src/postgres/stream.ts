import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import type { KnownTables } from '../source.ts';
import type { StreamEvent } from '../stream.ts';
import { type PublishedTable, readPublishedTables } from './catalog.ts';
import { ChunkReader } from './chunk-reader.ts';
import { endClient, type PrimaryNode, runQuery, runSimple } from './connect.ts';
import { toSourceError } from './failures.ts';
import { ReplicationFeed } from './feed.ts';
import { formatPosition, type Lsn, parseLsn } from './position.ts';
import { describeRelation } from './relation-description.ts';
import { RelationBook } from './relations.ts';
import { Resyncs } from './resync.ts';
import { abandonment, dropSlot, readSlot } from './slot.ts';
import { startCommand } from './start-command.ts';
import { streamLimits } from './stream-limits.ts';
import { type CatalogView, TableWatch } from './table-watch.ts';
import { Transactions } from './transactions.ts';
import { UnfinishedTransactions } from './unfinished.ts';

// One reading of a slot: its connections, what is known of tables, and the way of messages through them.

export type SlotStreamOptions = {
  readonly node: PrimaryNode;
  readonly systemId: string;
  readonly slot: string;
  /** The connection that a temporary slot lives with, which alone may read it; it is closed with the stream. Undefined: one of the stream's own. */
  readonly replication?: pg.Client;
  readonly publications: readonly string[];
  readonly after: Lsn;
  readonly known: KnownTables;
  /** Ids of tables that are published, and that the sink does not want. */
  readonly unwanted: ReadonlySet<string>;
  /** By `Table.id`: what was published when the tables were asked for. */
  readonly published: ReadonlyMap<string, PublishedTable>;
  /** Where transactions go that are not committed yet and too large for memory. */
  readonly spillDirectory: string;
  readonly note: (message: string) => void;
  /** The slot is given up when the server keeps more log for it. Undefined: never. */
  readonly abandonSlotAtBytes: number | undefined;
};

export class SlotStream implements AsyncDisposable {
  readonly #options: SlotStreamOptions;
  readonly #book: RelationBook;
  readonly #ending = new AbortController();
  /** Rows that are read anew; requests are taken before the events are asked for. */
  readonly resyncs: Resyncs;
  #catalog: Promise<pg.Client> | undefined;
  #feed: ReplicationFeed | undefined;
  #acknowledged: Lsn;
  #abandoned: BatonError | undefined;

  constructor(options: SlotStreamOptions) {
    this.#options = options;
    this.#acknowledged = options.after;
    const { node, known, published, unwanted } = options;
    const reader = new ChunkReader({
      connect: () => node.connect(),
      node: node.name,
      filterOf: async ({ id }) => (await this.#published()).find(({ table }) => table.id === id)?.filter,
    });
    this.resyncs = new Resyncs({ reader, nudge: () => this.#nudge(), fail: (error) => this.#fail(error) });
    this.#book = new RelationBook({
      known,
      published,
      unwanted,
      describe: async (message, before) => await describeRelation(await this.#connection(), message, before, node.name),
      resync: (table) => this.resyncs.begin(table),
      reshaped: (table) => this.resyncs.reshaped(table),
      forget: (id) => this.resyncs.forget(id),
    });
  }

  get acknowledged(): Lsn {
    return this.#acknowledged;
  }

  acknowledge(lsn: Lsn): void {
    if (lsn > this.#acknowledged) this.#acknowledged = lsn;
    this.#feed?.acknowledge(lsn);
  }

  /** To be read once. Throws HISTORY_LOST, UNAVAILABLE and others. */
  async *events(signal: AbortSignal): AsyncGenerator<readonly StreamEvent[], void> {
    try {
      yield* this.#read(signal);
    } catch (error) {
      // The slot can go only when nobody reads it.
      if (error === this.#abandoned)
        await dropSlot(await this.#connection(), this.#options.slot, this.#options.node.name);
      throw error;
    }
  }

  async *#read(signal: AbortSignal): AsyncGenerator<readonly StreamEvent[], void> {
    const { node, systemId, after, unwanted, published, note } = this.#options;
    await using unfinished = await UnfinishedTransactions.open(this.#options.spillDirectory);
    const replication = this.#options.replication ?? (await node.connect({ replication: true, statementMs: 0 }));
    await using feed = new ReplicationFeed(replication, node.name, after, () => this.#isAwaited);
    this.#feed = feed;
    this.acknowledge(this.#acknowledged);
    await this.#connection();
    await feed.start(startCommand({ ...this.#options, serverVersion: node.serverVersion }));
    const positionOf = (lsn: Lsn): string => formatPosition({ systemId, timeline: node.timeline, lsn });
    const transactions = new Transactions({
      relations: this.#book,
      resyncs: this.resyncs,
      unfinished,
      positionOf,
      after,
    });
    const watch = new TableWatch({ book: this.#book, unwanted, published, note, look: (ids) => this.#look(ids) });
    // Rows that are read anew have the shape of now: the sink has to hear of it before them, and it does, since the log was shorter at this look.
    await watch.look();
    using _ = this.#watch(watch);
    const either = AbortSignal.any([signal, this.#ending.signal]);
    for await (const batch of feed.batches(either)) yield* transactions.tell(batch);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(
      new BatonError('CONNECTION_LOST', `${this.#options.node.name}: the stream was ended`, { retryable: true }),
    );
    await this.resyncs[Symbol.asyncDispose]();
    const client = await this.#catalog?.catch(() => undefined);
    if (client !== undefined) await endClient(client);
  }

  /** What is told between two transactions waits for the stream to come to its place. */
  get #isAwaited(): boolean {
    return this.resyncs.isWaiting || this.#book.isWaiting;
  }

  #fail(error: unknown): void {
    this.#ending.abort(toSourceError(error, this.#options.node.name));
  }

  #connection(): Promise<pg.Client> {
    this.#catalog ??= this.#connect();
    return this.#catalog;
  }

  async #connect(): Promise<pg.Client> {
    const client = await this.#options.node.connect();
    // A server that is stopped in order ends ordinary connections at once, and waits for ours of replication until we have acknowledged all of its log. A sink that is
    // slow or away must not hold it up for ever.
    client.on('error', (error) => {
      setTimeout(() => this.#fail(error), streamLimits.shutdownMs).unref();
      this.#feed?.hurry();
    });
    return client;
  }

  async #published(): Promise<readonly PublishedTable[]> {
    const { node, publications } = this.#options;
    return await readPublishedTables(await this.#connection(), publications, node.serverVersion, node.name);
  }

  async #nudge(): Promise<void> {
    await runSimple(
      await this.#connection(),
      "SELECT pg_logical_emit_message(true, 'baton', '')",
      this.#options.node.name,
    );
  }

  async #look(ids: readonly string[]): Promise<CatalogView> {
    const { node } = this.#options;
    const client = await this.#connection();
    const tables = await this.#published();
    const sql = `SELECT pg_current_wal_insert_lsn(), (
        SELECT json_agg(wanted.id) FROM unnest($1::oid[]) AS wanted (id) WHERE NOT EXISTS (SELECT FROM pg_class WHERE oid = wanted.id AND NOT relispartition))`;
    const [[lsn, gone] = []] = (await runQuery(client, sql, [ids], node.name)).rows;
    return { tables, lsn: parseLsn(lsn ?? ''), gone: (JSON.parse(gone ?? '[]') as (string | number)[]).map(String) };
  }

  async #checkRetention(): Promise<void> {
    const { node, slot: name, abandonSlotAtBytes } = this.#options;
    if (abandonSlotAtBytes === undefined) return;
    const slot = await readSlot(await this.#connection(), name, node.name);
    // The stream ends with the first, however often it is looked until its reader notices.
    this.#abandoned ??= slot && abandonment(slot, name, abandonSlotAtBytes, node.name);
    if (this.#abandoned !== undefined) this.#fail(this.#abandoned);
  }

  /** Looks at the catalog now and then. A server that does not answer is gone, whatever its sockets say. */
  #watch(watch: TableWatch): Disposable {
    let timer: NodeJS.Timeout | undefined;
    let isOver = false;
    const look = async (): Promise<void> => {
      const { name } = this.#options.node;
      const late = new BatonError(
        'CONNECTION_LOST',
        `${name} has not answered for ${streamLimits.silenceMs / 1000} s`,
        { retryable: true },
      );
      const deadline = setTimeout(() => this.#fail(late), streamLimits.silenceMs);
      try {
        await this.#checkRetention();
        await watch.look();
        if (this.#book.isWaiting) await this.#nudge();
      } finally {
        clearTimeout(deadline);
      }
      if (!isOver) timer = setTimeout(run, streamLimits.catalogMs);
    };
    const run = (): void => void look().catch((error: unknown) => this.#lookFailed(error));
    run();
    return {
      [Symbol.dispose]: () => {
        isOver = true;
        clearTimeout(timer);
      },
    };
  }

  /** An ended connection has its own time; everything else is an error now. */
  #lookFailed(error: unknown): void {
    const { code, retryable } = toSourceError(error, this.#options.node.name);
    if (!retryable || (code !== 'CONNECTION_LOST' && code !== 'UNAVAILABLE')) this.#fail(error);
  }
}
