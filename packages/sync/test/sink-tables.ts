import type { Table, ValueCodec } from '@batondb/sync';

const text: ValueCodec = { kind: 'text', json: (value) => JSON.stringify(value), sqlite: (value) => value };
const integer: ValueCodec = { kind: 'integer', json: (value) => value, sqlite: Number };

/** A table whose first column is an integer, and its key where nothing else is said; the others are texts. */
export function sinkTable(name: string, columns: readonly string[], more: Partial<Table> = {}): Table {
  return {
    schema: 'public',
    name,
    id: `id of ${name}`,
    columns: columns.map((column, place) => ({
      name: column,
      type: place === 0 ? 'integer' : 'text',
      isNullable: place !== 0,
      codec: place === 0 ? integer : text,
    })),
    key: [0],
    hasWholeOldRows: false,
    ...more,
  };
}
