import { DatabaseSync } from 'node:sqlite';

/** Of each such database, in KiB: several are open at a time. */
const cacheKibibytes = 8_192;

/** A database for what may not fit into memory: what does not goes to a temporary file, which is SQLite's and has no name. */
export function openPassingDatabase(schema: string): DatabaseSync {
  const database = new DatabaseSync('');
  database.exec(`
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -${cacheKibibytes};
    ${schema};
    BEGIN;
  `);
  return database;
}
