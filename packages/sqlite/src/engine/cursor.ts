import type { Connection } from './connection.ts';
import type { Column, Statement } from './statement.ts';
import type { SqlValue } from './values.ts';

/** Around a statement that writes and gives rows: to end it early by itself would commit it. */
const savepoint = 'baton_statement';

/** Rows that were pulled. `isLast`: there are no more, and the statement has done all that it does. */
export type Piece = {
  readonly rows: readonly (readonly SqlValue[])[];
  readonly bytes: number;
  readonly isLast: boolean;
};

/** A statement that runs while its rows are pulled. Disposing of it before its end undoes it. */
export class Cursor implements Disposable {
  readonly #connection: Connection;
  readonly #statement: Statement;
  readonly #hasSavepoint: boolean;
  #isOpen = true;
  #columns: readonly Column[] | undefined;

  /** Takes a statement with its values. */
  constructor(connection: Connection, statement: Statement) {
    this.#connection = connection;
    this.#statement = statement;
    this.#hasSavepoint = !statement.isReadOnly && statement.columns.length > 0;
    if (this.#hasSavepoint) connection.run(`SAVEPOINT ${savepoint}`);
  }

  /** As they are once the first rows were pulled. */
  get columns(): readonly Column[] {
    return this.#columns ?? [];
  }

  /** Goes on until rows of `bytesMax` were passed, or to the end. Throws SqlError, TIMED_OUT, INTERRUPTED; then it is undone. */
  pull(bytesMax: number, wantRows: boolean): Piece {
    const rows: SqlValue[][] = [];
    let bytes = 0;
    try {
      while (this.#step()) {
        if (!wantRows) continue;
        const row = this.#statement.row('exact');
        for (const value of row) bytes += sizeOf(value);
        rows.push(row);
        if (bytes > bytesMax) return { rows, bytes, isLast: false };
      }
      this.#finish();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    return { rows, bytes, isLast: true };
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#connection.end(this.#statement);
    // An interrupted write has rolled back everything, the savepoint with it.
    if (!this.#hasSavepoint || this.#connection.isAutocommit) return;
    this.#connection.run(`ROLLBACK TO ${savepoint}`);
    this.#connection.run(`RELEASE ${savepoint}`);
  }

  #step(): boolean {
    const hasRow = this.#statement.step();
    this.#columns ??= this.#statement.describeColumns();
    return hasRow;
  }

  #finish(): void {
    this.#statement.reset();
    if (this.#hasSavepoint) this.#connection.run(`RELEASE ${savepoint}`);
    this.#isOpen = false;
    this.#connection.end(this.#statement);
  }
}

/** What a value takes in an answer, about. */
function sizeOf(value: SqlValue): number {
  if (typeof value === 'string') return value.length;
  return value instanceof Uint8Array ? value.length : 8;
}
