import { BatonError } from '@batondb/core/errors';
import type { FileLayer } from '../log/file-layer.ts';
import { lockPage } from '../machine/database.ts';
import type { Paths } from '../machine/paths.ts';
import { pageDigest } from '../machine/state-checksum.ts';
import { type DatabaseRecord, type StateRecord, writeState } from '../machine/state-record.ts';

// Databases' files get their names with a clean stop and lose them with a start. Every step may be the last before a crash: the record is
// written first, and says what a file of a database's name has to look like; which of both names a file has, is looked at.

const pageSizeOffset = 16;
const readVersionOffset = 18;

/**
 * Takes the files of all databases into use. Throws CHANGED when one is not what it was at the last stop, unless its name is in `adopt`; then
 * what it is now is the database's state, under a new epoch. Throws NOT_FOUND when one is not there.
 */
export function takeFiles(layer: FileLayer, paths: Paths, record: StateRecord, adopt: readonly string[]): StateRecord {
  const databases: DatabaseRecord[] = [];
  let isAdopted = false;
  for (const database of record.databases) {
    const own = paths.pagesOf(database.id);
    const closed = paths.closed(database.name);
    const { closed: expected, ...plain } = database;
    if (layer.stat(own) !== undefined || (expected === undefined && database.pageCount === 0)) {
      databases.push(plain);
      continue;
    }
    if (expected === undefined) {
      throw new BatonError('NOT_FOUND', `${own}: the file of database ${database.name} is gone`, {
        hint: 'restore a backup',
      });
    }
    const changed = whatChanged(layer, closed, database);
    if (changed === undefined) databases.push(plain);
    else if (adopt.includes(database.name)) {
      databases.push(adoptFile(layer, closed, plain));
      isAdopted = true;
    } else {
      throw new BatonError('CHANGED', `${closed}: ${changed}`, {
        hint: 'put the file back as it was, or adopt what it is now',
      });
    }
  }
  const { epoch, index } = record.position;
  // What follows does not continue what others may have: the epoch tells them.
  const taken = {
    ...record,
    databases,
    position: isAdopted ? { epoch: epoch + 1, index: index + 1 } : { epoch, index },
  };
  if (isAdopted)
    writeState(layer, paths, { ...taken, databases: databases.map((database) => withClosed(layer, paths, database)) });
  for (const { id, name } of databases) {
    if (layer.stat(paths.pagesOf(id)) !== undefined || layer.stat(paths.closed(name)) === undefined) continue;
    layer.rename(paths.closed(name), paths.pagesOf(id));
  }
  layer.syncDirectory(paths.directory);
  layer.syncDirectory(paths.pages);
  return taken;
}

/** Gives the files their names. Everything is folded, nothing has them open. Throws EXISTS when something else has a name. */
export function nameFiles(layer: FileLayer, paths: Paths, record: StateRecord): void {
  const databases = record.databases.map((database) => {
    const path = paths.closed(database.name);
    if (layer.stat(path) !== undefined) {
      throw new BatonError('EXISTS', `${path} appeared while the node had its database in use`, {
        hint: 'move it away, then start and stop the node again',
      });
    }
    const stat = layer.stat(paths.pagesOf(database.id));
    return stat === undefined ? database : { ...database, closed: stat };
  });
  writeState(layer, paths, { ...record, databases });
  for (const { id, name } of databases) layer.rename(paths.pagesOf(id), paths.closed(name));
  layer.syncDirectory(paths.pages);
  layer.syncDirectory(paths.directory);
}

function withClosed(layer: FileLayer, paths: Paths, database: DatabaseRecord): DatabaseRecord {
  const stat = layer.stat(paths.closed(database.name));
  return stat === undefined ? database : { ...database, closed: stat };
}

/** What is not as it was at the last stop, as a sentence; undefined when nothing is. */
function whatChanged(layer: FileLayer, path: string, database: DatabaseRecord): string | undefined {
  for (const suffix of ['-wal', '-journal']) {
    const beside = layer.stat(path + suffix);
    if (beside !== undefined && beside.bytes > 0) return `another program left ${path}${suffix} beside it`;
  }
  const stat = layer.stat(path);
  if (stat === undefined) return 'it is gone since the last stop';
  const { bytes, modifiedNs } = database.closed!;
  if (stat.bytes === bytes && stat.modifiedNs === modifiedNs) return undefined;
  // A copy of the directory has other times.
  if (stat.bytes === bytes && checksumOf(layer, path, database.pageBytes).checksum === database.checksum)
    return undefined;
  return `it was changed since the last stop, when it had ${bytes} bytes with checksum ${database.checksum.toString(16)}`;
}

function adoptFile(layer: FileLayer, path: string, database: DatabaseRecord): DatabaseRecord {
  for (const suffix of ['-wal', '-journal']) {
    if ((layer.stat(path + suffix)?.bytes ?? 0) === 0) continue;
    throw new BatonError(
      'CHANGED',
      `another program left ${path}${suffix} beside it, and what is in there would be lost`,
      {
        hint: `open and close it with sqlite3 ${path} 'PRAGMA journal_mode=DELETE'`,
      },
    );
  }
  if (layer.stat(path) === undefined) throw new BatonError('NOT_FOUND', `${path} is gone since the last stop`);
  const { pageBytes, writeVersion } = readHeader(layer, path);
  if (writeVersion !== 1) {
    throw new BatonError('UNSUPPORTED', `${path} is in WAL mode, which says nothing here`, {
      hint: `run sqlite3 ${path} 'PRAGMA journal_mode=DELETE'`,
    });
  }
  const { checksum, pageCount } = checksumOf(layer, path, pageBytes);
  return { ...database, pageBytes, pageCount, checksum, sequence: database.sequence + 1 };
}

function readHeader(layer: FileLayer, path: string): { readonly pageBytes: number; readonly writeVersion: number } {
  const file = layer.open(path, 'read');
  try {
    const header = Buffer.alloc(100);
    file.read(header, 0);
    if (header.toString('latin1', 0, 15) !== 'SQLite format 3')
      throw new BatonError('UNSUPPORTED', `${path} is not a SQLite database`);
    const stored = header.readUInt16BE(pageSizeOffset);
    return { pageBytes: stored === 1 ? 65_536 : stored, writeVersion: header[readVersionOffset] ?? 0 };
  } finally {
    file.close();
  }
}

function checksumOf(
  layer: FileLayer,
  path: string,
  pageBytes: number,
): { readonly checksum: bigint; readonly pageCount: number } {
  const file = layer.open(path, 'read');
  try {
    const pageCount = Math.floor(file.size() / pageBytes);
    const content = Buffer.alloc(pageBytes);
    let checksum = 0n;
    for (let page = 1; page <= pageCount; page++) {
      if (page === lockPage(pageBytes)) continue;
      file.read(content, (page - 1) * pageBytes);
      checksum ^= pageDigest(page, content);
    }
    return { checksum, pageCount };
  } finally {
    file.close();
  }
}
