import { Connection } from '../engine/connection.ts';
import type { Engine } from '../engine/engine.ts';
import { type ReaderContext, ReaderView } from '../machine/reader-view.ts';
import { packOutcomes } from './packed.ts';
import type { DatabaseInfo, PackedOutcome, ReaderCalls, RunReply, RunRequest } from './request.ts';
import { runSteps } from './steps.ts';
import { watchOf } from './turn.ts';

type Seat = { readonly connection: Connection; readonly view: ReaderView };

/** The connections of a thread that only reads, one a database. */
export class ReaderPool implements Disposable {
  readonly #engine: Engine;
  readonly #context: ReaderContext;
  readonly #cacheKib: number;
  readonly #seats = new Map<number, Seat>();
  #names = 0;

  constructor(engine: Engine, context: ReaderContext, cacheKib: number) {
    this.#engine = engine;
    this.#context = context;
    this.#cacheKib = cacheKib;
  }

  /** The connection to a database. */
  seat(info: DatabaseInfo): Seat {
    const { names } = this.#context.index;
    // Of those that were dropped nobody would ever give back the files and pins.
    if (names !== this.#names) this[Symbol.dispose]();
    this.#names = names;
    const known = this.#seats.get(info.id);
    if (known !== undefined) return known;
    const view = new ReaderView(info, this.#context);
    const connection = new Connection(this.#engine, view, { isReadOnly: true, isOwn: false, cacheKib: this.#cacheKib });
    const seat = { connection, view };
    this.#seats.set(info.id, seat);
    return seat;
  }

  /** Runs statements at one snapshot; `writes` when one of them would change something, and then nothing was run. */
  query(request: RunRequest, info: DatabaseInfo): RunReply | 'writes' {
    const { connection, view } = this.seat(info);
    const { statements, rowsMax, numbers } = request;
    if (!statements.every(({ sql }) => readsOnly(() => connection.prepare(sql)))) return 'writes';
    const deadlineMs = performance.now() + request.timeoutMs;
    const hasMany = statements.length > 1;
    if (hasMany) connection.run('BEGIN');
    try {
      const limits = { deadlineMs, rowsMax, numbers };
      const results = this.#context.gate.answer(() =>
        statements.map(({ sql, args }) => connection.run(sql, args, limits)),
      );
      return { results, position: view.position, isRepeated: false, isAutocommit: true };
    } finally {
      if (!connection.isAutocommit) connection.run('ROLLBACK');
    }
  }

  /** Runs a client's statement outside of a transaction; `writes` when it would change something, and then nothing was run. */
  read({
    info,
    steps,
    resultBytesMax,
    ...turn
  }: Parameters<ReaderCalls['read']>[0]): readonly PackedOutcome[] | 'writes' {
    const { connection } = this.seat(info);
    if (!steps.every(({ statement }) => readsOnly(() => connection.describe(statement.sql)))) return 'writes';
    const run = (): readonly PackedOutcome[] => packOutcomes(runSteps(connection, steps, resultBytesMax));
    return this.#context.gate.answer(() => connection.watch(watchOf(turn), run));
  }

  [Symbol.dispose](): void {
    for (const { connection, view } of this.#seats.values()) {
      connection[Symbol.dispose]();
      view[Symbol.dispose]();
    }
    this.#seats.clear();
  }
}

/** What cannot be prepared changes nothing, and its error is its answer. */
function readsOnly(prepare: () => { readonly isReadOnly: boolean }): boolean {
  try {
    return prepare().isReadOnly;
  } catch {
    return true;
  }
}
