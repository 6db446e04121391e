import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as turn } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import { jsonString } from '../json-string.ts';
import type { HeldRow, SinkState, SinkView } from '../sink.ts';
import type { Position } from '../stream.ts';
import { nameOf, type Row, type Table, type TableName } from '../table.ts';
import { guard } from './database.ts';
import { sqliteLimits } from './limits.ts';
import { quoteName, shapeOf, sqlNameOf } from './shape.ts';
import { hasTable, readState } from './state.ts';

/**
 * Looks at a replica in one read transaction: the same state for as long as it is open, whatever is written meanwhile. The write-ahead log grows as long.
 * Throws NOT_FOUND for a file that is no replica, and UNAVAILABLE while its tables are not at one position.
 */
export async function openSqliteView(path: string): Promise<SinkView> {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) {
    throw new BatonError('NOT_FOUND', `${path} does not exist`, { hint: 'name the file that baton sync writes' });
  }
  const database = guard(path, () => new DatabaseSync(path, { readOnly: true, timeout: sqliteLimits.busyMsMax }));
  try {
    return guard(path, () => new SqliteView(database, readClosedState(database, path)));
  } catch (error) {
    database.close();
    throw error;
  }
}

type ClosedState = SinkState & { readonly position: Position };

function readClosedState(database: DatabaseSync, path: string): ClosedState {
  database.exec('BEGIN');
  if (!hasTable(database, '_baton_state')) {
    throw new BatonError('NOT_FOUND', `${path} is no replica of Baton`, {
      hint: 'name the file that baton sync writes',
    });
  }
  const { position, isOpen, tables } = readState(database);
  if (position === undefined || isOpen) {
    throw new BatonError('UNAVAILABLE', `the tables of ${path} are not at one position`, {
      retryable: true,
      hint: 'wait until the dump or the repair that goes on has ended',
    });
  }
  return { position, isOpen, tables };
}

class SqliteView implements SinkView {
  readonly state: ClosedState;
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync, state: ClosedState) {
    this.#database = database;
    this.state = state;
  }

  expect(table: Table, row: Row): HeldRow {
    const { columns } = shapeOf(table);
    const texts = columns.map(({ declared }, place) => {
      const field = row[place];
      const value = field === null || field === undefined ? null : table.columns[place]!.codec.sqlite(field);
      // Where SQLite keeps whole numbers, it gives them back as such.
      return textOf(declared === 'INTEGER' && typeof value === 'number' ? BigInt(value) : value);
    });
    return heldRow(
      columns.map(({ name }) => name),
      table.key,
      texts,
    );
  }

  async *rows(name: TableName): AsyncGenerator<readonly HeldRow[], void, undefined> {
    const record = this.state.tables.get(nameOf(name));
    const sqlName = sqlNameOf(name);
    // A table that somebody has dropped has no rows, and a column none of its values.
    if (record === undefined || !hasTable(this.#database, sqlName)) return;
    const statement = this.#database.prepare(`SELECT * FROM ${quoteName(sqlName)}`);
    const found = statement.columns().map((column) => column.name);
    const names = record.columns.map((column) => column.name).filter((column) => found.includes(column));
    const places = names.map((column) => found.indexOf(column));
    const key = record.key.map((column) => names.indexOf(column));
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    let page: HeldRow[] = [];
    for (const row of statement.iterate() as unknown as Iterable<readonly unknown[]>) {
      page.push(
        heldRow(
          names,
          key,
          places.map((place) => textOf(row[place])),
        ),
      );
      if (page.length < sqliteLimits.readRows) continue;
      yield page;
      page = [];
      // Reading does not wait for anything: others have their turn between two pages.
      await turn();
    }
    if (page.length > 0) yield page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#database.close();
  }
}

/** Told by columns, so that two rows can be compared column by column. Of a table without a key the whole row is what tells it. */
function heldRow(names: readonly string[], key: readonly number[], texts: readonly string[]): HeldRow {
  const value = `{${names.map((name, place) => `${jsonString(name)}:${texts[place]}`).join(',')}}`;
  return { key: key.length === 0 ? value : `[${key.map((place) => texts[place]).join(',')}]`, value };
}

/** A value with its type of storage: `1`, `"1"` and a blob of one byte are three values. */
function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return `{"blob":"${Buffer.from(value).toString('base64')}"}`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
