import type { TableRecord } from './sink.ts';
import { type KnownColumn, knownColumn, type Table, type TableName } from './table.ts';

/** As much of a table as a sink remembers. */
export type RecordedShape = Pick<Table, 'schema' | 'name' | 'id' | 'key'> & {
  readonly original?: TableName | undefined;
  readonly columns: readonly KnownColumn[];
};

/** What a sink remembers of a table. */
export function recordOf(
  { schema, name, id, original, columns, key }: RecordedShape,
  state: Pick<TableRecord, 'dumpedAt' | 'isResyncing'>,
): TableRecord {
  return {
    schema,
    name,
    id,
    ...(original === undefined ? {} : { original }),
    columns: columns.map(knownColumn),
    key: key.map((place) => columns[place]!.name),
    ...state,
  };
}
