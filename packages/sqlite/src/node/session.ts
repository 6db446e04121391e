import type { SqlResult } from '../engine/connection.ts';
import type { SqlArguments } from '../engine/values.ts';
import type { Position } from '../machine/position.ts';
import type { Caller } from './call-port.ts';
import type { RunReply, RunRequest, WriterCalls } from './request.ts';

/** What a run may be given. */
export type RunOptions = Partial<Pick<RunRequest, 'key' | 'timeoutMs' | 'rowsMax' | 'numbers'>>;

/** A result with the position at which it is so. */
export type PositionedResult = SqlResult & { readonly position: Position };

/**
 * A connection of its own in the thread that writes: BEGIN, COMMIT, SAVEPOINT and temporary tables are its client's affair. Statements are run
 * in their order.
 */
export class Session implements AsyncDisposable {
  readonly #caller: Caller<WriterCalls>;
  readonly #request: Omit<RunRequest, 'statements' | 'isAtomic'>;
  #isAutocommit = true;

  constructor(caller: Caller<WriterCalls>, request: Omit<RunRequest, 'statements' | 'isAtomic'>) {
    this.#caller = caller;
    this.#request = request;
  }

  /** False while a transaction is open. */
  get isAutocommit(): boolean {
    return this.#isAutocommit;
  }

  /**
   * Runs one statement. `key` is the idempotency key of the transaction that it ends. Throws SqlError; TIMED_OUT or REFUSED when the
   * transaction was rolled back meanwhile; OUTCOME_UNKNOWN.
   */
  async execute(sql: string, args: SqlArguments = [], options: RunOptions = {}): Promise<PositionedResult> {
    const reply = await this.#run(sql, args, options);
    this.#isAutocommit = reply.isAutocommit;
    const [result] = reply.results;
    return { ...(result ?? { columns: [], rows: [], changes: 0, lastInsertRowid: 0n }), position: reply.position };
  }

  async #run(sql: string, args: SqlArguments, options: RunOptions): Promise<RunReply> {
    return await this.#caller.call('run', {
      ...this.#request,
      ...options,
      statements: [{ sql, args }],
      isAtomic: false,
    });
  }

  /** Ends it: what is not committed is rolled back. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#caller.call('closeSession', { session: this.#request.session! });
  }
}

/** A transaction of several calls. One that is neither committed nor rolled back is rolled back when it is disposed of. */
export class Transaction implements AsyncDisposable {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Runs one statement. Throws as Session.execute does. */
  async execute(
    sql: string,
    args: SqlArguments = [],
    options: Omit<RunOptions, 'key'> = {},
  ): Promise<PositionedResult> {
    return await this.#session.execute(sql, args, options);
  }

  /** Makes it last. Returns the position from which on everybody sees it. */
  async commit(options: Pick<RunOptions, 'key'> = {}): Promise<Position> {
    return (await this.#session.execute('COMMIT', [], options)).position;
  }

  async rollback(): Promise<void> {
    await this.#session.execute('ROLLBACK');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}
