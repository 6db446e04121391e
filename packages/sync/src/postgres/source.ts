import { BatonError } from '@batondb/core/errors';
import type pg from 'pg';
import type {
  KnownTables,
  Observation,
  Resumption,
  ResyncRequest,
  RowSnapshot,
  Source,
  SourceSession,
  SourceStatus,
} from '../source.ts';
import type { Position, StreamEvent } from '../stream.ts';
import type { Table } from '../table.ts';
import { formatPostgresAddress, type PostgresAddress } from './address.ts';
import { type PublishedTable, readPublishedTables } from './catalog.ts';
import { endClient, findPrimary, type PrimaryNode, runQuery, useClient } from './connect.ts';
import { observe } from './observation.ts';
import type { PasswordFor } from './passwords.ts';
import { formatPosition, isBefore, type Lsn, parseLsn, parsePosition } from './position.ts';
import { readIdentity, resume, type ServerIdentity } from './resumption.ts';
import { abandonment, dropSlot, missingSlot, readSlot, type Slot } from './slot.ts';
import { openSnapshot, type PublishedRows } from './snapshot.ts';
import type { Connect, SnapshotContext } from './snapshot-context.ts';
import { SlotStream } from './stream.ts';

export type PostgresSourceOptions = {
  readonly address: PostgresAddress;
  readonly passwordFor: PasswordFor;
  readonly slot: string;
  readonly publications: readonly string[];
  /** A directory of this process's own, for transactions that are not committed yet and too large for memory. */
  readonly spillDirectory: string;
  /** The slot is given up when the server keeps more log for it than this. Undefined: never. */
  readonly abandonSlotAtBytes?: number;
  /** A sentence that a person should know. */
  readonly onNotice: (message: string) => void;
};

/** What slots tell of themselves, and publications of partitions, came with 13. */
export const serverVersionMin = 130_000;

/** A PostgreSQL cluster, read through a publication and a slot that exist (Y8). */
export class PostgresSource implements Source {
  readonly address: string;
  readonly #options: PostgresSourceOptions;

  constructor(options: PostgresSourceOptions) {
    this.#options = options;
    this.address = formatPostgresAddress(options.address);
  }

  async open(signal: AbortSignal): Promise<SourceSession> {
    const { address, passwordFor } = this.#options;
    const node = await findPrimary(address, passwordFor, signal);
    if (node.serverVersion < serverVersionMin) {
      const version = Math.floor(node.serverVersion / 10_000);
      throw new BatonError(
        'UNSUPPORTED',
        `${node.name} is PostgreSQL ${version}, and 13 is the oldest that can be read`,
      );
    }
    const replication = await node.connect({ replication: true });
    const identity = await useClient(replication, (client) => readIdentity(client, node.name));
    await this.guard();
    const client = await node.connect();
    return new PostgresSession(this.#options, node, identity, client);
  }

  async guard(): Promise<void> {
    const { address, passwordFor, abandonSlotAtBytes } = this.#options;
    if (abandonSlotAtBytes === undefined) return;
    const node = await findPrimary(address, passwordFor, AbortSignal.timeout(address.connectMs * address.hosts.length));
    await useClient(await node.connect(), (client) => this.#abandon(client, node.name));
  }

  /** A slot that kept too much while nobody read it. */
  async #abandon(client: pg.Client, node: string): Promise<void> {
    const { slot: name, abandonSlotAtBytes } = this.#options;
    if (abandonSlotAtBytes === undefined) return;
    const slot = await readSlot(client, name, node);
    const error = slot && abandonment(slot, name, abandonSlotAtBytes, node);
    if (error === undefined) return;
    await dropSlot(client, name, node);
    throw error;
  }
}

class PostgresSession implements SourceSession {
  readonly #options: PostgresSourceOptions;
  readonly #node: PrimaryNode;
  readonly #identity: ServerIdentity;
  readonly #client: pg.Client;
  /** Tables that were published when they were asked for, by id. */
  #published: ReadonlyMap<string, PublishedTable> = new Map();
  #stream: SlotStream | undefined;

  constructor(options: PostgresSourceOptions, node: PrimaryNode, identity: ServerIdentity, client: pg.Client) {
    this.#options = options;
    this.#node = node;
    this.#identity = identity;
    this.#client = client;
  }

  get node(): string {
    return this.#node.name;
  }

  async start(): Promise<Position> {
    return this.#positionOf((await this.#slot()).confirmed);
  }

