import type { Column, TableName } from '../table.ts';
import { quoteName, quoteTable } from './sql.ts';

// Which statements read a table. Pure.

/** A table that has rows of its own: an ordinary one, or a leaf of a partitioned one. */
export type StoredTable = TableName & {
  readonly oid: number;
  readonly pages: number;
  /** With what is kept outside of its pages (TOAST). */
  readonly bytes: number;
};

/** A range of a table's pages, the end excluded. Undefined: to the end, whatever has been added. */
export type PageRange = { readonly from: number; readonly to: number | undefined };

/**
 * Ranges that each hold about `partBytes`. A table whose rows are mostly outside of its pages has fewer pages in each.
 * Servers before 14 would read the whole table for each range: they get one.
 */
export function pageRanges(
  { pages, bytes }: StoredTable,
  partBytes: number,
  serverVersion: number,
): readonly PageRange[] {
  const count = serverVersion < 140_000 ? 1 : Math.max(1, Math.min(pages, Math.ceil(bytes / partBytes)));
  const pagesEach = Math.ceil(pages / count);
  return Array.from({ length: count }, (_, place) => ({
    from: place * pagesEach,
    to: place === count - 1 ? undefined : (place + 1) * pagesEach,
  }));
}

/** `filter`: the publication's, as SQL. */
export function copySql(
  table: TableName,
  columns: readonly Pick<Column, 'name'>[],
  range: PageRange,
  filter: string | undefined,
): string {
  const conditions = [
    ...(range.from === 0 ? [] : [`ctid >= '(${range.from},0)'::pg_catalog.tid`]),
    ...(range.to === undefined ? [] : [`ctid < '(${range.to},0)'::pg_catalog.tid`]),
    ...(filter === undefined ? [] : [`(${filter})`]),
  ];
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const names = columns.map(({ name }) => quoteName(name)).join(', ');
  return `COPY (SELECT ${names} FROM ONLY ${quoteTable(table)}${where}) TO STDOUT`;
}
