import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { LoadResult } from '../sink.ts';
import { sqliteLimits } from './limits.ts';
import { SeenRows } from './seen-rows.ts';
import { quoteName, rowidOf, type Shape } from './shape.ts';
import { type KnownValue, matchKey, TableWriter } from './writer.ts';

// The dump of one table, in the writer's thread. What a table had stays until `finish` (Y6).

/** Rows as one array of fields, one row after the other: cheap to hand to a thread. */
export interface TableFill {
  write(fields: readonly KnownValue[]): void;
  finish(): LoadResult;
  dispose(): void;
}

/** Begins to fill a table that has its shape already. `number` is one that no other fill has. */
export function fillTable(database: DatabaseSync, shape: Shape, number: number): TableFill {
  const isEmpty = database.prepare(`SELECT 1 FROM ${quoteName(shape.sqlName)} LIMIT 1`).get() === undefined;
  if (isEmpty) return new FreshFill(database, shape);
  return shape.keyKind === 'none'
    ? new ReplacingFill(database, shape, number)
    : new ComparingFill(database, shape, number);
}

/** Of a table that was empty: several rows a statement, and nothing to compare with. */
class FreshFill implements TableFill {
  readonly #writer: TableWriter;
  readonly #width: number;
  readonly #several: StatementSync | undefined;
  readonly #severalFields: number;
  #rows = 0;

  constructor(database: DatabaseSync, shape: Shape) {
    this.#writer = new TableWriter(database, shape);
    this.#width = Math.max(1, shape.columns.length);
    const rows = Math.floor(sqliteLimits.insertParametersMax / this.#width);
    this.#severalFields = rows * this.#width;
    if (rows < 2 || shape.keyKind === 'nullable' || shape.columns.length === 0) return;
    const row = `(${shape.columns.map(() => '?').join(', ')})`;
    const values = Array.from({ length: rows }, () => row).join(', ');
    // REPLACE: a part that is read again after a failure gives the same rows again.
    this.#several = database.prepare(`INSERT OR REPLACE INTO ${quoteName(shape.sqlName)} VALUES ${values}`);
  }

  write(fields: readonly KnownValue[]): void {
    let at = 0;
    if (this.#several !== undefined) {
      for (; at + this.#severalFields <= fields.length; at += this.#severalFields) {
        this.#several.run(...fields.slice(at, at + this.#severalFields));
      }
    }
    for (; at < fields.length; at += this.#width) this.#writer.insert(fields.slice(at, at + this.#width));
    this.#rows += fields.length / this.#width;
  }

  finish(): LoadResult {
    return { rows: this.#rows, written: this.#rows, deleted: 0 };
  }

  dispose(): void {}
}

/** Of a table that has rows and a key: those that differ are written, and those that did not come go in the end. */
class ComparingFill implements TableFill {
  readonly #shape: Shape;
  readonly #writer: TableWriter;
  readonly #seen: SeenRows;
  readonly #find: StatementSync;
  #rows = 0;
  #written = 0;

  constructor(database: DatabaseSync, shape: Shape, number: number) {
    this.#shape = shape;
    this.#writer = new TableWriter(database, shape);
    this.#seen = new SeenRows(database, shape, `_baton_seen_${number}`);
    const same = shape.columns.map(({ name }) => `${quoteName(name)} IS ?`).join(' AND ');
    this.#find = database.prepare(
      `SELECT ${rowidOf(shape)} AS number, (${same}) AS same FROM ${quoteName(shape.sqlName)} WHERE ${matchKey(shape)}`,
    );
    this.#find.setReadBigInts(true);
  }

  write(fields: readonly KnownValue[]): void {
    const width = this.#shape.columns.length;
    for (let at = 0; at < fields.length; at += width) this.#writeRow(fields.slice(at, at + width));
  }

  #writeRow(row: readonly KnownValue[]): void {
    this.#rows++;
    const key = this.#shape.key.map((place) => row[place]!);
    const found = this.#find.get(...row, ...key);
    if (found?.['same'] === 1n) {
      this.#seen.add(found['number'] as bigint);
      return;
    }
    this.#written++;
    const inserted = this.#writer.insert(row);
    // With a key that may be NULL the row is a new one, with a number of its own.
    const isKept = found !== undefined && this.#shape.keyKind === 'primary';
    this.#seen.add(isKept ? (found['number'] as bigint) : inserted);
  }

  finish(): LoadResult {
    return { rows: this.#rows, written: this.#written, deleted: this.#seen.deleteOthers() };
  }

  dispose(): void {
    this.#seen.dispose();
  }
}

/** Of a table that has rows and no key: all of them are kept aside, and take the place of the others in the end. */
class ReplacingFill implements TableFill {
  readonly #database: DatabaseSync;
  readonly #target: string;
  readonly #staged: string;
  readonly #insert: StatementSync;
  readonly #width: number;
  #rows = 0;

  constructor(database: DatabaseSync, shape: Shape, number: number) {
    this.#database = database;
    this.#target = quoteName(shape.sqlName);
    this.#staged = `temp._baton_staged_${number}`;
    this.#width = Math.max(1, shape.columns.length);
    database.exec(`CREATE TABLE ${this.#staged} AS SELECT * FROM ${this.#target} LIMIT 0`);
    const marks = Array.from({ length: this.#width }, () => '?').join(', ');
    this.#insert = database.prepare(`INSERT INTO ${this.#staged} VALUES (${marks})`);
  }

  write(fields: readonly KnownValue[]): void {
    for (let at = 0; at < fields.length; at += this.#width) this.#insert.run(...fields.slice(at, at + this.#width));
    this.#rows += fields.length / this.#width;
  }

  finish(): LoadResult {
    const { changes } = this.#database.prepare(`DELETE FROM ${this.#target}`).run();
    this.#database.exec(`INSERT INTO ${this.#target} SELECT * FROM ${this.#staged}`);
    return { rows: this.#rows, written: this.#rows, deleted: Number(changes) };
  }

  dispose(): void {
    this.#database.exec(`DROP TABLE IF EXISTS ${this.#staged}`);
  }
}
