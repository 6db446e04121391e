import type { DatabaseSync } from 'node:sqlite';
import { createStatements, indexStatement, quoteName, type Shape } from './shape.ts';
import { hasTable } from './state.ts';

// Gives a table of the file another shape. All of it happens in the transaction of its caller.

/** A column as the file has it. */
type Existing = { readonly name: string; readonly type: string; readonly pk: number };

/** Makes a table, or gives the one that is there this shape: its rows keep what they have, and new columns are NULL. */
export function giveShape(database: DatabaseSync, shape: Shape): void {
  if (!hasTable(database, shape.sqlName)) {
    create(database, shape);
    return;
  }
  const existing = columnsOf(database, shape.sqlName);
  const added = shape.columns.slice(existing.length);
  const isPrefix = existing.every(({ name, type }, place) => {
    const column = shape.columns[place];
    return column?.name === name && column.declared === type;
  });
  if (!isPrefix || !hasSameKey(existing, shape) || existing.length === 0) {
    rebuild(database, shape, existing);
    return;
  }
  for (const { name, declared } of added) {
    database.exec(`ALTER TABLE ${quoteName(shape.sqlName)} ADD COLUMN ${quoteName(name)} ${declared}`);
  }
  makeIndex(database, shape);
}

export function rename(database: DatabaseSync, from: string, to: string): void {
  if (from === to || !hasTable(database, from)) return;
  database.exec(`DROP INDEX IF EXISTS ${quoteName(`_baton_rows_${from}`)}`);
  database.exec(`ALTER TABLE ${quoteName(from)} RENAME TO ${quoteName(to)}`);
}

export function drop(database: DatabaseSync, sqlName: string): void {
  database.exec(`DROP TABLE IF EXISTS ${quoteName(sqlName)}`);
}

function create(database: DatabaseSync, shape: Shape): void {
  for (const statement of createStatements(shape)) database.exec(statement);
  makeIndex(database, shape);
}

function makeIndex(database: DatabaseSync, shape: Shape): void {
  database.exec(`DROP INDEX IF EXISTS ${quoteName(`_baton_rows_${shape.sqlName}`)}`);
  const index = indexStatement(shape);
  if (index !== undefined) database.exec(index);
}

function columnsOf(database: DatabaseSync, sqlName: string): readonly Existing[] {
  const rows = database.prepare('SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid').all(sqlName);
  return rows.map((row) => ({ name: row['name'] as string, type: row['type'] as string, pk: row['pk'] as number }));
}

function hasSameKey(existing: readonly Existing[], shape: Shape): boolean {
  const key = existing.filter(({ pk }) => pk > 0).sort((one, other) => one.pk - other.pk);
  const wanted = shape.keyKind === 'primary' ? shape.key.map((place) => shape.columns[place]?.name) : [];
  return key.length === wanted.length && key.every(({ name }, place) => name === wanted[place]);
}

/**
 * A new table takes the rows over. Where the new key does not tell them apart, or is not known of a row yet, only one of them stays, or none: such a
 * key comes with rows that are read anew. Indexes that users have made are made again, as far as their columns are still there.
 */
function rebuild(database: DatabaseSync, shape: Shape, existing: readonly Existing[]): void {
  const passing = '_baton_rebuilt';
  const indexes = database
    .prepare(`SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND tbl_name = ? AND sql IS NOT NULL`)
    .all(shape.sqlName)
    .map((row) => row['sql'] as string)
    .filter((sql) => !sql.includes('"_baton_rows_'));
  drop(database, passing);
  for (const statement of createStatements(shape, passing)) database.exec(statement);
  const kept = shape.columns.filter(({ name }) => existing.some((column) => column.name === name));
  const names = kept.map(({ name }) => quoteName(name)).join(', ');
  const keyNames = shape.key.map((place) => shape.columns[place]?.name);
  const canHaveRows = keyNames.every((name) => kept.some((column) => column.name === name));
  if (kept.length > 0 && canHaveRows) {
    database.exec(
      `INSERT OR REPLACE INTO ${quoteName(passing)} (${names}) SELECT ${names} FROM ${quoteName(shape.sqlName)}`,
    );
  }
  drop(database, shape.sqlName);
  rename(database, passing, shape.sqlName);
  makeIndex(database, shape);
  for (const sql of indexes) makeAgain(database, sql);
}

function makeAgain(database: DatabaseSync, sql: string): void {
  try {
    database.exec(sql);
  } catch {
    // Its columns are gone: it goes with them, as in the source.
  }
}
