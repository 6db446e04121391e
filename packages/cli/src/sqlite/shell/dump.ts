import type { SqlValue } from '@batondb/sqlite';
import { literal, quoteName } from './literals.ts';

// A database as SQL text that SQLite's own shell reads, and `baton sqlite load`. What a virtual table keeps in tables of its own is
// not written: its rows are, and it makes its own of them. So the text needs no right to change the schema by hand.

/** Asks the database: rows of one statement, in pieces. */
export type Ask = (sql: string) => AsyncIterable<readonly (readonly SqlValue[])[]>;

type Table = { readonly name: string; readonly kind: string; readonly sql: string };

/** Virtual tables that have row numbers besides their columns. */
const fullText = /\busing\s+fts[345]\b/i;

/** The text, in pieces. All of it has to be asked within one transaction. */
export async function* dump(ask: Ask): AsyncGenerator<string, void> {
  yield 'PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n';
  const kinds = new Map<string, string>();
  for (const [schema, name, kind] of await all(ask, 'PRAGMA table_list'))
    if (schema === 'main') kinds.set(String(name), String(kind));
  const tables = (
    await all(ask, "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL ORDER BY rowid")
  )
    .map(([name, sql]): Table => ({ name: String(name), kind: kinds.get(String(name)) ?? 'table', sql: String(sql) }))
    .filter(({ kind }) => kind !== 'shadow');
  const own = tables.filter(({ name, kind }) => kind !== 'virtual' && !name.startsWith('sqlite_'));
  for (const table of own) yield* dumpTable(ask, table);
  // Their rows may lie in ordinary tables, which have to be there.
  for (const table of tables.filter(({ kind }) => kind === 'virtual')) yield* dumpTable(ask, table);
  yield* dumpInternal(ask, tables);
  const rest =
    "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL ORDER BY type = 'trigger', rowid";
  for (const [sql] of await all(ask, rest)) yield `${String(sql)};\n`;
  yield 'COMMIT;\n';
}

async function* dumpTable(ask: Ask, { name, kind, sql }: Table): AsyncGenerator<string, void> {
  yield `${sql};\n`;
  const info = await all(ask, `PRAGMA table_xinfo(${quoteName(name)})`);
  // Generated columns and those that only a virtual table knows are not written.
  const columns = info.filter(([, , , , , , hidden]) => hidden === 0n).map(([, column]) => quoteName(String(column)));
  const isPlain = columns.length === info.length;
  const named = kind === 'virtual' && fullText.test(sql) ? ['rowid', ...columns] : columns;
  const list = isPlain && kind !== 'virtual' ? '' : `(${named.join(',')})`;
  yield* dumpRows(ask, `SELECT ${named.join(',')} FROM ${quoteName(name)}`, `${quoteName(name)}${list}`);
}

/** What SQLite keeps for itself: numbers of AUTOINCREMENT, and statistics, whose table ANALYZE makes. */
async function* dumpInternal(ask: Ask, tables: readonly Table[]): AsyncGenerator<string, void> {
  const has = (name: string): boolean => tables.some((table) => table.name === name);
  if (has('sqlite_sequence')) {
    yield 'DELETE FROM sqlite_sequence;\n';
    yield* dumpRows(ask, 'SELECT name, seq FROM sqlite_sequence', 'sqlite_sequence');
  }
  if (!has('sqlite_stat1')) return;
  yield 'ANALYZE sqlite_schema;\n';
  yield* dumpRows(ask, 'SELECT tbl, idx, stat FROM sqlite_stat1', 'sqlite_stat1');
}

async function* dumpRows(ask: Ask, select: string, into: string): AsyncGenerator<string, void> {
  for await (const rows of ask(select)) {
    yield rows.map((row) => `INSERT INTO ${into} VALUES(${row.map(literal).join(',')});\n`).join('');
  }
}

async function all(ask: Ask, sql: string): Promise<(readonly SqlValue[])[]> {
  const rows: (readonly SqlValue[])[] = [];
  for await (const piece of ask(sql)) rows.push(...piece);
  return rows;
}
