import { BatonError } from '@batondb/core/errors';
import { openFlags, results } from './codes.ts';
import { Cursor } from './cursor.ts';
import type { Engine } from './engine.ts';
import { authorizationOf, type Refusal, refusalOf, refusalOfNested } from './guard.ts';
import type { PageSource } from './page-source.ts';
import { Script } from './script.ts';
import { SqlError } from './sql-error.ts';
import { type Description, Statement } from './statement.ts';
import type { NamedValue, NumberMode, SqlArguments, SqlValue } from './values.ts';
import type { Pointer } from './wasm.ts';

/** What a statement gave. */
export type SqlResult = {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly SqlValue[])[];
  /** Rows that an INSERT, UPDATE or DELETE changed; 0 for other statements. */
  readonly changes: number;
  readonly lastInsertRowid: bigint;
};

/** When what runs is interrupted. */
export type Watch = {
  /** From this time on, on the clock of performance.now(). */
  readonly deadlineMs: number;
  /** Whether somebody asked for it. */
  readonly isInterrupted: () => boolean;
};

/** How far a statement may go. */
export type RunLimits = {
  /** Time after which the statement is interrupted, on the clock of performance.now(). */
  readonly deadlineMs?: number;
  /** Rows after which it is interrupted. */
  readonly rowsMax?: number;
  readonly numbers?: NumberMode;
};

export type ConnectionOptions = {
  readonly isReadOnly: boolean;
  /** It belongs to one client, who may set what is the connection's own. */
  readonly isOwn: boolean;
  /** Memory for pages, in KiB. */
  readonly cacheKib: number;
};

/** Prepared statements that are kept, the ones used last. */
const statementsMax = 128;
const unwatched: Watch = { deadlineMs: Number.POSITIVE_INFINITY, isInterrupted: () => false };
const prepareNormalize = 0;
const codeCacheBytesMax = 10_000;

/** One connection to one database. */
export class Connection implements Disposable {
  readonly #engine: Engine;
  readonly #name: string;
  readonly #options: ConnectionOptions;
  readonly #statements = new Map<string, Statement>();
  readonly db: Pointer;
  #isPreparing = false;
  #refusal: Refusal;
  #watch: Watch = unwatched;
  /** Statements of cursors that are not kept prepared. */
  readonly #loose = new Set<Statement>();
  #running = 0;

