import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { type Contents, rowText } from './sink-model.ts';

/** What a reader of a replica finds who knows its documentation and nothing else. */
export function readReplica(path: string): Contents {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  try {
    database.exec('BEGIN');
    const tables = database.prepare('SELECT schema, name, table_name, columns FROM _baton_tables').all();
    const contents = tables.map(({ schema, name, table_name, columns }): [string, string[]] => {
      const names = JSON.parse(String(columns)) as { name: string }[];
      const list = names.map((column) => `"${column.name.replaceAll('"', '""')}"`).join(', ');
      const statement = database.prepare(`SELECT ${list} FROM "${String(table_name).replaceAll('"', '""')}"`);
      statement.setReturnArrays(true);
      statement.setReadBigInts(true);
      const rows = statement.all() as unknown as SQLOutputValue[][];
      const texts = rows.map((row) => row.map((value) => (value === null ? null : String(value))));
      return [`${String(schema)}.${String(name)}`, texts.map(rowText({ columns: names })).toSorted()];
    });
    return new Map(contents.toSorted(([one], [other]) => (one < other ? -1 : 1)));
  } finally {
    database.close();
  }
}
