import { BatonError } from '@batondb/core/errors';
import type { Position, StreamEvent } from '../stream.ts';
import type { Row, Table } from '../table.ts';
import type { Received } from './feed.ts';
import { decodeMessage } from './pgoutput.ts';
import type { DeleteMessage, InsertMessage, PgoutputMessage, UpdateMessage } from './pgoutput-messages.ts';
import type { Lsn } from './position.ts';
import type { RelationBook } from './relations.ts';
import type { Resyncs } from './resync.ts';
import { streamLimits } from './stream-limits.ts';
import type { UnfinishedTransactions } from './unfinished.ts';

// From messages to events: transactions in the order of their commits, each whole. What the server streams before it commits waits aside.

export type TransactionsContext = {
  readonly relations: RelationBook;
  readonly resyncs: Resyncs;
  readonly unfinished: UnfinishedTransactions;
  readonly positionOf: (lsn: Lsn) => Position;
  /** Told already, and not to be told again. */
  readonly after: Lsn;
};

type OpenTransaction = { readonly xid: number; readonly committedAtMs: number };

export class Transactions {
  readonly #context: TransactionsContext;
  #reached: Lsn;
  /** What was reached has been told, by whatever it was. */
  #isTold = false;
  #open: OpenTransaction | undefined;
  /** The transaction whose changes are streamed now. */
  #streamed: number | undefined;

  constructor(context: TransactionsContext) {
    this.#context = context;
    this.#reached = context.after;
  }

  /** What a batch of messages means. */
  async *tell(batch: readonly Received[]): AsyncGenerator<readonly StreamEvent[]> {
    let events: StreamEvent[] = [];
    let lastKeepalive: Lsn | undefined;
    for (const received of batch) {
      if (received.kind === 'keepalive') {
        lastKeepalive = received.walEnd;
        continue;
      }
      if (received.kind === 'streamed') {
        const waiting = this.#put(received.block);
        if (waiting !== undefined) await waiting;
        continue;
      }
      if (received.kind === 'streamCommit') {
        this.#begin(received.xid, received.commitLsn, received.committedAtMs, events);
        for await (const changes of this.#context.unfinished.take(received.xid)) {
          for (const { bytes } of changes) await this.#change(decodeMessage(bytes, 0, true), events);
          if (events.length >= streamLimits.batchEventsMax) {
            yield events;
            events = [];
          }
        }
        this.#commit(received.endLsn, events);
        continue;
      }
      const waiting = this.#message(received, events);
      if (waiting !== undefined) await waiting;
      if (events.length >= streamLimits.batchEventsMax) {
        yield events;
        events = [];
      }
    }
    if (lastKeepalive !== undefined) this.#reach(lastKeepalive, events);
    if (events.length > 0) yield events;
  }

  #put(block: Buffer): Promise<void> | undefined {
    if (this.#streamed === undefined) throw outOfOrder('a streamed change');
    return this.#context.unfinished.add(this.#streamed, block);
  }

