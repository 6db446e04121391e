// Databases over node:sqlite, so that the server can be tested by itself. Native SQLite on plain files: no log, no receipts that last,
// and a write is "accepted" when SQLite has committed it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setImmediate as breathe } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import type {
  BatchEvent,
  CallOptions,
  Databases,
  Readiness,
  Receipt,
  Row,
  Session,
  SessionOptions,
  Statement,
  StatementResult,
  Step,
  StepOutcome,
} from '../../src/databases.ts';
import { results } from '../../src/engine/codes.ts';
import { SqlError } from '../../src/engine/sql-error.ts';
import type { Description } from '../../src/engine/statement.ts';
import type { SqlValue } from '../../src/engine/values.ts';
import { holds } from '../../src/hrana/conditions.ts';

const rowsOfPiece = 50;

/** Databases in a directory, each a file that is made when it is first opened. Only `main` and those of `names` exist. */
export class NodeSqliteDatabases implements Databases {
  readonly receipts = new Map<string, string>();
  /** What the calls were asked beside their statements. */
  readonly asked: CallOptions[] = [];
  readonly sessions = new Set<NodeSqliteSession>();
  state: Readiness = { isReady: true };
  #position = 0;
  readonly #directory: string;
  readonly #names: readonly string[];

  constructor(directory: string, names: readonly string[] = ['other']) {
    this.#directory = directory;
    this.#names = ['main', ...names];
  }

