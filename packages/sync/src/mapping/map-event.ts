import type { Change, StreamEvent } from '../stream.ts';
import type { Row } from '../table.ts';
import { type MappedTable, type Mapping, projectRow } from './mapping.ts';

/** The event as it concerns a sink, in the names that it has there; undefined: not at all. */
export function mapEvent(event: StreamEvent, mapping: Mapping): StreamEvent | undefined {
  switch (event.kind) {
    case 'begin':
    case 'commit':
    case 'reached':
      return event;
    case 'truncate': {
      const tables = event.tables.flatMap((table) => mapping.map(table)?.table ?? []);
      return tables.length === 0 ? undefined : { ...event, tables };
    }
    case 'drop':
      return mapping.includes(event.table) ? { ...event, table: mapping.rename(event.table) } : undefined;
    default: {
      const target = mapping.map(event.table);
      if (target === undefined) return undefined;
      return target.table === event.table ? event : mapChange(event, target);
    }
  }
}

function mapChange(event: Exclude<Change, { kind: 'truncate' | 'drop' }>, { table, places }: MappedTable): Change {
  const project = (row: Row): Row => (places === undefined ? row : projectRow(row, places));
  switch (event.kind) {
    case 'insert':
      return { ...event, table, row: project(event.row) };
    case 'update':
      return {
        ...event,
        table,
        row: project(event.row),
        ...(event.old === undefined ? {} : { old: project(event.old) }),
      };
    case 'delete':
      return { ...event, table, old: project(event.old) };
    default:
      return { ...event, table };
  }
}
