import type { DatabaseRecord, StateRecord } from '../machine/state-record.ts';

// What a snapshot consists of, as a directory: the record of the state, and an ordinary SQLite file for each database. Bytes and names; no I/O.

/** The name of the record's file. It has the form of a checkpoint record (machine/state-record.ts). */
export const stateName = 'state';

/** A file of a snapshot. */
export type SnapshotFile =
  | { readonly name: string; readonly bytes: number; readonly database: undefined }
  | { readonly name: string; readonly bytes: number; readonly database: DatabaseRecord };

/** The name of a database's file. */
export function fileName(database: Pick<DatabaseRecord, 'name'>): string {
  return `${database.name}.db`;
}

/** The files of a snapshot, the record first. `state` is the encoded record. */
export function filesOf(record: StateRecord, state: Uint8Array): SnapshotFile[] {
  return [
    { name: stateName, bytes: state.length, database: undefined },
    ...record.databases.map((database) => ({
      name: fileName(database),
      bytes: database.pageCount * database.pageBytes,
      database,
    })),
  ];
}
