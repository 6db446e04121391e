// SQLite's WebAssembly build as it is published, with its own JavaScript and its own databases in memory: the judge of what the node answers.
import stockInit from '@sqlite.org/sqlite-wasm';

type Pointer = number;
/** What is called of the build's JavaScript: https://sqlite.org/wasm/doc/trunk/api-c-style.md */
type Stock = {
  readonly capi: {
    readonly sqlite3_prepare_v2: (db: Pointer, sql: string, bytes: number, out: Pointer, tail: Pointer) => number;
    readonly sqlite3_step: (statement: Pointer) => number;
    readonly sqlite3_finalize: (statement: Pointer) => number;
    readonly sqlite3_column_count: (statement: Pointer) => number;
    readonly sqlite3_column_name: (statement: Pointer, column: number) => string;
    readonly sqlite3_column_type: (statement: Pointer, column: number) => number;
    readonly sqlite3_column_int64: (statement: Pointer, column: number) => bigint;
    /** A value of any type as JavaScript's. */
    readonly sqlite3_column_js: (statement: Pointer, column: number) => unknown;
    readonly sqlite3_changes64: (db: Pointer) => bigint;
    readonly sqlite3_total_changes64: (db: Pointer) => bigint;
    readonly sqlite3_last_insert_rowid: (db: Pointer) => bigint;
    readonly sqlite3_extended_errcode: (db: Pointer) => number;
    readonly sqlite3_extended_result_codes: (db: Pointer, on: number) => number;
    readonly sqlite3_errmsg: (db: Pointer) => string;
  };
  readonly wasm: {
    readonly alloc: (bytes: number) => Pointer;
    readonly peekPtr: (at: Pointer) => Pointer;
  };
  readonly oo1: { readonly DB: new (name: string, flags: string) => StockHandle };
};
type StockHandle = { readonly pointer: Pointer; close(): void };

const ok = 0;
const row = 100;
const done = 101;
const integerType = 1;
const blobType = 4;

/** What a statement gave: as the node tells it, an INTEGER as a bigint. */
export type StockAnswer =
  | {
      readonly columns: readonly string[];
      readonly rows: readonly (readonly unknown[])[];
      readonly changes: number;
      readonly lastInsertRowid: bigint;
    }
  | { readonly result: number; readonly message: string };

/** Loads the build. */
export async function loadStock(): Promise<() => StockDatabase> {
  const stock = (await (stockInit as unknown as (options: object) => Promise<unknown>)({
    print: () => undefined,
    printErr: () => undefined,
  })) as Stock;
  return () => new StockDatabase(stock);
}

/** A database in memory. */
export class StockDatabase implements Disposable {
  readonly #stock: Stock;
  readonly #handle: StockHandle;
  readonly #out: Pointer;

  constructor(stock: Stock) {
    this.#stock = stock;
    this.#out = stock.wasm.alloc(4);
    this.#handle = new stock.oo1.DB(':memory:', 'c');
    stock.capi.sqlite3_extended_result_codes(this.#handle.pointer, 1);
  }

  ask(sql: string): StockAnswer {
    const { capi, wasm } = this.#stock;
    const { pointer: db } = this.#handle;
    const before = capi.sqlite3_total_changes64(db);
    const code = capi.sqlite3_prepare_v2(db, sql, -1, this.#out, 0);
    const statement = wasm.peekPtr(this.#out);
    if (code !== ok) return this.#error();
    try {
      const rows: unknown[][] = [];
      let step = capi.sqlite3_step(statement);
      for (; step === row; step = capi.sqlite3_step(statement)) rows.push(this.#row(statement));
      if (step !== done) return this.#error();
      const columns = Array.from({ length: capi.sqlite3_column_count(statement) }, (_, column) =>
        capi.sqlite3_column_name(statement, column),
      );
      const changes = capi.sqlite3_total_changes64(db) === before ? 0 : Number(capi.sqlite3_changes64(db));
      return { columns, rows, changes, lastInsertRowid: capi.sqlite3_last_insert_rowid(db) };
    } finally {
      capi.sqlite3_finalize(statement);
    }
  }

  [Symbol.dispose](): void {
    this.#handle.close();
  }

  #error(): StockAnswer {
    const { capi } = this.#stock;
    const { pointer: db } = this.#handle;
    return { result: capi.sqlite3_extended_errcode(db), message: capi.sqlite3_errmsg(db) };
  }

  #row(statement: Pointer): unknown[] {
    const { capi } = this.#stock;
    return Array.from({ length: capi.sqlite3_column_count(statement) }, (_, column) => {
      const type = capi.sqlite3_column_type(statement, column);
      if (type === integerType) return capi.sqlite3_column_int64(statement, column);
      // Of an empty BLOB it tells null.
      return capi.sqlite3_column_js(statement, column) ?? (type === blobType ? new Uint8Array() : null);
    });
  }
}
