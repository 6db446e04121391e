import { BatonError } from '@batondb/core/errors';
import { results } from './codes.ts';
import type { Connection } from './connection.ts';
import type { Engine } from './engine.ts';
import { SqlError } from './sql-error.ts';
import type { NamedValue, NumberMode, SqlArguments, SqlValue } from './values.ts';
import type { Pointer } from './wasm.ts';

/** A column of a result. Expressions have no declared type. */
export type Column = { readonly name: string; readonly declaredType: string | null };

/** What can be known of a statement without running it. */
export type Description = {
  /** By position; `?` has no name, the others have theirs with its sign. */
  readonly parameters: readonly (string | null)[];
  readonly columns: readonly Column[];
  readonly isReadOnly: boolean;
  readonly isExplain: boolean;
};

/** A prepared statement of one connection. */
export class Statement implements Disposable {
  readonly #engine: Engine;
  readonly #connection: Connection;
  readonly #pointer: Pointer;
  readonly #parameterCount: number;
  /** True when it changes nothing in the database by itself: https://www.sqlite.org/c3ref/stmt_readonly.html */
  readonly isReadOnly: boolean;
  #columns: readonly string[] | undefined;

  constructor(engine: Engine, connection: Connection, pointer: Pointer) {
    this.#engine = engine;
    this.#connection = connection;
    this.#pointer = pointer;
    this.#parameterCount = engine.wasm.exports.sqlite3_bind_parameter_count(pointer);
    this.isReadOnly = engine.wasm.exports.sqlite3_stmt_readonly(pointer) !== 0;
  }

  get columns(): readonly string[] {
    const { exports } = this.#engine.wasm;
    const count = exports.sqlite3_column_count(this.#pointer);
    if (this.#columns?.length !== count) this.#columns = this.#names(count);
    return this.#columns;
  }

  describe(): Description {
    const { exports } = this.#engine.wasm;
    return {
      parameters: Array.from({ length: this.#parameterCount }, (_, index) => this.#parameterName(index + 1)),
      columns: this.describeColumns(),
      isReadOnly: this.isReadOnly,
      isExplain: exports.sqlite3_stmt_isexplain(this.#pointer) !== 0,
    };
  }

  /** Columns with their types as they are now: a statement that is prepared anew after a change of the schema may have others. */
  describeColumns(): readonly Column[] {
    const { wasm } = this.#engine;
    const { exports } = wasm;
    return this.#names(exports.sqlite3_column_count(this.#pointer)).map((name, column) => {
      const declaredType = exports.sqlite3_column_decltype(this.#pointer, column);
      return { name, declaredType: declaredType === 0 ? null : wasm.text(declaredType) };
    });
  }

  /** Binds each parameter: to its name's value if there is one, else to that of its position. Throws SqlError where values and parameters do not match. */
  bindAll(values: readonly SqlValue[], namedValues: readonly NamedValue[]): void {
    this.#engine.wasm.exports.sqlite3_clear_bindings(this.#pointer);
    const count = this.#parameterCount;
    if (values.length > count)
      throw new SqlError(
        results.RANGE,
        `the statement has ${count} parameters, and ${values.length} values were given`,
      );
    const unused = new Set(namedValues);
    for (let index = 1; index <= count; index++) {
      const name = namedValues.length === 0 ? null : this.#parameterName(index);
      const named = namedValues.filter(
        (given) => name !== null && (given.name === name || given.name === name.slice(1)),
      );
      for (const given of named) unused.delete(given);
      const value = named.length === 0 ? values[index - 1] : named[0]!.value;
      if (value === undefined)
        throw new SqlError(results.ERROR, `parameter ${this.#parameterName(index) ?? index} has no value`);
      this.#bindOne(index, value, 'exact');
    }
    for (const { name } of unused) throw new SqlError(results.RANGE, `the statement has no parameter ${name}`);
  }

  /** Binds parameters; those without a value are NULL. Throws USAGE for one that the statement does not have. */
  bind(values: SqlArguments, mode: NumberMode): void {
    const isComplete = isList(values) && values.length === this.#parameterCount;
    if (!isComplete) this.#engine.wasm.exports.sqlite3_clear_bindings(this.#pointer);
    if (isList(values)) {
      if (values.length > this.#parameterCount) {
        throw new BatonError(
          'USAGE',
          `the statement has ${this.#parameterCount} parameters, and ${values.length} values were given`,
        );
      }
      for (let index = 0; index < values.length; index++) this.#bindOne(index + 1, values[index]!, mode);
      return;
    }
    const names = this.describe().parameters;
    for (const [name, value] of Object.entries(values)) {
      const index = names.findIndex((known) => known !== null && (known === name || known.slice(1) === name));
      if (index < 0) throw new BatonError('USAGE', `the statement has no parameter ${name}`);
      this.#bindOne(index + 1, value, mode);
    }
  }

  /** Runs it and returns its rows. Throws LIMIT for more than `rowsMax`. */
  rows(mode: NumberMode, rowsMax: number): SqlValue[][] {
    const rows: SqlValue[][] = [];
    while (this.step()) {
      if (rows.length >= rowsMax)
        throw new BatonError('LIMIT', `the statement gives more than ${rowsMax} rows`, { hint: 'use LIMIT' });
      rows.push(this.row(mode));
    }
    return rows;
  }

  /** Goes to the next row. False when there is none. */
  step(): boolean {
    const code = this.#engine.wasm.exports.sqlite3_step(this.#pointer);
    if (code === results.ROW) return true;
    if (code === results.DONE) return false;
    throw this.#connection.error(code);
  }

  /** The row that it is at. */
  row(mode: NumberMode): SqlValue[] {
    return this.#engine.values.row(this.#pointer, mode);
  }

  /** Ends it, so that it holds no lock. */
  reset(): void {
    this.#engine.wasm.exports.sqlite3_reset(this.#pointer);
  }

  [Symbol.dispose](): void {
    this.#engine.wasm.exports.sqlite3_finalize(this.#pointer);
  }

  #bindOne(index: number, value: SqlValue, mode: NumberMode): void {
    const code = this.#engine.values.bind(this.#pointer, index, value, mode);
    if (code !== results.OK) throw this.#connection.error(code);
  }

  /** A parameter's name with its sign; `?` has none. */
  #parameterName(index: number): string | null {
    const { wasm } = this.#engine;
    const name = wasm.exports.sqlite3_bind_parameter_name(this.#pointer, index);
    return name === 0 ? null : wasm.text(name);
  }

  #names(count: number): string[] {
    const { wasm } = this.#engine;
    return Array.from({ length: count }, (_, column) =>
      wasm.text(wasm.exports.sqlite3_column_name(this.#pointer, column)),
    );
  }
}

function isList(values: SqlArguments): values is readonly SqlValue[] {
  return Array.isArray(values);
}
