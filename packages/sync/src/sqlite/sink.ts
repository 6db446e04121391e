import { resolve } from 'node:path';
import { assert, BatonError } from '@batondb/core/errors';
import { Permits } from '@batondb/core/transfer/permits';
import { groupsOf } from '../group-commit.ts';
import { ownFile } from '../owner-lock.ts';
import type { OwnedSink, Sink, SinkState, TableLoad, TableRecord, TouchedRows } from '../sink.ts';
import type { Position, StreamEvent } from '../stream.ts';
import { nameOf, type Row, type Table, type TableName } from '../table.ts';
import { fieldsOf, GroupEncoder } from './encode.ts';
import { groupLimits, sqliteLimits } from './limits.ts';
import { ReplicaThread } from './replica-thread.ts';
import { expectDistinctNames, shapeOf } from './shape.ts';
import { touchedAfter } from './touched-after.ts';

export type SqliteSinkOptions = {
  /** The file; it is made when it is not there. */
  readonly path: string;
  /** What the rows come from, such as the name of a cluster and its database: a file with rows of another source is refused. */
  readonly source: string;
};

/** A file of SQLite: a replica that any program may read while it is written. */
export function sqliteSink({ path, source }: SqliteSinkOptions): Sink {
  const address = `sqlite:${path}`;
  return {
    address,
    async own(signal, onWait) {
      await using held = new AsyncDisposableStack();
      held.use(await ownFile(resolve(path), signal, onWait));
      const lost = new AbortController();
      const { thread, state } = await ReplicaThread.open({ path: resolve(path), source }, (error) => {
        if (error instanceof BatonError && error.code === 'REFUSED') lost.abort(error);
      });
      held.use(thread);
      return new OwnedReplica(thread, state, lost.signal, held.move());
    },
  };
}

class OwnedReplica implements OwnedSink {
  readonly lost: AbortSignal;
  readonly #thread: ReplicaThread;
  readonly #held: AsyncDisposable;
  readonly #encoder = new GroupEncoder();
  /** Messages of loads that may be on their way. */
  readonly #permits = new Permits(sqliteLimits.loadMessagesMax);
  #state: SinkState;
  #lastLoad = 0;

  constructor(thread: ReplicaThread, state: SinkState, lost: AbortSignal, held: AsyncDisposable) {
    this.#thread = thread;
    this.#state = state;
    this.lost = lost;
    this.#held = held;
  }

  get state(): SinkState {
    return this.#state;
  }

  async begin(position: Position, tables: readonly Table[], isDumped: boolean): Promise<void> {
    expectDistinctNames(tables);
    const shapes = tables.map(shapeOf);
    const reply = await this.#thread.call('begin', { position, shapes, isDumped });
    this.#state = { position, isOpen: !isDumped, tables: byName(reply.tables) };
  }

  async load(table: Table): Promise<TableLoad> {
    const number = ++this.#lastLoad;
    this.#keep(await this.#thread.call('loadBegin', { number, shape: shapeOf(table) }));
    let isEnded = false;
    return {
      write: (rows) => this.#write(number, table, rows),
      finish: async (dumpedAt) => {
        isEnded = true;
        const reply = await this.#thread.call('loadFinish', { number, dumpedAt });
        this.#keep(reply);
        return reply.result;
      },
      [Symbol.asyncDispose]: async () => {
        // A thread that has failed has nothing to give up.
        if (!isEnded) await this.#thread.call('loadAbandon', { number }).catch(() => {});
        isEnded = true;
      },
    };
  }

  async *apply(batches: AsyncIterable<readonly StreamEvent[]>): AsyncGenerator<Position, void, undefined> {
    let isInside = false;
    try {
      for await (const group of groupsOf(batches, groupLimits)) {
        isInside = true;
        const reply = await this.#thread.call('apply', this.#encoder.encode(group));
        isInside = group.end === undefined;
        if (reply !== undefined) this.#keep(reply);
        if (group.end === undefined) continue;
        const { position, isOpen } = group.end;
        this.#state = { ...this.#state, position, isOpen };
        yield position;
      }
    } finally {
      if (isInside) await this.#thread.call('rollBack', undefined).catch(() => {});
    }
  }

  async *keys(table: Table): AsyncGenerator<readonly Row[], void, undefined> {
    assert(table.key.length > 0, `${nameOf(table)} has a key`);
    const shape = shapeOf(table);
    let after: bigint | undefined;
    do {
      const { keys, last } = await this.#thread.call('keys', { shape, after });
      if (keys.length > 0) yield keys;
      after = last;
    } while (after !== undefined);
  }

  touchedAfter(isKnown: (position: Position) => boolean): Promise<AsyncIterable<TouchedRows> | undefined> {
    return touchedAfter(this.#thread, this.#state.tables, isKnown);
  }

  async rewind(position: Position, tables: readonly TableName[]): Promise<void> {
    // A Table has functions, which do not go to a thread.
    const names = tables.map(({ schema, name }) => ({ schema, name }));
    this.#keep(await this.#thread.call('rewind', { position, tables: names }));
    this.#state = { ...this.#state, position, isOpen: true };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held[Symbol.asyncDispose]();
  }

  async #write(number: number, table: Table, rows: readonly Row[]): Promise<void> {
    for (let at = 0; at < rows.length; at += sqliteLimits.loadRowsMax) {
      await this.#permits.take();
      try {
        const fields = fieldsOf(table, rows.slice(at, at + sqliteLimits.loadRowsMax));
        await this.#thread.call('loadWrite', { number, fields });
      } finally {
        this.#permits.give();
      }
    }
  }

  #keep({ tables }: { readonly tables: readonly TableRecord[] }): void {
    this.#state = { ...this.#state, tables: byName(tables) };
  }
}

function byName(tables: readonly TableRecord[]): ReadonlyMap<string, TableRecord> {
  return new Map(tables.map((table) => [nameOf(table), table]));
}