  async resumption(stored: Position): Promise<Resumption> {
    const { slot, address } = this.#options;
    const found = await readSlot(this.#client, slot, this.node);
    const server = { ...this.#identity, newest: await this.#newest() };
    return resume(parsePosition(stored), server, found, { node: this.node, slot, database: address.database });
  }

  async tables(): Promise<readonly Table[]> {
    const { publications } = this.#options;
    const found = await readPublishedTables(this.#client, publications, this.#node.serverVersion, this.node);
    this.#published = new Map(found.map((published) => [published.table.id, published]));
    return found.map(({ table }) => table);
  }

  async snapshot(tables: readonly Table[], signal: AbortSignal): Promise<RowSnapshot> {
    return await openSnapshot(this.#publishedRows(tables), this.#snapshotContext(), signal);
  }

  async observe(tables: readonly Table[], signal: AbortSignal): Promise<Observation> {
    const { publications, spillDirectory, onNotice } = this.#options;
    const wanted = new Set(tables.map(({ id }) => id));
    return await observe(
      this.#publishedRows(tables),
      {
        node: this.#node,
        snapshot: this.#snapshotContext(),
        publications,
        unwanted: new Set([...this.#published.keys()].filter((id) => !wanted.has(id))),
        spillDirectory,
        note: onNotice,
      },
      signal,
    );
  }

  stream(after: Position, known: KnownTables, signal: AbortSignal): AsyncIterable<readonly StreamEvent[]> {
    const { slot, publications, spillDirectory, onNotice } = this.#options;
    if (this.#stream !== undefined) throw new BatonError('BUG', 'a session streams once');
    this.#stream = new SlotStream({
      node: this.#node,
      systemId: this.#identity.systemId,
      slot,
      publications,
      after: parsePosition(after).lsn,
      known,
      unwanted: new Set([...this.#published.keys()].filter((id) => !known.shapes.has(id))),
      published: this.#published,
      spillDirectory,
      note: onNotice,
      abandonSlotAtBytes: this.#options.abandonSlotAtBytes,
    });
    return this.#stream.events(signal);
  }

  acknowledge(position: Position): void {
    this.#stream?.acknowledge(parsePosition(position).lsn);
  }

  parsePosition(text: string): Position {
    try {
      return text.split('/').length === 2 ? this.#positionOf(parseLsn(text)) : formatPosition(parsePosition(text));
    } catch (error) {
      throw new BatonError('USAGE', `"${text.slice(0, 100)}" is no position of a PostgreSQL`, {
        hint: 'it looks like 0/16B3748, as pg_current_wal_lsn() tells it',
        cause: error,
      });
    }
  }

  isBefore(position: Position, other: Position): boolean {
    return isBefore(position, other);
  }

  resync(request: ResyncRequest): void {
    if (this.#stream === undefined) throw new BatonError('BUG', 'rows are read anew only beside a stream');
    this.#stream.resyncs.request(request);
  }

  async status(): Promise<SourceStatus> {
    const slot = await this.#slot();
    const newest = await this.#newest();
    const acknowledged = this.#stream?.acknowledged ?? slot.confirmed;
    return {
      node: this.node,
      newest: this.#positionOf(newest),
      retainedBytes: slot.retainedBytes,
      remainingBytes: slot.safeBytes,
      lagBytes: newest > acknowledged ? Number(newest - acknowledged) : 0,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream?.[Symbol.asyncDispose]();
    await endClient(this.#client);
  }

  #publishedRows(tables: readonly Table[]): readonly PublishedRows[] {
    return tables.map((table) => ({ table, filter: this.#published.get(table.id)?.filter }));
  }

  #snapshotContext(): SnapshotContext {
    const connect: Connect = ({ replication = false } = {}) => this.#node.connect({ replication, statementMs: 0 });
    return { node: this.node, serverVersion: this.#node.serverVersion, connect, onWait: this.#options.onNotice };
  }

  async #slot(): Promise<Slot> {
    const { slot } = this.#options;
    const found = await readSlot(this.#client, slot, this.node);
    if (found === undefined) throw missingSlot(slot, this.node);
    return found;
  }

  /** The end of the log that is safe on the server's disk: nothing beyond is ever sent. */
  async #newest(): Promise<Lsn> {
    const [[text] = []] = (await runQuery(this.#client, 'SELECT pg_current_wal_flush_lsn()', [], this.node)).rows;
    return parseLsn(text ?? '');
  }

  #positionOf(lsn: Lsn): Position {
    return formatPosition({ systemId: this.#identity.systemId, timeline: this.#identity.timeline, lsn });
  }
}
