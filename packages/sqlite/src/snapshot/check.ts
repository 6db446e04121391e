import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { Connection } from '../engine/connection.ts';
import type { Engine } from '../engine/engine.ts';
import type { PageSource } from '../engine/page-source.ts';
import type { FileLayer, LayerFile } from '../log/file-layer.ts';
import { lockPage } from '../machine/database.ts';
import { pageDigest } from '../machine/state-checksum.ts';
import { type DatabaseRecord, decodeState, type StateRecord } from '../machine/state-record.ts';
import { fileName, stateName } from './contents.ts';
import { FileView } from './file-view.ts';

// Whether files are what they should be: nothing is put in the place of anything before that.

/** Complaints of SQLite's that are shown: one tells as much as a thousand. */
const complaintsMax = 3;
const cacheKib = 4096;

/** The record of a snapshot's directory. Throws LOG_DAMAGED, VERSION_MISMATCH, NOT_FOUND. */
export function readSnapshotState(layer: FileLayer, directory: string): StateRecord {
  const path = join(directory, stateName);
  const stat = layer.stat(path);
  if (stat === undefined)
    throw new BatonError('NOT_FOUND', `${path} does not exist, and so ${directory} is no snapshot`);
  const file = layer.open(path, 'read');
  try {
    const bytes = Buffer.alloc(stat.bytes);
    file.read(bytes, 0);
    return decodeState(bytes, path);
  } finally {
    file.close();
  }
}

/** Compares a snapshot's files with its record, page by page. Throws DIGEST_MISMATCH, NOT_FOUND. With an engine, SQLite looks at them, too. */
export function checkSnapshot(layer: FileLayer, directory: string, engine?: Engine): StateRecord {
  const record = readSnapshotState(layer, directory);
  for (const database of record.databases) {
    const path = join(directory, fileName(database));
    if (layer.stat(path) === undefined) throw new BatonError('NOT_FOUND', `${path} does not exist`);
    const file = layer.open(path, 'read');
    try {
      checkFile(file, path, database);
      if (engine !== undefined && database.pageCount > 0) checkIntegrity(engine, new FileView(file, database), path);
    } finally {
      file.close();
    }
  }
  return record;
}

function checkFile(file: LayerFile, path: string, { pageBytes, pageCount, checksum }: DatabaseRecord): void {
  const bytes = file.size();
  if (bytes !== pageCount * pageBytes) {
    throw new BatonError('DIGEST_MISMATCH', `${path} has ${bytes} bytes, and its record says ${pageCount * pageBytes}`);
  }
  const found = checksumOf((page, into) => void file.read(into, (page - 1) * pageBytes), { pageBytes, pageCount });
  if (found === checksum) return;
  throw new BatonError(
    'DIGEST_MISMATCH',
    `${path} has the checksum ${found.toString(16)}, and its record says ${checksum.toString(16)}`,
  );
}

/** The checksum of a state, from all of its pages. */
export function checksumOf(
  read: (page: number, into: Uint8Array) => void,
  { pageBytes, pageCount }: Pick<DatabaseRecord, 'pageBytes' | 'pageCount'>,
): bigint {
  const content = Buffer.alloc(pageBytes);
  let checksum = 0n;
  for (let page = 1; page <= pageCount; page++) {
    if (page === lockPage(pageBytes)) continue;
    read(page, content);
    checksum ^= pageDigest(page, content);
  }
  return checksum;
}

/** Has SQLite look at all of a database. Throws DIGEST_MISMATCH with what it found. */
export function checkIntegrity(engine: Engine, source: PageSource, path: string): void {
  const complaints = integrityOf(engine, source);
  if (complaints.length === 1 && complaints[0] === 'ok') return;
  throw new BatonError('DIGEST_MISMATCH', `${path} is damaged: ${complaints.slice(0, complaintsMax).join('; ')}`, {
    hint: 'take another copy, or see what sqlite3 recovers of it',
  });
}

function integrityOf(engine: Engine, source: PageSource): readonly string[] {
  try {
    using connection = new Connection(engine, source, { isReadOnly: true, isOwn: true, cacheKib });
    return connection.run('PRAGMA integrity_check').rows.map(([text]) => String(text));
  } catch (error) {
    // What is no database at all cannot even be asked.
    return [error instanceof Error ? error.message : String(error)];
  }
}
