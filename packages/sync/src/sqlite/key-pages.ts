import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { SqliteValue, ValueKind } from '../table.ts';
import { sqliteLimits } from './limits.ts';
import { quoteName, rowidOf, type Shape } from './shape.ts';

/** A field as the source would write it, or in a form that it reads as the same value. */
export type KeyText = string | null;

export type KeyPage = { readonly keys: readonly (readonly KeyText[])[]; readonly last: bigint | undefined };

/** Keys of the next rows after a row's number; `last` is the number to go on after, undefined at the end. */
export function keyPage(database: DatabaseSync, shape: Shape, after: bigint | undefined): KeyPage {
  const rowid = rowidOf(shape);
  const columns = shape.key.map((place) => quoteName(shape.columns[place]?.name ?? ''));
  const statement = database.prepare(
    `SELECT ${[rowid, ...columns].join(', ')} FROM ${quoteName(shape.sqlName)} WHERE ${rowid} ${after === undefined ? '>=' : '>'} ? ORDER BY ${rowid} LIMIT ?`,
  );
  statement.setReadBigInts(true);
  statement.setReturnArrays(true);
  const kinds = shape.key.map((place) => shape.columns[place]?.kind ?? 'other');
  const rows = statement.all(after ?? -(2n ** 63n), sqliteLimits.readRows) as unknown as SQLOutputValue[][];
  const keys = rows.map(([, ...fields]) => fields.map((field, index) => textOf(field, kinds[index] ?? 'other')));
  return { keys, last: rows.length < sqliteLimits.readRows ? undefined : (rows[rows.length - 1]?.[0] as bigint) };
}

/** For a person, too. */
export function textOf(value: SqliteValue | null | undefined, kind: ValueKind): KeyText {
  if (value === null || value === undefined) return null;
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (kind === 'boolean') return value === 1n ? 't' : 'f';
  return String(value);
}