  async open(options: SessionOptions): Promise<Session> {
    if (!this.#names.includes(options.database))
      throw new BatonError('NOT_FOUND', `there is no database ${options.database}`);
    const path = join(this.#directory, `${options.database}.db`);
    if (!existsSync(path)) {
      const made = new DatabaseSync(path);
      made.exec('PRAGMA journal_mode = WAL');
      made.close();
    }
    const session = new NodeSqliteSession(this, new DatabaseSync(path, { readOnly: options.isReadOnly }), options);
    this.sessions.add(session);
    return session;
  }

  async receipt(transactionKey: string): Promise<Receipt> {
    const position = this.receipts.get(transactionKey);
    return position === undefined ? { state: 'absent' } : { state: 'committed', position };
  }

  readiness(): Readiness {
    return this.state;
  }

  async status(): Promise<Readonly<Record<string, unknown>>> {
    return { databases: this.#names };
  }

  /** The position after one more write. */
  advance(): string {
    this.#position += 1;
    return `1.${this.#position}`;
  }
}

class NodeSqliteSession implements Session {
  readonly #owner: NodeSqliteDatabases;
  readonly #database: DatabaseSync;
  readonly #options: SessionOptions;
  #isClosed = false;
  position: string | undefined;

  constructor(owner: NodeSqliteDatabases, database: DatabaseSync, options: SessionOptions) {
    this.#owner = owner;
    this.#database = database;
    this.#options = options;
  }

  get isAutocommit(): boolean {
    return this.#isClosed || !this.#database.isTransaction;
  }

  execute(statement: Statement, options: CallOptions, signal: AbortSignal): Promise<StatementResult> {
    return this.#tracked(options, () => this.#execute(statement, signal));
  }

  batch(steps: readonly Step[], options: CallOptions, signal: AbortSignal): Promise<readonly StepOutcome[]> {
    return this.#tracked(options, async () => {
      const outcomes: StepOutcome[] = [];
      for (const { statement, condition } of steps) {
        if (holds(condition, { outcomes, isAutocommit: this.isAutocommit }))
          outcomes.push(await outcomeOf(this.#execute(statement, signal)));
        else outcomes.push({ type: 'skipped' });
      }
      return outcomes;
    });
  }

  async *cursor(
    steps: readonly Step[],
    _options: CallOptions,
    signal: AbortSignal,
  ): AsyncGenerator<readonly BatchEvent[], void> {
    const outcomes: { type: 'done' | 'failed' | 'skipped' }[] = [];
    for (const [step, { statement, condition }] of steps.entries()) {
      if (!holds(condition, { outcomes, isAutocommit: this.isAutocommit })) {
        outcomes.push({ type: 'skipped' });
        continue;
      }
      try {
        const prepared = this.#prepare(statement);
        yield [{ type: 'begin', step, columns: columnsOf(prepared) }];
        for await (const rows of this.#pieces(prepared, statement, signal))
          if (statement.wantRows) yield [{ type: 'rows', rows }];
        yield [{ type: 'end', ...this.#effect() }];
        outcomes.push({ type: 'done' });
      } catch (error) {
        if (!(toSqlError(error) instanceof SqlError)) throw error;
        yield [{ type: 'failed', step, error: toSqlError(error) as SqlError }];
        outcomes.push({ type: 'failed' });
      }
    }
  }

  sequence(sql: string, options: CallOptions, _signal: AbortSignal): Promise<void> {
    return this.#tracked(options, async () => {
      try {
        this.#database.exec(sql);
      } catch (error) {
        throw toSqlError(error);
      }
    });
  }

  async describe(sql: string): Promise<Description> {
    const prepared = this.#prepare({ sql, values: [], namedValues: [], wantRows: true });
    const parameters = [...sql.matchAll(/[?]\d*|[:@$][a-z]\w*/g)].map(([text]) => (text === '?' ? null : text));
    return {
      parameters,
      columns: columnsOf(prepared),
      isExplain: /^\s*explain/i.test(sql),
      isReadOnly: /^\s*(select|explain)/i.test(sql),
    };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#database.close();
    this.#owner.sessions.delete(this);
  }

  /** Notes the position when the call has committed something. */
  async #tracked<T>(options: CallOptions, work: () => Promise<T>): Promise<T> {
    this.#owner.asked.push(options);
    const before = this.#totalChanges();
    const result = await work();
    if (this.isAutocommit && this.#totalChanges() !== before) {
      this.position = this.#owner.advance();
      if (options.transactionKey !== undefined) this.#owner.receipts.set(options.transactionKey, this.position);
    }
    return result;
  }

  async #execute(statement: Statement, signal: AbortSignal): Promise<StatementResult> {
    const prepared = this.#prepare(statement);
    const rows: Row[] = [];
    let bytes = 0;
    for await (const piece of this.#pieces(prepared, statement, signal)) {
      if (!statement.wantRows) continue;
      for (const row of piece) for (const value of row) bytes += sizeOf(value);
      if (bytes > this.#options.resultBytesMax) {
        throw new SqlError(results.TOOBIG, `the rows have more than ${this.#options.resultBytesMax} bytes`);
      }
      rows.push(...piece);
    }
    return { columns: columnsOf(prepared), rows, ...this.#effect() };
  }

  async *#pieces(prepared: StatementSync, statement: Statement, signal: AbortSignal): AsyncGenerator<Row[], void> {
    let piece: Row[] = [];
    try {
      const named = Object.fromEntries(statement.namedValues.map(({ name, value }) => [name, value]));
      for (const row of prepared.iterate(named, ...statement.values)) {
        piece.push(row as unknown as Row);
        if (piece.length < rowsOfPiece) continue;
        yield piece;
        piece = [];
        await breathe();
        signal.throwIfAborted();
      }
    } catch (error) {
      // A closed session has ended its cursor; node:sqlite would complain of that once more.
      if (this.#isClosed) return;
      throw toSqlError(error);
    }
    yield piece;
  }

  #prepare({ sql }: Statement): StatementSync {
    try {
      const prepared = this.#database.prepare(sql);
      prepared.setReadBigInts(true);
      prepared.setReturnArrays(true);
      return prepared;
    } catch (error) {
      throw toSqlError(error);
    }
  }

  #effect(): { affectedRows: bigint; lastInsertRowid: bigint } {
    const [affectedRows = 0n, lastInsertRowid = 0n] = this.#row('SELECT changes(), last_insert_rowid()');
    return { affectedRows, lastInsertRowid };
  }

  #totalChanges(): bigint {
    return this.#row('SELECT total_changes()')[0] ?? 0n;
  }

  #row(sql: string): bigint[] {
    const prepared = this.#database.prepare(sql);
    prepared.setReadBigInts(true);
    prepared.setReturnArrays(true);
    return prepared.get() as unknown as bigint[];
  }
}

function columnsOf(prepared: StatementSync): { name: string; declaredType: string | null }[] {
  return prepared.columns().map(({ name, type }) => ({ name, declaredType: type }));
}

async function outcomeOf(running: Promise<StatementResult>): Promise<StepOutcome> {
  try {
    return { type: 'done', result: await running };
  } catch (error) {
    if (error instanceof SqlError) return { type: 'failed', error };
    throw error;
  }
}

function toSqlError(error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error)) return error;
  return new SqlError(Number(error.errcode), error.message);
}

function sizeOf(value: SqlValue): number {
  if (typeof value === 'string') return value.length;
  return value instanceof Uint8Array ? value.byteLength : 8;
}
