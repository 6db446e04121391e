import type { DatabaseSync } from 'node:sqlite';
import { BatonError } from '@batondb/core/errors';
import type { SinkState, TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import { nameOf, type TableName } from '../table.ts';

// What the file remembers of itself: `_baton_state` of one row, and `_baton_tables`.

/** Of our own tables. */
const formatVersion = 1;

/** `position` is what every write expects to find (Y2). */
export type Head = { readonly position: Position | undefined; readonly isOpen: boolean; readonly owner: number };

/** Makes our tables in a file that is empty, or throws USAGE for one that has something else. To be called in a transaction. */
export function claimFile(database: DatabaseSync, path: string, source: string): void {
  if (!hasTable(database, '_baton_state')) {
    const other = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' LIMIT 1`).get();
    if (other !== undefined) {
      throw new BatonError(
        'USAGE',
        `${path} is a database of something else: it has the table ${String(other['name'])}`,
        {
          hint: 'name another file; nothing was changed in this one',
        },
      );
    }
    createState(database, source);
    return;
  }
  const found = database.prepare('SELECT version, source FROM _baton_state').get();
  if (found?.['version'] !== formatVersion) {
    throw new BatonError(
      'VERSION_MISMATCH',
      `${path} has format ${String(found?.['version'])}, and this program writes ${formatVersion}`,
      {
        hint: 'use the version of baton that wrote it, or begin a new file',
      },
    );
  }
  if (found['source'] !== source) {
    throw new BatonError('USAGE', `${path} is the replica of ${String(found['source'])}, not of ${source}`, {
      hint: 'name another file; nothing was changed in this one',
    });
  }
}

function createState(database: DatabaseSync, source: string): void {
  database.exec(`
    CREATE TABLE _baton_state (
      version INTEGER NOT NULL, source TEXT NOT NULL, position TEXT, is_open INTEGER NOT NULL, owner INTEGER NOT NULL,
      changed_at TEXT
    );
    CREATE TABLE _baton_tables (
      schema TEXT NOT NULL, name TEXT NOT NULL, table_name TEXT NOT NULL, id TEXT NOT NULL,
      original_schema TEXT, original_name TEXT, columns TEXT NOT NULL, key TEXT NOT NULL,
      dumped_at TEXT, is_resyncing INTEGER NOT NULL, PRIMARY KEY (schema, name)
    );
    CREATE TABLE _baton_touched (number INTEGER PRIMARY KEY, position TEXT, keys TEXT NOT NULL);
  `);
  database.prepare('INSERT INTO _baton_state VALUES (?, ?, NULL, 1, 0, NULL)').run(formatVersion, source);
}

export function hasTable(database: DatabaseSync, name: string): boolean {
  return database.prepare(`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?`).get(name) !== undefined;
}

export function readHead(database: DatabaseSync): Head {
  const row = database.prepare('SELECT position, is_open, owner FROM _baton_state').get();
  if (row === undefined) throw new BatonError('LOG_DAMAGED', 'the row of _baton_state is gone');
  const position = row['position'] as string | null;
  return { position: position ?? undefined, isOpen: row['is_open'] === 1, owner: row['owner'] as number };
}

export function writeHead(database: DatabaseSync, head: Head): void {
  database
    .prepare(
      `UPDATE _baton_state SET position = ?, is_open = ?, owner = ?, changed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')`,
    )
    .run(head.position ?? null, head.isOpen ? 1 : 0, head.owner);
}

export function writeRecord(database: DatabaseSync, record: TableRecord, sqlName: string): void {
  database
    .prepare('INSERT OR REPLACE INTO _baton_tables VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)')
    .run(
      record.schema,
      record.name,
      sqlName,
      record.id,
      record.original?.schema ?? null,
      record.original?.name ?? null,
      JSON.stringify(record.columns),
      JSON.stringify(record.key),
      record.dumpedAt ?? null,
      record.isResyncing ? 1 : 0,
    );
}

export function removeRecord(database: DatabaseSync, { schema, name }: TableName): void {
  database.prepare('DELETE FROM _baton_tables WHERE schema = ? AND name = ?').run(schema, name);
}

export function readRecords(database: DatabaseSync): Map<string, TableRecord> {
  const records = new Map<string, TableRecord>();
  for (const row of database.prepare('SELECT * FROM _baton_tables').iterate()) {
    const originalName = row['original_name'] as string | null;
    const record: TableRecord = {
      id: row['id'] as string,
      schema: row['schema'] as string,
      name: row['name'] as string,
      ...(originalName === null ? {} : { original: { schema: row['original_schema'] as string, name: originalName } }),
      columns: JSON.parse(row['columns'] as string) as TableRecord['columns'],
      key: JSON.parse(row['key'] as string) as string[],
      dumpedAt: (row['dumped_at'] as string | null) ?? undefined,
      isResyncing: row['is_resyncing'] === 1,
    };
    records.set(nameOf(record), record);
  }
  return records;
}

export function readState(database: DatabaseSync): SinkState {
  const { position, isOpen } = readHead(database);
  return { position, isOpen, tables: readRecords(database) };
}
