import { blake3Hex } from '../blake3.ts';
import type { LogEntry, LogIndex } from './log.ts';

// The file log's record: bytes in, entries out; no I/O. Format 1, little-endian:
//
//   0  magic "BLOG"   4  format u16   6  zero u16   8  generation u64   16  index u64   24  syncedThrough u64   32  epoch u64
//  40  payload bytes u32   44  zero u32   48  BLAKE3 of bytes 0 to 47 and the payload, its first 16 bytes   64  payload
//
// A record begins at a multiple of blockBytes and zeros fill its last block. So writing one never touches a block that holds bytes of
// another, and a disk that tears blocks destroys nothing that was acknowledged.

/** The unit in which records are laid out, and what a disk is taken to write as one. */
export const blockBytes = 4096;
/** Bytes before the payload. */
export const recordHeaderBytes = 64;
/** The version of this format. */
const format = 1;
const magic = 0x474f4c42;
const digestOffset = 48;
const digestBytes = 16;

/** What a record says besides its payload. */
export type RecordHeader = {
  /** The segment's number: a recycled segment still holds records of an older one. */
  readonly generation: number;
  readonly index: LogIndex;
  /** Through which entry everything was on the disk when this record was written. */
  readonly syncedThrough: LogIndex;
  readonly epoch: number;
  readonly payloadBytes: number;
};

/** How much of a segment a payload takes. */
export function recordBytes(payloadBytes: number): number {
  return Math.ceil((recordHeaderBytes + payloadBytes) / blockBytes) * blockBytes;
}

/** Writes a record to the start of `into`, which is larger or as large as `recordBytes` says; returns the used part. */
export function encodeRecord(
  entry: LogEntry,
  { generation, syncedThrough }: Pick<RecordHeader, 'generation' | 'syncedThrough'>,
  into: Buffer,
): Buffer {
  const { length } = entry.payload;
  const record = into.subarray(0, recordBytes(length));
  record.writeUInt32LE(magic, 0);
  record.writeUInt32LE(format, 4);
  writeNumber(record, generation, 8);
  writeNumber(record, entry.index, 16);
  writeNumber(record, syncedThrough, 24);
  writeNumber(record, entry.epoch, 32);
  record.writeUInt32LE(length, 40);
  record.writeUInt32LE(0, 44);
  record.fill(0, digestOffset, recordHeaderBytes);
  record.set(entry.payload, recordHeaderBytes);
  record.fill(0, recordHeaderBytes + length);
  record.write(digestOf(record, length), digestOffset, 'hex');
  return record;
}

/**
 * The header at the start of a block, without regard to its digest; undefined: no record of this generation and format begins here, or
 * it would be longer than `bytesMax`.
 */
export function decodeHeader(block: Buffer, generation: number, bytesMax: number): RecordHeader | undefined {
  if (block.length < recordHeaderBytes || block.readUInt32LE(0) !== magic || block.readUInt32LE(4) !== format)
    return undefined;
  const header = {
    generation: readNumber(block, 8),
    index: readNumber(block, 16),
    syncedThrough: readNumber(block, 24),
    epoch: readNumber(block, 32),
    payloadBytes: block.readUInt32LE(40),
  };
  const isPossible =
    header.generation === generation &&
    header.index > 0 &&
    header.syncedThrough < header.index &&
    recordBytes(header.payloadBytes) <= bytesMax;
  return isPossible ? header : undefined;
}

/** True when a whole record is what its digest says. `record` is as long as `recordBytes` of its payload. */
export function isIntact(record: Buffer, payloadBytes: number): boolean {
  const stored = Buffer.from(record.subarray(digestOffset, recordHeaderBytes));
  record.fill(0, digestOffset, recordHeaderBytes);
  const isSame = stored.toString('hex') === digestOf(record, payloadBytes);
  record.set(stored, digestOffset);
  return isSame;
}

// The digest is taken with zeros in its own place. In hexadecimal.
function digestOf(record: Buffer, payloadBytes: number): string {
  return blake3Hex(record.subarray(0, recordHeaderBytes + payloadBytes)).slice(0, 2 * digestBytes);
}

function writeNumber(into: Buffer, value: number, offset: number): void {
  into.writeUInt32LE(value % 2 ** 32, offset);
  into.writeUInt32LE(Math.floor(value / 2 ** 32), offset + 4);
}

function readNumber(from: Buffer, offset: number): number {
  return from.readUInt32LE(offset) + from.readUInt32LE(offset + 4) * 2 ** 32;
}
