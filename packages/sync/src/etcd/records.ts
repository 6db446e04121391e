import { BatonError } from '@batondb/core/errors';
import type { TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import type { TableName } from '../table.ts';
import { escapePart } from './key-parts.ts';

// What a sink remembers in etcd, beside the rows: keys below a prefix, and JSON in them. Format 1. No I/O.

const version = 1;

/** Where the sink is. Put by every transaction that changes what readers may see. */
export type Place = {
  readonly position: Position;
  /** Tables are not at one position. */
  readonly open: boolean;
  /** While open: the newest revision at which they were. Undefined: there was none. */
  readonly closedRevision?: number | undefined;
  /** A part of the transaction behind `position` is in the data; at this revision nothing of it was. */
  readonly partAfter?: number | undefined;
};

export type Format = { readonly version: number; readonly layout: string; readonly envelope: boolean };

export class MetaKeys {
  readonly prefix: string;
  readonly format: string;
  readonly pos: string;
  readonly owner: string;
  /** Begins the keys of tables' records. */
  readonly tables: string;
  readonly errors: string;

  constructor(prefix: string) {
    this.prefix = prefix;
    this.format = `${prefix}format`;
    this.pos = `${prefix}pos`;
    this.owner = `${prefix}owner`;
    this.tables = `${prefix}tables/`;
    this.errors = `${prefix}errors/`;
  }

  table({ schema, name }: TableName): string {
    return `${this.tables}${escapePart(schema)}/${escapePart(name)}`;
  }

  error({ schema, name }: TableName, digest: string): string {
    return `${this.errors}${escapePart(schema)}/${escapePart(name)}/${digest}`;
  }
}

export function encodePlace({ position, open, closedRevision, partAfter }: Place): string {
  return JSON.stringify({ version, position, open, closedRevision, partAfter });
}

/** Throws VERSION_MISMATCH, PROTOCOL. */
export function decodePlace(value: Buffer, key: string): Place {
  const { position, open, closedRevision, partAfter } = decode(value, key) as Partial<Place>;
  if (typeof position !== 'string' || typeof open !== 'boolean') throw unreadable(key);
  return { position, open, closedRevision, partAfter };
}

export function encodeFormat(format: Omit<Format, 'version'>): string {
  return JSON.stringify({ version, ...format });
}

/** Throws VERSION_MISMATCH, PROTOCOL. */
export function decodeFormat(value: Buffer, key: string): Format {
  const { layout, envelope } = decode(value, key) as Partial<Format>;
  if (typeof layout !== 'string') throw unreadable(key);
  return { version, layout, envelope: envelope ?? false };
}

export function encodeRecord(record: TableRecord): string {
  return JSON.stringify({ version, ...record });
}

/** Throws VERSION_MISMATCH, PROTOCOL. */
export function decodeRecord(value: Buffer, key: string): TableRecord {
  const { version: _, ...record } = decode(value, key) as TableRecord & { readonly version: number };
  if (typeof record.name !== 'string' || !Array.isArray(record.columns) || !Array.isArray(record.key)) {
    throw unreadable(key);
  }
  return { ...record, dumpedAt: record.dumpedAt };
}

function decode(value: Buffer, key: string): object {
  let decoded: unknown;
  try {
    decoded = JSON.parse(value.toString());
  } catch {
    throw unreadable(key);
  }
  if (typeof decoded !== 'object' || decoded === null || !('version' in decoded)) throw unreadable(key);
  if (decoded.version !== version) {
    throw new BatonError(
      'VERSION_MISMATCH',
      `${key} has format ${String(decoded.version)}, and this release reads ${version}`,
      { hint: 'start the release that wrote it, or a newer one' },
    );
  }
  return decoded;
}

function unreadable(key: string): BatonError {
  return new BatonError('PROTOCOL', `${key} in etcd is not what Baton writes`, {
    hint: 'look who else writes below that prefix',
  });
}
