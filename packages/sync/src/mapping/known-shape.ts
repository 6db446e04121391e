import type { TableRecord } from '../sink.ts';
import type { KnownShape } from '../source.ts';
import type { Table } from '../table.ts';
import type { Mapping } from './mapping.ts';

/**
 * A table as a sink has it, in the source's own names. Columns that do not go to the sink, and a key that was declared, are taken to be as they are now: what becomes of
 * them is no news. `source` undefined: the table is not published any more.
 */
export function knownShape(record: TableRecord, source: Table | undefined, mapping: Mapping): KnownShape {
  const { original, schema, name, columns, key } = record;
  const shape: KnownShape = { ...(original ?? { schema, name }), columns, key };
  const mapped = source && mapping.map(source);
  if (source === undefined || mapped === undefined) return shape;
  const { table, places } = mapped;
  const sourceKey = namesOf(source);
  const knownKey = namesOf(table).join() === sourceKey.join() ? key : sourceKey;
  if (places === undefined) return { ...shape, key: knownKey };
  const inOrder = source.columns.flatMap((column, place) =>
    places.includes(place) ? columns.filter((known) => known.name === column.name) : [column],
  );
  const gone = columns.filter((known) => !source.columns.some((column) => column.name === known.name));
  return { ...shape, key: knownKey, columns: [...inOrder, ...gone] };
}

function namesOf({ key, columns }: Table): readonly string[] {
  return key.map((place) => columns[place]!.name);
}
