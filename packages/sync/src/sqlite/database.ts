import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { sqliteLimits } from './limits.ts';

// SQLite as this sink uses it: how a file is opened, and what its errors mean to a person.

const codes = { busy: 5, locked: 6, readOnly: 8, ioError: 10, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26 };
/** SQLITE_IOERR_SHMSIZE: no room for the index of the write-ahead log. */
const noRoomForSharedMemory = 4874;

/** Opens a file to be written, in WAL mode: readers and we never wait for one another. Throws BatonError. */
export function openDatabase(path: string): DatabaseSync {
  return guard(path, () => {
    const database = new DatabaseSync(path, { timeout: sqliteLimits.busyMsMax });
    try {
      // FULL: a commit is on the disk when it returns (Y3); the default of WAL would be that only after a checkpoint.
      database.exec(`
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        PRAGMA cache_size = -${sqliteLimits.cacheKibibytes};
        PRAGMA foreign_keys = OFF;
        PRAGMA legacy_alter_table = ON;
      `);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/** What a file is, so that one that was removed or replaced under us is noticed. */
export function identityOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? 'nothing' : `${stat.dev}:${stat.ino}`;
}

/** Runs SQLite, and throws what it throws as BatonErrors. */
export function guard<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw errorOf(error, path);
  }
}

function errorOf(error: unknown, path: string): BatonError {
  if (!isSqliteError(error)) return toBatonError(error, { path });
  const { errcode, message } = error;
  const primary = errcode & 0xff;
  const because = { cause: error };
  if (primary === codes.full || errcode === noRoomForSharedMemory) {
    return new BatonError('NO_SPACE', `${path}: no space left for what is to be written (${message})`, {
      ...because,
      retryable: true,
      hint: 'make space, or raise the quota: it goes on by itself where it was',
    });
  }
  if (primary === codes.busy || primary === codes.locked) {
    const seconds = sqliteLimits.busyMsMax / 1000;
    return new BatonError('BUSY', `${path}: another program has been writing to it for ${seconds} s (${message})`, {
      ...because,
      retryable: true,
      hint: 'end the program that holds a write transaction open on it',
    });
  }
  if (primary === codes.notADatabase) {
    return new BatonError('USAGE', `${path} is not an SQLite database`, {
      ...because,
      hint: 'name another file; nothing was changed in this one',
    });
  }
  if (primary === codes.readOnly || primary === codes.cannotOpen) {
    return new BatonError('NO_PERMISSION', `${path} cannot be opened for writing (${message})`, {
      ...because,
      hint: 'check its directory, which has to be writable too, and their owners',
    });
  }
  if (primary === codes.ioError || primary === codes.corrupt) {
    return new BatonError('SYSTEM', `${path} cannot be read or written (${message})`, {
      ...because,
      hint: 'the disk may be failing: look at dmesg, and run PRAGMA integrity_check',
    });
  }
  return new BatonError('STATEMENT_FAILED', `${path}: SQLite refused a statement (${message})`, because);
}

function isSqliteError(error: unknown): error is Error & { readonly errcode: number } {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number';
}
