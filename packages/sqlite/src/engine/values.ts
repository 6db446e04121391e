import { BatonError } from '@batondb/core/errors';
import { valueTypes } from './codes.ts';
import type { Pointer, Wasm } from './wasm.ts';

// Values between JavaScript and SQLite.

/** A value of a row, or of a parameter. `bigint` is an INTEGER of any size. */
export type SqlValue = null | number | bigint | string | Uint8Array;

/** A value for a parameter by its name, with or without the sign (`:`, `@` or `$`) that stands before it in the SQL. */
export type NamedValue = { readonly name: string; readonly value: SqlValue };

/** Parameters by position, or by name with or without its `:`, `@` or `$`. */
export type SqlArguments = readonly SqlValue[] | Readonly<Record<string, SqlValue>>;

/**
 * How numbers are told. `plain`: an INTEGER is a number when it fits into one exactly, and a whole number is bound as an INTEGER. `exact`:
 * an INTEGER is always a bigint, and a number is always a REAL.
 */
export type NumberMode = 'plain' | 'exact';

/** Copies what is bound: SQLITE_TRANSIENT. */
const transient = -1;
const scratchBytesMin = 4096;

/** Moves values in and out of one instance's memory. */
export class Values {
  readonly #wasm: Wasm;
  #scratch: Pointer = 0;
  #scratchBytes = 0;

  constructor(wasm: Wasm) {
    this.#wasm = wasm;
  }

  /** Writes a text as C string into memory that lasts until the next call. Returns where it is, and its bytes without the NUL. */
  put(text: string): { readonly pointer: Pointer; readonly bytes: number } {
    const pointer = this.#reserve(text.length * 3 + 1);
    const memory = this.#wasm.bytes;
    const bytes = memory.write(text, pointer);
    memory[pointer + bytes] = 0;
    return { pointer, bytes };
  }

  /** Binds a value to a parameter. Returns SQLite's result code. */
  bind(statement: Pointer, index: number, value: SqlValue, mode: NumberMode): number {
    const { exports } = this.#wasm;
    switch (typeof value) {
      case 'number':
        if (mode === 'exact' || !Number.isSafeInteger(value) || Object.is(value, -0))
          return exports.sqlite3_bind_double(statement, index, value);
        if ((value | 0) === value) return exports.sqlite3_bind_int(statement, index, value);
        return exports.sqlite3_bind_int64(statement, index, BigInt(value));
      case 'bigint':
        if (BigInt.asIntN(64, value) !== value)
          throw new BatonError('USAGE', `an INTEGER has 64 bits, and ${value} has more`);
        return exports.sqlite3_bind_int64(statement, index, value);
      case 'string': {
        const { pointer, bytes } = this.put(value);
        return exports.sqlite3_bind_text(statement, index, pointer, bytes, transient);
      }
      default:
        return value === null ? exports.sqlite3_bind_null(statement, index) : this.#bindBlob(statement, index, value);
    }
  }

  /** The values of the present row. */
  row(statement: Pointer, mode: NumberMode): SqlValue[] {
    const { sqlite3_column_count: count, sqlite3_column_type: typeOf } = this.#wasm.exports;
    const row: SqlValue[] = [];
    for (let column = 0, end = count(statement); column < end; column++)
      row.push(this.#column(statement, column, typeOf(statement, column), mode));
    return row;
  }

  #column(statement: Pointer, column: number, type: number, mode: NumberMode): SqlValue {
    const { exports } = this.#wasm;
    switch (type) {
      case valueTypes.INTEGER: {
        if (mode === 'exact') return exports.sqlite3_column_int64(statement, column);
        const value = exports.sqlite3_column_double(statement, column);
        return Number.isSafeInteger(value) ? value : exports.sqlite3_column_int64(statement, column);
      }
      case valueTypes.FLOAT:
        return exports.sqlite3_column_double(statement, column);
      case valueTypes.TEXT: {
        const pointer = exports.sqlite3_column_text(statement, column);
        const bytes = exports.sqlite3_column_bytes(statement, column);
        return this.#wasm.bytes.toString('utf8', pointer, pointer + bytes);
      }
      case valueTypes.BLOB: {
        const pointer = exports.sqlite3_column_blob(statement, column);
        const bytes = exports.sqlite3_column_bytes(statement, column);
        return Uint8Array.from(this.#wasm.bytes.subarray(pointer, pointer + bytes));
      }
      default:
        return null;
    }
  }

  #bindBlob(statement: Pointer, index: number, value: Uint8Array): number {
    // A NULL pointer would bind NULL, and an empty blob is not that.
    const pointer = this.#reserve(value.length);
    this.#wasm.bytes.set(value, pointer);
    return this.#wasm.exports.sqlite3_bind_blob(statement, index, pointer, value.length, transient);
  }

  #reserve(bytes: number): Pointer {
    if (bytes <= this.#scratchBytes) return this.#scratch;
    const { exports } = this.#wasm;
    exports.sqlite3_free(this.#scratch);
    const size = Math.max(scratchBytesMin, bytes);
    this.#scratch = exports.sqlite3_malloc(size);
    this.#scratchBytes = this.#scratch === 0 ? 0 : size;
    if (this.#scratch === 0) throw new BatonError('LIMIT', `a value of ${bytes} bytes does not fit into memory`);
    return this.#scratch;
  }
}
