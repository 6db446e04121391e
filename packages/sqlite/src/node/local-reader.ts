import { BatonError } from '@batondb/core/errors';
import type { SqlResult } from '../engine/connection.ts';
import { Engine } from '../engine/engine.ts';
import type { NumberMode, SqlArguments, SqlValue } from '../engine/values.ts';
import { nodeFileLayer } from '../log/file-layer.ts';
import type { ReaderContext } from '../machine/reader-view.ts';
import { readerContext } from './reader-context.ts';
import { ReaderPool } from './reader-pool.ts';
import type { DatabaseInfo } from './request.ts';
import type { ThreadData } from './thread-data.ts';

/** Reads in the thread of the caller, without a message to another one: for many small reads. Synchronous. */
export class LocalReader implements Disposable {
  readonly #context: ReaderContext;
  readonly #pool: ReaderPool;
  readonly #info: DatabaseInfo;
  readonly #data: ThreadData;

  constructor(data: ThreadData, info: DatabaseInfo) {
    this.#data = data;
    this.#info = info;
    this.#context = readerContext(data, nodeFileLayer);
    const spill = {
      layer: nodeFileLayer,
      directory: this.#context.paths.own,
      memoryBytes: data.settings.temporaryBytes,
    };
    this.#pool = new ReaderPool(new Engine(data.module, spill), this.#context, data.settings.cacheKib);
  }

  /** Runs a statement that changes nothing, on the newest accepted state. Throws SqlError, TIMED_OUT, LIMIT, HISTORY_LOST, UNAVAILABLE. */
  query(sql: string, args: SqlArguments = [], numbers: NumberMode = 'plain'): SqlResult {
    const { connection } = this.#pool.seat(this.#info);
    if (/^\s*(?:BEGIN|SAVEPOINT)\b/i.test(sql))
      throw new BatonError('USAGE', 'a local reader reads one statement at a time');
    const { statementMsMax, rowsMax } = this.#data.settings;
    const limits = { deadlineMs: performance.now() + statementMsMax, rowsMax, numbers };
    return this.#context.gate.answer(() => connection.run(sql, args, limits));
  }

  /** The rows of a statement. */
  rows(sql: string, args: SqlArguments = []): readonly (readonly SqlValue[])[] {
    return this.query(sql, args).rows;
  }

  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
    this.#context.logFiles[Symbol.dispose]();
  }
}
