import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { BatonError } from '@batondb/core/errors';
import { nameOf, type SqliteValue } from '../table.ts';
import { sqliteLimits } from './limits.ts';
import { quoteName, rowidOf, type Shape } from './shape.ts';

/** A field as SQLite takes it; undefined is not known. */
export type Value = KnownValue | undefined;
/** A field of a whole row. */
export type KnownValue = SqliteValue | null;

/** Writes rows of one table, in one shape, with statements that are prepared once. */
export class TableWriter {
  readonly shape: Shape;
  readonly #database: DatabaseSync;
  readonly #table: string;
  readonly #rowid: string;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #isKey: readonly boolean[];
  readonly #updates = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, shape: Shape) {
    this.shape = shape;
    this.#database = database;
    this.#table = quoteName(shape.sqlName);
    this.#rowid = rowidOf(shape);
    this.#isKey = shape.columns.map((_, place) => shape.key.includes(place));
    this.#insert = database.prepare(this.#insertSql());
    this.#delete = database.prepare(`DELETE FROM ${this.#table} WHERE ${this.#whereOne()}`);
  }

  /** A row is there now, in place of one of the same key. All fields are known. Returns the row's number in the table where it is new, or anything. */
  insert(row: readonly Value[]): number | bigint {
    if (this.shape.columns.length === 0) return this.#insert.run().lastInsertRowid;
    if (this.shape.keyKind === 'nullable') this.#delete.run(...known(this.#keyOf(row)));
    return this.#insert.run(...known(row)).lastInsertRowid;
  }

  /** False when there was no such row, and its unknown fields cannot be known (Y5). */
  update(row: readonly Value[], old: readonly Value[] | undefined, isMissingIgnored: boolean): boolean {
    const next = old === undefined ? row : row.map((field, place) => (field === undefined ? old[place] : field));
    if (this.shape.keyKind === 'none' && old === undefined) {
      throw new BatonError(
        'PROTOCOL',
        `an update of ${nameOf(this.shape)}, which has no key, came without its old row`,
        {
          hint: 'ALTER TABLE … REPLICA IDENTITY FULL in the source, or declare a key',
        },
      );
    }
    const where = known(this.shape.keyKind === 'none' ? (old ?? []) : this.#oldKeyOf(row, old));
    const isMoved = this.#keyOf(next).some((field, index) => field !== undefined && !isSame(field, where[index]));
    // No constraint does it there: a row that has the new key gives way.
    if (isMoved && this.shape.keyKind === 'nullable') this.#delete.run(...known(this.#keyOf(next)));
    const told = next.map((field, place) => field !== undefined && (isMoved || !this.#isKey[place]));
    // Where nothing but the key is known, its update says whether the row is there.
    const set = told.includes(true) ? told : this.#isKey;
    const values = next.filter((_, place) => set[place]);
    if (this.#updateStatement(set).run(...known(values), ...where).changes !== 0) return true;
    if (isMissingIgnored && this.shape.keyKind === 'none') return true;
    if (next.includes(undefined)) return isMissingIgnored;
    this.insert(next);
    return true;
  }

  /** A row that is not there any more is none to delete. */
  delete(old: readonly Value[]): void {
    this.#delete.run(...known(this.shape.keyKind === 'none' ? old : this.#keyOf(old)));
  }

  clear(): void {
    this.#database.exec(`DELETE FROM ${this.#table}`);
  }

  #keyOf(row: readonly Value[]): Value[] {
    return this.shape.key.map((place) => row[place]);
  }

  #oldKeyOf(row: readonly Value[], old: readonly Value[] | undefined): Value[] {
    return this.shape.key.map((place) => (old?.[place] === undefined ? row[place] : old[place]));
  }

  #insertSql(): string {
    const { columns, key, keyKind } = this.shape;
    if (columns.length === 0) return `INSERT INTO ${this.#table} DEFAULT VALUES`;
    const insert = `INSERT INTO ${this.#table} VALUES (${columns.map(() => '?').join(', ')})`;
    if (keyKind !== 'primary') return insert;
    const others = columns.flatMap((column, place) =>
      this.#isKey[place] ? [] : [`${quoteName(column.name)} = excluded.${quoteName(column.name)}`],
    );
    const conflict = `ON CONFLICT (${key.map((place) => this.#column(place)).join(', ')})`;
    return `${insert} ${conflict} DO ${others.length === 0 ? 'NOTHING' : `UPDATE SET ${others.join(', ')}`}`;
  }

  #updateStatement(set: readonly boolean[]): StatementSync {
    const mask = set.map((isSet) => (isSet ? '1' : '0')).join('');
    let statement = this.#updates.get(mask);
    if (statement === undefined) {
      if (this.#updates.size >= sqliteLimits.updateStatementsMax) this.#updates.clear();
      const assignments = set.flatMap((isSet, place) => (isSet ? [`${this.#column(place)} = ?`] : []));
      // A row that has the new key already is from later than this change, and gives way.
      statement = this.#database.prepare(
        `UPDATE OR REPLACE ${this.#table} SET ${assignments.join(', ')} WHERE ${this.#whereOne()}`,
      );
      this.#updates.set(mask, statement);
    }
    return statement;
  }

  #whereOne(): string {
    if (this.shape.keyKind !== 'none') return matchKey(this.shape);
    return `${this.#rowid} = (SELECT ${this.#rowid} FROM ${this.#table} WHERE ${matchKey(this.shape)} LIMIT 1)`;
  }

  #column(place: number): string {
    return quoteName(this.shape.columns[place]?.name ?? '');
  }
}

function known(values: readonly Value[]): KnownValue[] {
  if (values.includes(undefined)) {
    throw new BatonError('PROTOCOL', 'a field that tells rows apart, or one of a whole row, is not known');
  }
  return values as KnownValue[];
}

function isSame(one: KnownValue, other: KnownValue | undefined): boolean {
  if (!(one instanceof Uint8Array && other instanceof Uint8Array)) return one === other;
  return Buffer.compare(one, other) === 0;
}

/** `a = ? AND b = ?`: the key, or all columns of a table without one. */
export function matchKey(shape: Shape): string {
  const places = shape.keyKind === 'none' ? [...shape.columns.keys()] : shape.key;
  const operator = shape.keyKind === 'primary' ? '=' : 'IS';
  const terms = places.map((place) => `${quoteName(shape.columns[place]?.name ?? '')} ${operator} ?`);
  return terms.length === 0 ? 'true' : terms.join(' AND ');
}
