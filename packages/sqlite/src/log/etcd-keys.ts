import { BatonError } from '@batondb/core/errors';
import { blake3 } from '@napi-rs/blake-hash';
import type { Epoch, LogEntry, LogIndex } from './log.ts';

// What a log is in etcd: keys below its prefix, and what is in them. Bytes in, meaning out; no I/O. Format 1. All but entries is text, so that
// a person with etcdctl can see how the log stands.
//
//   meta       {"format":1,"logId":"…"}: this prefix is a log of ours, and of which history
//   epoch      the last epoch that was given to a leader
//   leader     {"session":"…","node":"…"}, bound to the leader's lease; its create_revision is the fence
//   head       "INDEX EPOCH BYTES": the newest entry, and the bytes of all entries ever
//   log/INDEX  an entry, its index in 16 digits:
//              0 format u32   4 epoch u64   12 bytes of all entries through this one u64   20 BLAKE3 of index, bytes 0 to 19 and payload, its
//              first 16 bytes   36 payload
//
// An entry is named by its epoch and index: no epoch is given twice, and a leader that does not know what became of an entry leads anew before it
// appends at that index again (E3).

const format = 1;
/** Above, it is no format of ours. */
const formatMax = 255;
const headerBytes = 36;
const digestOffset = 20;
const digestBytes = 16;
const digitsOfIndex = 16;

export class EtcdKeys {
  readonly prefix: string;
  readonly meta: string;
  readonly epoch: string;
  readonly leader: string;
  readonly head: string;
  readonly #log: string;

  constructor(prefix: string) {
    this.prefix = prefix;
    this.meta = `${prefix}meta`;
    this.epoch = `${prefix}epoch`;
    this.leader = `${prefix}leader`;
    this.head = `${prefix}head`;
    this.#log = `${prefix}log/`;
  }

  entry(index: LogIndex): string {
    return `${this.#log}${String(index).padStart(digitsOfIndex, '0')}`;
  }

  /** All entries after an index, as a range. */
  entriesAfter(index: LogIndex): { readonly key: string; readonly end: string } {
    return { key: this.entry(index + 1), end: `${this.#log}:` };
  }

  indexOf(key: Buffer): LogIndex {
    return Number(key.toString().slice(this.#log.length));
  }
}

/** Where a log ends. */
export type Head = { readonly index: LogIndex; readonly epoch: Epoch; readonly bytes: number };

export const emptyHead: Head = { index: 0, epoch: 0, bytes: 0 };

export function encodeHead({ index, epoch, bytes }: Head): string {
  return `${index} ${epoch} ${bytes}`;
}

/** Throws LOG_DAMAGED. */
export function decodeHead(value: Buffer | undefined, keys: EtcdKeys): Head {
  if (value === undefined) return emptyHead;
  const [, index, epoch, bytes] = /^(\d{1,15}) (\d{1,15}) (\d{1,15})$/.exec(value.toString()) ?? [];
  if (index === undefined) throw damaged(keys.head);
  return { index: Number(index), epoch: Number(epoch), bytes: Number(bytes) };
}

/** An entry as etcd has it. */
export type StoredEntry = LogEntry & {
  /** Bytes of all entries through this one. */
  readonly bytesThrough: number;
};

export function encodeEntry({ index, epoch, payload }: LogEntry, bytesThrough: number): Buffer {
  const value = Buffer.allocUnsafe(headerBytes + payload.length);
  value.writeUInt32LE(format, 0);
  value.writeBigUInt64LE(BigInt(epoch), 4);
  value.writeBigUInt64LE(BigInt(bytesThrough), 12);
  value.set(payload, headerBytes);
  value.set(digestOf(index, value), digestOffset);
  return value;
}

/** Throws LOG_DAMAGED for what is not as it was written, VERSION_MISMATCH for a newer format. */
export function decodeEntry(keys: EtcdKeys, key: Buffer, value: Buffer): StoredEntry {
  const index = keys.indexOf(key);
  const found = value.length < headerBytes ? 0 : value.readUInt32LE(0);
  if (found > format && found <= formatMax) {
    throw new BatonError(
      'VERSION_MISMATCH',
      `${key.toString()} has format ${found}, and this release reads ${format}`,
      {
        hint: 'start the release that wrote it, or a newer one',
      },
    );
  }
  const isIntact = found === format && digestOf(index, value).equals(value.subarray(digestOffset, headerBytes));
  if (!isIntact) throw damaged(key.toString());
  return {
    index,
    epoch: Number(value.readBigUInt64LE(4)),
    bytesThrough: Number(value.readBigUInt64LE(12)),
    payload: value.subarray(headerBytes),
  };
}

/** How many bytes an entry adds to the log. */
export function entryBytes(payload: Uint8Array): number {
  return headerBytes + payload.length;
}

export function encodeMeta(logId: string): string {
  return JSON.stringify({ format, logId });
}

/** The log's name; undefined: this is not what Baton writes. Throws VERSION_MISMATCH. */
export function decodeMeta(value: Buffer, keys: EtcdKeys): string | undefined {
  let meta: unknown;
  try {
    meta = JSON.parse(value.toString());
  } catch {
    return undefined;
  }
  const { format: found, logId } = meta as { readonly format?: unknown; readonly logId?: unknown };
  if (typeof found === 'number' && found > format) {
    throw new BatonError('VERSION_MISMATCH', `${keys.meta} has format ${found}, and this release reads ${format}`, {
      hint: 'start the release that wrote it, or a newer one',
    });
  }
  return found === format && typeof logId === 'string' ? logId : undefined;
}

function digestOf(index: LogIndex, value: Buffer): Buffer {
  const covered = Buffer.allocUnsafe(8 + value.length - digestBytes);
  covered.writeBigUInt64LE(BigInt(index), 0);
  value.copy(covered, 8, 0, digestOffset);
  value.copy(covered, 8 + digestOffset, headerBytes);
  return Buffer.from(blake3(covered)).subarray(0, digestBytes);
}

function damaged(key: string): BatonError {
  return new BatonError('LOG_DAMAGED', `${key} in etcd is not as it was written`, {
    hint: 'look who else writes below that prefix; restore a backup under another one',
  });
}