  #message(message: PgoutputMessage, events: StreamEvent[]): Promise<void> | undefined {
    switch (message.kind) {
      case 'begin':
        this.#begin(message.xid, message.finalLsn, message.committedAtMs, events);
        return undefined;
      case 'commit':
        this.#commit(message.endLsn, events);
        return undefined;
      case 'streamStart':
        this.#streamed = message.xid;
        return undefined;
      case 'streamStop':
        this.#streamed = undefined;
        return undefined;
      case 'streamAbort':
        return this.#context.unfinished.abort(message.xid, message.subtransaction);
      default:
        return this.#change(message, events);
    }
  }

  #begin(xid: number, commitLsn: Lsn, committedAtMs: number, events: StreamEvent[]): void {
    if (this.#open !== undefined) throw outOfOrder('a Begin');
    this.#open = { xid, committedAtMs };
    this.#context.resyncs.begins(xid);
    events.push({
      kind: 'begin',
      transaction: String(xid),
      commitsAt: this.#context.positionOf(commitLsn),
      committedAtMs,
    });
  }

  #commit(endLsn: Lsn, events: StreamEvent[]): void {
    const { resyncs, positionOf } = this.#context;
    if (this.#open === undefined) throw outOfOrder('a Commit');
    const { committedAtMs } = this.#open;
    this.#open = undefined;
    this.#reached = endLsn;
    this.#isTold = true;
    events.push({
      kind: 'commit',
      position: positionOf(endLsn),
      committedAtMs,
      ...(resyncs.isOpen ? { isOpen: true } : {}),
    });
    this.#between(events);
  }

  /** The server has nothing more for us up to here. In the middle of a transaction it says so of what came before. */
  #reach(lsn: Lsn, events: StreamEvent[]): void {
    const { resyncs, positionOf } = this.#context;
    if (this.#open !== undefined) return;
    // Where nothing happens it is told once all the same: somebody may wait for just that.
    if (lsn > this.#reached || (lsn === this.#reached && !this.#isTold)) {
      this.#reached = lsn;
      this.#isTold = true;
      events.push({ kind: 'reached', position: positionOf(lsn), ...(resyncs.isOpen ? { isOpen: true } : {}) });
    }
    this.#between(events);
  }

  /** Between two transactions: what did not come from the server has its place here. */
  #between(events: StreamEvent[]): void {
    const { relations, resyncs, positionOf } = this.#context;
    const position = positionOf(this.#reached);
    const changes = [...relations.due(this.#reached), ...resyncs.due(this.#reached)];
    if (changes.length === 0) return;
    const committedAtMs = Date.now();
    events.push({ kind: 'begin', transaction: 'baton', commitsAt: position, committedAtMs }, ...changes);
    events.push({ kind: 'commit', position, committedAtMs, ...(resyncs.isOpen ? { isOpen: true } : {}) });
  }

  /** Has to be awaited when it returns a promise. */
  #change(message: PgoutputMessage, events: StreamEvent[]): Promise<void> | undefined {
    switch (message.kind) {
      case 'insert':
      case 'update':
      case 'delete': {
        const table = this.#context.relations.get(message.relation);
        if (table === undefined) return this.#settle(message, message.relation, events);
        this.#rowChange(message, table, events);
        return undefined;
      }
      case 'truncate':
        return this.#truncate(message.relations, events);
      case 'relation':
        this.#context.relations.heard(message);
        return undefined;
      case 'type':
      case 'origin':
      case 'message':
        return undefined;
      case 'begin':
      case 'commit':
      case 'streamStart':
      case 'streamStop':
      case 'streamCommit':
      case 'streamAbort':
        throw outOfOrder(`a ${message.kind}`);
      case 'beginPrepare':
      case 'prepare':
      case 'commitPrepared':
      case 'rollbackPrepared':
      case 'streamPrepare':
        throw new BatonError('PROTOCOL', `the server sent ${message.kind}, and two-phase commits were not asked for`, {
          hint: 'create the slot anew without TWO_PHASE',
        });
    }
  }

  /** What the table's shape means for the sink comes before its first change. */
  async #settle(
    message: InsertMessage | UpdateMessage | DeleteMessage,
    oid: number,
    events: StreamEvent[],
  ): Promise<void> {
    const { relations } = this.#context;
    events.push(...(await relations.settle(oid)));
    const table = relations.get(oid);
    if (table !== undefined) this.#rowChange(message, table, events);
  }

  async #truncate(oids: readonly number[], events: StreamEvent[]): Promise<void> {
    const { relations, resyncs } = this.#context;
    for (const oid of oids) if (relations.get(oid) === undefined) events.push(...(await relations.settle(oid)));
    const tables = oids.flatMap((oid) => relations.get(oid) ?? []);
    for (const table of tables) resyncs.truncated(table, this.#xid());
    if (tables.length > 0) events.push({ kind: 'truncate', tables });
  }

  #rowChange(message: InsertMessage | UpdateMessage | DeleteMessage, table: Table, events: StreamEvent[]): void {
    switch (message.kind) {
      case 'insert':
        this.#touch(table, message.row);
        events.push({ kind: 'insert', table, row: message.row });
        return;
      case 'update': {
        const old = message.old && oldRow(table, message.old, message.oldKind === 'row');
        const row = old === undefined ? message.row : filled(message.row, old);
        this.#touch(table, row);
        if (old !== undefined) this.#touch(table, old);
        events.push(old === undefined ? { kind: 'update', table, row } : { kind: 'update', table, row, old });
        return;
      }
      case 'delete': {
        const old = oldRow(table, message.old, message.oldKind === 'row');
        this.#touch(table, old);
        events.push({ kind: 'delete', table, old });
      }
    }
  }

  #xid(): number {
    if (this.#open === undefined) throw outOfOrder('a change');
    return this.#open.xid;
  }

  #touch(table: Table, row: Row): void {
    checkWidth(table, row);
    this.#context.resyncs.touched(table, row, this.#xid());
  }
}

function checkWidth({ schema, name, columns }: Table, row: Row): void {
  if (row.length === columns.length) return;
  throw new BatonError(
    'PROTOCOL',
    `a row of ${schema}.${name} has ${row.length} fields, and the table ${columns.length} columns`,
  );
}

/** Of an old row that came as a key the rest is not known; the message says null. */
function oldRow(table: Table, old: Row, isWhole: boolean): Row {
  return isWhole ? old : old.map((field, place) => (table.key.includes(place) ? field : undefined));
}

/** What an update left as it was and did not send (TOAST) is what the old row has, where it came. */
function filled(row: Row, old: Row): Row {
  return row.includes(undefined) ? row.map((field, place) => (field === undefined ? old[place] : field)) : row;
}

function outOfOrder(what: string): BatonError {
  return new BatonError('PROTOCOL', `${what} came where none can be`);
}
