import type { Table, ValueCodec } from '@batondb/sync';

// Tables without a database, for what only needs their shape.

const text: ValueCodec = { kind: 'text', json: (value) => JSON.stringify(value), sqlite: (value) => value };

/** A table whose columns are all texts, the first `keys` of them its key. */
export function textTable(
  name: string,
  columns: readonly string[],
  options: Partial<Table> & { readonly keys?: number } = {},
): Table {
  const { keys = 1, ...more } = options;
  return {
    schema: 'public',
    name,
    id: `id of ${name}`,
    columns: columns.map((column) => ({ name: column, type: 'text', isNullable: true, codec: text })),
    key: Array.from({ length: keys }, (_, place) => place),
    hasWholeOldRows: false,
    ...more,
  };
}
