import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { StreamEvent } from '../stream.ts';
import { keyOf, nameOf, type Row, type Table } from '../table.ts';
import { sqliteLimits } from './limits.ts';

// Keys of rows that were written lately, with the position that came with them: what a repair after a failover has to read again. One line a commit:
// a table of keys would double the work of every change.

/** What an entry costs beside its keys. */
const entryBytes = 64;
/** Of a group that touches no row. */
export const nothingTouched = '{}';

/** By `nameOf`: keys, or `all` where a change names no rows (a truncate, or a table without a key). */
export type Touched = { readonly [table: string]: readonly Row[] | 'all' };

/** Collects what a group of events touches, each key once. */
export function touchedBy(events: readonly StreamEvent[]): string {
  const tables = new Map<string, Set<string> | 'all'>();
  for (const event of events) {
    if (event.kind === 'insert') add(tables, event.table, event.row);
    else if (event.kind === 'delete') add(tables, event.table, event.old);
    else if (event.kind === 'update') {
      add(tables, event.table, event.row);
      if (event.old !== undefined) add(tables, event.table, event.old);
    } else if (event.kind === 'truncate') {
      for (const table of event.tables) tables.set(nameOf(table), 'all');
    } else if (event.kind === 'reshape') tables.set(nameOf(event.table), 'all');
  }
  const members = [...tables].map(
    ([name, keys]) => `${JSON.stringify(name)}:${keys === 'all' ? '"all"' : `[${[...keys].join(',')}]`}`,
  );
  return `{${members.join(',')}}`;
}

function add(tables: Map<string, Set<string> | 'all'>, table: Table, row: Row): void {
  const name = namesOf(table);
  let keys = tables.get(name);
  if (keys === 'all') return;
  if (table.key.length === 0) {
    tables.set(name, 'all');
    return;
  }
  if (keys === undefined) {
    keys = new Set();
    tables.set(name, keys);
  }
  const key = keyOf(table, row);
  // A key that is not told is that of the row, which is told beside it.
  if (!key.includes(undefined)) keys.add(JSON.stringify(key));
}

const names = new WeakMap<Table, string>();

function namesOf(table: Table): string {
  let name = names.get(table);
  if (name === undefined) {
    name = nameOf(table);
    names.set(table, name);
  }
  return name;
}

/** The table `_baton_touched`, in the writer's thread. */
export class TouchedLog {
  readonly #add: StatementSync;
  readonly #place: StatementSync;
  readonly #oldest: StatementSync;
  readonly #remove: StatementSync;
  readonly #page: StatementSync;
  readonly #database: DatabaseSync;
  #bytes: number;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#add = database.prepare('INSERT INTO _baton_touched (position, keys) VALUES (?, ?)');
    this.#place = database.prepare('UPDATE _baton_touched SET position = ? WHERE position IS NULL');
    this.#oldest = database.prepare(
      'SELECT number, length(keys) AS characters FROM _baton_touched ORDER BY number LIMIT 1',
    );
    this.#remove = database.prepare('DELETE FROM _baton_touched WHERE number = ?');
    this.#page = database.prepare('SELECT * FROM _baton_touched WHERE number < ? ORDER BY number DESC LIMIT 8');
    const sum = database
      .prepare(`SELECT coalesce(sum(length(keys) + ${entryBytes}), 0) AS bytes FROM _baton_touched`)
      .get();
    this.#bytes = Number(sum?.['bytes']);
  }

  /** Without a position: a part of a transaction whose position comes later. */
  add(keys: string, position: string | undefined): void {
    this.#add.run(position ?? null, keys);
    this.#bytes += keys.length + entryBytes;
    while (this.#bytes > sqliteLimits.touchedBytesMax) {
      const oldest = this.#oldest.get();
      if (oldest === undefined) break;
      this.#remove.run(oldest['number'] as number);
      this.#bytes -= (oldest['characters'] as number) + entryBytes;
    }
  }

  /** Nothing before this position is remembered any more. */
  beginAt(position: string): void {
    this.#database.exec('DELETE FROM _baton_touched');
    this.#bytes = 0;
    this.add(nothingTouched, position);
  }

  /** Parts of a transaction have the position that it ends at. */
  place(position: string): void {
    this.#place.run(position);
  }

  page(before: number | undefined): { number: number; position: string | null; keys: string }[] {
    const rows = this.#page.all(before ?? Number.MAX_SAFE_INTEGER);
    return rows.map((row) => ({
      number: row['number'] as number,
      position: row['position'] as string | null,
      keys: row['keys'] as string,
    }));
  }
}
