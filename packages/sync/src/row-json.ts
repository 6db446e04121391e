import type { Row, Table } from './table.ts';

// Rows as JSON objects, the same in every sink that holds JSON.

/** `"name":` of each column, made once a table. */
const memberNames = new WeakMap<Table, readonly string[]>();

function namesOf(table: Table): readonly string[] {
  const known = memberNames.get(table);
  if (known !== undefined) return known;
  const names = table.columns.map(({ name }) => `${JSON.stringify(name)}:`);
  memberNames.set(table, names);
  return names;
}

/** `{"id":1,"name":"x"}`: columns in the table's order, without those that are not known. */
export function rowJson(table: Table, row: Row): string {
  const names = namesOf(table);
  let text = '';
  for (let place = 0; place < names.length; place++) {
    const field = row[place];
    if (field === undefined) continue;
    const value = field === null ? 'null' : (table.columns[place]?.codec.json(field) ?? 'null');
    text += text === '' ? `${names[place]}${value}` : `,${names[place]}${value}`;
  }
  return `{${text}}`;
}