  constructor(engine: Engine, source: PageSource, options: ConnectionOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#name = engine.vfs.offer(source);
    this.db = engine.open(this.#name, options.isReadOnly ? openFlags.READONLY : openFlags.READWRITE | openFlags.CREATE);
    engine.connections.set(this.db, this);
    // Temporary tables and sorters in files, since this build keeps them in its 32-bit heap by itself.
    const settings = ['journal_mode = TRUNCATE', 'synchronous = OFF', 'temp_store = FILE'];
    for (const setting of [`page_size = ${source.pageBytes}`, `cache_size = -${options.cacheKib}`, ...settings])
      this.#runOwn(`PRAGMA ${setting}`);
    engine.guard(this.db);
  }

  /** True outside of a transaction. */
  get isAutocommit(): boolean {
    return this.#engine.wasm.exports.sqlite3_get_autocommit(this.db) !== 0;
  }

  /** True outside of a transaction, while no cursor is open either. */
  get isAtRest(): boolean {
    return this.isAutocommit && this.#running === 0;
  }

  /** Rows that were changed since the connection was opened. */
  get totalChanges(): bigint {
    return this.#engine.wasm.exports.sqlite3_total_changes64(this.db);
  }

  /**
   * Prepares one statement, or finds it prepared. Throws SqlError, or USAGE when there is none or more than one. What is prepared belongs to
   * the connection.
   */
  prepare(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const { statement, tail } = this.prepareFirst(sql);
    if (statement === undefined) throw new BatonError('USAGE', 'there is no statement in the text');
    if (!isBlank(tail)) {
      statement[Symbol.dispose]();
      throw new BatonError(
        'USAGE',
        `there is more than one statement in the text; the second begins with ${tail.trim().slice(0, 40)}`,
      );
    }
    if (sql.length <= codeCacheBytesMax) this.#keep(sql, statement);
    return statement;
  }

  /** Prepares the first statement of a text, which the caller disposes of; undefined when only spaces and comments are left. */
  prepareFirst(sql: string): { readonly statement: Statement | undefined; readonly tail: string } {
    let tail = '';
    const statement = this.#prepareBy(() => {
      const prepared = this.#engine.prepare(this.db, sql, prepareNormalize);
      tail = prepared.tail;
      return prepared;
    });
    return { statement, tail };
  }

  /** Runs the statements of a text, up to the first that fails. Rows are passed over. */
  runScript(sql: string): void {
    using script = new Script(this.#engine, sql);
    while (!script.isAtEnd) {
      this.expectTime();
      using statement = this.#prepareBy(() => script.prepareNext(this.db, prepareNormalize));
      statement?.bindAll([], []);
      while (statement?.step());
    }
  }

  /** Runs one statement to its end. Throws SqlError, TIMED_OUT, LIMIT, and what the page source throws. */
  run(sql: string, parameters: SqlArguments = [], limits: RunLimits = {}): SqlResult {
    const statement = this.prepare(sql);
    try {
      return this.runPrepared(statement, parameters, limits);
    } finally {
      if (!this.#statements.has(sql)) statement[Symbol.dispose]();
    }
  }

  runPrepared(
    statement: Statement,
    parameters: SqlArguments,
    { deadlineMs, rowsMax, numbers = 'plain' }: RunLimits,
  ): SqlResult {
    const { exports } = this.#engine.wasm;
    const outer = this.#watch;
    if (deadlineMs !== undefined) this.#watch = { ...outer, deadlineMs };
    const before = statement.isReadOnly ? 0n : exports.sqlite3_total_changes64(this.db);
    try {
      statement.bind(parameters, numbers);
      const rows = statement.rows(numbers, rowsMax ?? Number.POSITIVE_INFINITY);
      const hasChanged = !statement.isReadOnly && exports.sqlite3_total_changes64(this.db) !== before;
      return {
        columns: statement.columns,
        rows,
        changes: hasChanged ? Number(exports.sqlite3_changes64(this.db)) : 0,
        lastInsertRowid: exports.sqlite3_last_insert_rowid(this.db),
      };
    } finally {
      statement.reset();
      this.#watch = outer;
    }
  }

  /** Does some work, and interrupts what it runs when it has to end. */
  watch<T>(watch: Watch, work: () => T): T {
    const outer = this.#watch;
    this.#watch = watch;
    try {
      return work();
    } finally {
      this.#watch = outer;
    }
  }

  /** Begins a statement whose rows are pulled, exactly as they are stored. Throws SqlError; USAGE as `prepare` does. */
  begin(sql: string, values: readonly SqlValue[], namedValues: readonly NamedValue[]): Cursor {
    const statement = this.prepare(sql);
    if (!this.#statements.has(sql)) this.#loose.add(statement);
    this.#running += 1;
    try {
      statement.bindAll(values, namedValues);
    } catch (error) {
      this.end(statement);
      throw error;
    }
    return new Cursor(this, statement);
  }

  /** What a statement takes and gives. Throws SqlError. */
  describe(sql: string): Description {
    const statement = this.prepare(sql);
    try {
      return statement.describe();
    } finally {
      if (!this.#statements.has(sql)) statement[Symbol.dispose]();
    }
  }

  /** A cursor is done with its statement. */
  end(statement: Statement): void {
    this.#running -= 1;
    statement.reset();
    if (this.#loose.delete(statement)) statement[Symbol.dispose]();
  }

  /** Rows that the last INSERT, UPDATE or DELETE changed, and the row number of the last INSERT. */
  get effect(): { readonly affectedRows: bigint; readonly lastInsertRowid: bigint } {
    const { exports } = this.#engine.wasm;
    return {
      affectedRows: exports.sqlite3_changes64(this.db),
      lastInsertRowid: exports.sqlite3_last_insert_rowid(this.db),
    };
  }

  /** Throws when what runs has to end. */
  expectTime(): void {
    if (this.isOverdue()) throw this.#overdue();
  }

  /** The error that SQLite has for this connection now, or the one that was thrown within it. */
  error(code: number): Error {
    const thrown = this.#engine.vfs.takeError();
    if (thrown instanceof Error) return thrown;
    const refusal = this.#refusal;
    this.#refusal = undefined;
    if ((code & 0xff) === results.AUTH && refusal !== undefined) return new SqlError(results.AUTH, refusal);
    const { exports } = this.#engine.wasm;
    if ((code & 0xff) === results.INTERRUPT && this.isOverdue()) return this.#overdue();
    return new SqlError(
      exports.sqlite3_extended_errcode(this.db),
      this.#engine.wasm.text(exports.sqlite3_errmsg(this.db)),
    );
  }

  /** Called by SQLite every few thousand steps. */
  isOverdue(): boolean {
    return performance.now() > this.#watch.deadlineMs || this.#watch.isInterrupted();
  }

  /** Called by SQLite while it prepares: a client's statement, or those of its own that one runs, such as VACUUM. */
  authorize(action: number, first: string, second: string): number {
    const refusal = this.#isPreparing
      ? refusalOf(action, first, second, this.#options.isOwn)
      : refusalOfNested(action, first);
    this.#refusal ??= refusal;
    return authorizationOf(refusal);
  }

  [Symbol.dispose](): void {
    for (const statement of this.#statements.values()) statement[Symbol.dispose]();
    this.#statements.clear();
    for (const statement of this.#loose) statement[Symbol.dispose]();
    this.#loose.clear();
    this.#engine.wasm.exports.sqlite3_close_v2(this.db);
    this.#engine.connections.delete(this.db);
    this.#engine.vfs.withdraw(this.#name);
    this.#engine.vfs.takeError();
  }

  #prepareBy(prepare: () => { readonly code: number; readonly pointer: Pointer }): Statement | undefined {
    this.#isPreparing = true;
    this.#refusal = undefined;
    try {
      const { code, pointer } = prepare();
      if (code === results.OK) return pointer === 0 ? undefined : new Statement(this.#engine, this, pointer);
      throw this.error(code);
    } finally {
      this.#isPreparing = false;
    }
  }

  #keep(sql: string, statement: Statement): void {
    this.#statements.set(sql, statement);
    if (this.#statements.size <= statementsMax) return;
    const [oldest] = this.#statements;
    if (oldest === undefined) return;
    this.#statements.delete(oldest[0]);
    oldest[1][Symbol.dispose]();
  }

  #overdue(): Error {
    if (this.#watch.isInterrupted()) return new BatonError('INTERRUPTED', 'the statement was interrupted');
    return new BatonError('TIMED_OUT', 'a statement was interrupted, since it took longer than it may', {
      hint: 'raise the time limit, or look at its plan with EXPLAIN QUERY PLAN',
    });
  }

  #runOwn(sql: string): void {
    const { statement } = this.prepareFirst(sql);
    using own = statement;
    own?.rows('plain', 1);
  }
}

/** True for a text of spaces, comments and semicolons only. */
function isBlank(text: string): boolean {
  return /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*[\s\S]*?(?:\*\/|$))*$/.test(text);
}
