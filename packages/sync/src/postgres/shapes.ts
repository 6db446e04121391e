import type { KnownShape } from '../source.ts';
import type { KnownColumn, Table } from '../table.ts';
import type { RelationDescription } from './catalog.ts';
import { areRowsOther, isNew, type RowTrace } from './row-trace.ts';

/**
 * What a table's new shape means for the rows that a sink has of the old one. `columns`: they are right as they are, but for columns that are gone, or new and
 * NULL in all of them. `rows`: they may be wrong, and are to be read anew. `key`: they are told apart by something else now. `none`: nothing has changed.
 */
export type ShapeChange = 'none' | 'columns' | 'rows' | 'key';

/** Whenever it is not certain that rows are right, they are not: reading them anew is always right. */
export function compareShapes(
  before: Table | KnownShape,
  { table, emptyColumns, trace }: RelationDescription,
  traceBefore: RowTrace | undefined,
): ShapeChange {
  if (keyText(before) !== keyText(table)) return 'key';
  if (areRowsOther(traceBefore, trace)) return 'rows';
  const known = new Map(before.columns.map((column) => [column.name, column]));
  const added = table.columns.filter(({ name }) => !known.has(name));
  const kept = table.columns.filter(({ name }) => known.has(name));
  const removedCount = before.columns.length - kept.length;
  if (kept.some((column) => !isSame(column, known.get(column.name)))) return 'rows';
  // One that is gone and one that is new may be one that was renamed.
  if (added.length > 0 && removedCount > 0) return 'rows';
  if (added.some((column) => !emptyColumns.has(column.name) || !isNew(column, traceBefore, trace))) return 'rows';
  const isSameOrder = before.columns.every(({ name }, place) => table.columns[place]?.name === name);
  return added.length === 0 && removedCount === 0 && isSameOrder ? 'none' : 'columns';
}

/** Neither of another type, nor another one that has taken the name. */
function isSame(one: KnownColumn, other: KnownColumn | undefined): boolean {
  if (one.type !== other?.type) return false;
  return one.number === undefined || other.number === undefined || one.number === other.number;
}

/** A key column of another type tells rows apart by other texts. */
function keyText({ key, columns }: Table | KnownShape): string {
  return JSON.stringify(
    key.map((part) => {
      const column = typeof part === 'number' ? columns[part] : columns.find(({ name }) => name === part);
      return [column?.name, column?.type];
    }),
  );
}
