import { randomBytes } from 'node:crypto';
import { BatonError } from '@batondb/core/errors';
import { blake3 } from '@napi-rs/blake-hash';
import { limits } from '../limits.ts';
import type { FileLayer } from '../log/file-layer.ts';
import type { DatabaseId, StateChecksum } from './command.ts';
import type { Paths } from './paths.ts';
import type { Position } from './position.ts';
import type { Receipt } from './receipts.ts';

// The checkpoint record: through which position the databases' own files hold everything, and what they are at it. It is replaced
// as a whole: temporary name, sync, rename, sync of the directory. Format 1: JSON behind a line with its digest.

/** A database's state at a position. */
export type DatabaseState = {
  readonly pageCount: number;
  readonly checksum: StateChecksum;
  /** Number of the last transaction. */
  readonly sequence: number;
};

/** What a closed file looked like from outside. */
export type ClosedFile = { readonly bytes: number; readonly modifiedNs: bigint };

export type DatabaseRecord = DatabaseState & {
  readonly id: DatabaseId;
  readonly name: string;
  readonly pageBytes: number;
  /** There since a clean stop. */
  readonly closed?: ClosedFile;
};

export type StateRecord = {
  /** Which history the position is one of: 32 hexadecimal digits, made with the first directory that held it. */
  readonly logId: string;
  /** The histories that this one was restored or recovered from, the newest first. Who has one of them takes a snapshot of this one (R4). */
  readonly origins?: readonly string[];
  /** The URL of the node whose log this directory follows; undefined: it leads. */
  readonly follows?: string;
  readonly position: Position;
  /** A fold through this entry was begun: the databases' own files may hold pages of entries after `position`, through this one (C5). */
  readonly foldingThrough?: Position;
  /** The number of the next database. */
  readonly nextDatabase: DatabaseId;
  readonly databases: readonly DatabaseRecord[];
  readonly receipts: readonly Receipt[];
};

/** A name for a new history. */
export function makeLogId(): string {
  return randomBytes(16).toString('hex');
}

/** The same state as the begin of a new history: another one may go on from it, and the two never mix. */
export function forkHistory(record: StateRecord): StateRecord {
  const { logId, origins = [] } = record;
  return { ...record, logId: makeLogId(), origins: [logId, ...origins].slice(0, limits.originsMax) };
}

/** What a new directory begins with. */
export function newState(): StateRecord {
  return { logId: makeLogId(), position: { epoch: 0, index: 0 }, nextDatabase: 1, databases: [], receipts: [] };
}

const format = 1;

/** The record as bytes. */
export function encodeState(record: StateRecord): Buffer {
  const json = JSON.stringify({ format, ...record }, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return Buffer.from(`${digestOf(json)}\n${json}\n`);
}

/** Reads what `encodeState` wrote. Throws STAGING_DAMAGED, or VERSION_MISMATCH for a newer format. */
export function decodeState(bytes: Buffer, path: string): StateRecord {
  const text = bytes.toString('utf8');
  const end = text.indexOf('\n');
  const json = text.slice(end + 1, -1);
  if (end < 0 || text.slice(0, end) !== digestOf(json)) {
    throw new BatonError('LOG_DAMAGED', `${path} is not what its digest says`, { hint: 'restore a backup' });
  }
  const record = JSON.parse(json) as StateRecord & { readonly format: number };
  if (record.format !== format) {
    throw new BatonError('VERSION_MISMATCH', `${path} has format ${record.format}, and this release reads ${format}`, {
      hint: 'start the release that wrote it, or a newer one',
    });
  }
  const { format: _, databases, ...rest } = record;
  return { ...rest, databases: databases.map(reviveDatabase) };
}

function reviveDatabase(database: DatabaseRecord): DatabaseRecord {
  const { closed } = database;
  return {
    ...database,
    checksum: BigInt(database.checksum),
    ...(closed === undefined ? {} : { closed: { ...closed, modifiedNs: BigInt(closed.modifiedNs) } }),
  };
}

/** The record of a directory. One that has none gets that of a new one, so that its log has one name from its first entry on. */
export function readState(layer: FileLayer, paths: Paths): StateRecord {
  const { state } = paths;
  const stat = layer.stat(state);
  if (stat === undefined) {
    const made = newState();
    writeState(layer, paths, made);
    return made;
  }
  const file = layer.open(state, 'read');
  try {
    const bytes = Buffer.alloc(stat.bytes);
    file.read(bytes, 0);
    return decodeState(bytes, state);
  } finally {
    file.close();
  }
}

/** Replaces the record. When this returns the new one lasts; before, the old one does. */
export function writeState(layer: FileLayer, { state, own }: Paths, record: StateRecord): void {
  const temporary = `${state}.new`;
  const bytes = encodeState(record);
  const file = layer.open(temporary, 'create');
  try {
    file.truncate(bytes.length);
    file.write(bytes, 0);
    file.sync();
  } finally {
    file.close();
  }
  layer.rename(temporary, state);
  layer.syncDirectory(own);
}

function digestOf(json: string): string {
  return blake3(json).toString('hex');
}
