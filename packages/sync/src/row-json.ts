import { jsonString } from './json-string.ts';
import type { Row, Table } from './table.ts';

// Rows as JSON objects, the same in every sink that holds JSON.

/** `{"id":1,"name":"x"}`: columns in the table's order, without those that are not known. */
export type RowJson = (row: Row) => string;

const compiled = new WeakMap<Table, RowJson>();

/** One row as JSON. Who has many of a table asks {@link rowJsonOf} once. */
export function rowJson(table: Table, row: Row): string {
  return rowJsonOf(table)(row);
}

/** Tells rows of this table; made once a table. */
export function rowJsonOf(table: Table): RowJson {
  const known = compiled.get(table);
  if (known !== undefined) return known;
  const made = compile(table);
  compiled.set(table, made);
  return made;
}

function compile({ columns }: Table): RowJson {
  const tellers = columns.map(({ codec }) => codec.json);
  const firstHeads = columns.map(({ name }) => `{${jsonString(name)}:`);
  const heads = columns.map(({ name }) => `,${jsonString(name)}:`);
  return (row) => {
    let json = '';
    for (let place = 0; place < tellers.length; place++) {
      const field = row[place];
      if (field === undefined) continue;
      json += (json === '' ? firstHeads[place] : heads[place]) as string;
      json += field === null ? 'null' : (tellers[place] as (text: string) => string)(field);
    }
    return json === '' ? '{}' : `${json}}`;
  };
}
