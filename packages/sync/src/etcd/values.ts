import { BatonError } from '@batondb/core/errors';
import { membersOf } from '../json-members.ts';
import { rowJson } from '../row-json.ts';
import type { Position } from '../stream.ts';
import { nameOf, type Row, type Table } from '../table.ts';

// What stands in etcd for a row: the row as JSON, or an envelope with it.

/** Where a row comes from. A dump has neither. */
export type Origin = { readonly position: Position | undefined; readonly committedAtMs: number | undefined };

export const ofDump: Origin = { position: undefined, committedAtMs: undefined };

/** The value of a row. */
export function valueOf(row: string, origin: Origin, envelope: boolean): string {
  if (!envelope) return row;
  const { position, committedAtMs } = origin;
  const time = committedAtMs === undefined ? null : new Date(committedAtMs).toISOString();
  return `{"position":${JSON.stringify(position ?? null)},"time":${JSON.stringify(time)},"row":${row}}`;
}

/** The row of a value. Throws PROTOCOL. */
export function rowOfValue(value: string, envelope: boolean): string {
  return envelope ? (membersOf(value).get('row') ?? '') : value;
}

/** What is not known of a row is as it was: in `old`, where that is known. */
export function filled(row: Row, old: Row | undefined): Row {
  return old === undefined ? row : row.map((field, place) => (field === undefined ? old[place] : field));
}

/**
 * The row as JSON, of which some fields are as they stand in `before`, the row's text in etcd: a member that is missing there is of a column that came later, and NULL.
 * `isPartial`: the row is going to come anew, and what nobody knows is left out until then. Throws DIVERGED for fields of a row that is not there (Y5).
 */
export function completeRow(table: Table, row: Row, before: string | undefined, isPartial: boolean): string {
  const known = before === undefined ? undefined : membersOf(before);
  const members: string[] = [];
  for (const [place, { name, codec }] of table.columns.entries()) {
    const field = row[place];
    const value = field === undefined ? known?.get(name) : field === null ? 'null' : codec.json(field);
    if (value !== undefined) members.push(`${JSON.stringify(name)}:${value}`);
    else if (!isPartial && known === undefined) throw unknownField(table, name);
  }
  return `{${members.join(',')}}`;
}

/** The row as JSON, of which everything is known. */
export function wholeRow(table: Table, row: Row): string {
  return rowJson(table, row);
}

function unknownField(table: Table, column: string): BatonError {
  return new BatonError(
    'DIVERGED',
    `a row of ${nameOf(table)} was changed that is not in the sink, and its ${column} was not sent again`,
    { hint: `read the table anew: baton sync resync --table ${nameOf(table)}` },
  );
}
