import { crc32 } from 'node:zlib';
import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import { ByteReader, ByteWriter, digestBytes } from './bytes.ts';
import { type PieceChange, readChanges, writeChanges } from './changes.ts';
import { ChunkedInput } from './chunked-input.ts';
import { decodeManifestEnd, encodeManifestEnd, type ManifestEnd } from './messages.ts';

// The receiver's journal, codec only: "BATONJ", u8 version; then records of u8 type, u32 payload length, u32 CRC-32 over type and
// payload, payload. It is only ever appended to, so a crash can tear its tail and nothing else (P12).

const magic = Buffer.from('BATONJ', 'latin1');

export const journalFormatVersion = 1;

/** Length of what a journal begins with. Bytes. */
export const journalHeaderBytes: number = magic.length + 1;

/** Length of a record without its payload. Bytes. */
export const journalRecordHeaderBytes = 9;

const recordTypes = { job: 1, section: 2, manifestEnd: 3, unit: 4, commit: 5 } as const;

/** A JOB record names a source and a file: nothing in it is long. */
const jobBytesMax = 64 * 1024;

/** What is being received. Written first. */
export type JobRecord = {
  readonly type: 'job';
  /** Version of the staging directory's layout. */
  readonly formatVersion: number;
  /** The source as the user wrote it. */
  readonly source: string;
  /** The final name in the target directory, as bytes. */
  readonly name: Uint8Array;
  /** When the copy began, as ISO 8601. */
  readonly created: string;
};

/** A section of the manifest as it came. */
export type SectionRecord = { readonly type: 'section'; readonly payload: Uint8Array };
/** The manifest is complete. */
export type ManifestEndRecord = { readonly type: 'manifestEnd' } & ManifestEnd;
/** A unit whose content was written before this was. After a power failure it is a claim: the digest tells whether it holds (T2). */
export type UnitRecord = {
  readonly type: 'unit';
  readonly unit: number;
  readonly digest: Uint8Array;
  readonly changes: readonly PieceChange[];
};
/** Everything is there and verified; the staged tree with this identity is about to get its final name. */
export type CommitRecord = {
  readonly type: 'commit';
  readonly device: bigint;
  readonly inode: bigint;
  readonly treeDigest: Uint8Array;
};

export type JournalRecord = JobRecord | SectionRecord | ManifestEndRecord | UnitRecord | CommitRecord;

/** How a journal ended. Whatever the ending, the records before `validBytes` are usable and the file may be cut there. */
export type JournalEnd = {
  /** End of the last good record. Bytes. */
  readonly validBytes: number;
  /**
   * `torn`: the last record was not written to its end. `damaged`: something that is no tail is wrong, see `reason`.
   * `newer`: a later release wrote it, and nothing of it can be read.
   */
  readonly ending: 'whole' | 'torn' | 'damaged' | 'newer';
  /** What is wrong and at which offset, for a person. */
  readonly reason: string | undefined;
};

/** What a journal file begins with. */
export function encodeJournalHeader(): Uint8Array<ArrayBuffer> {
  return new ByteWriter(8).bytes(magic).u8(journalFormatVersion).toBytes();
}

/** A record as it is appended. Throws LIMIT when the payload would not be read back. */
export function encodeJournalRecord(record: JournalRecord): Uint8Array<ArrayBuffer> {
  const payload = encodePayload(record);
  if (payload.length > limits.frameBytesMax) {
    throw new BatonError(
      'LIMIT',
      `journal ${record.type}: length is ${payload.length}, but the limit is ${limits.frameBytesMax}`,
    );
  }
  const type = recordTypes[record.type];
  return new ByteWriter(journalRecordHeaderBytes + payload.length)
    .u8(type)
    .u32(payload.length)
    .u32(checksum(type, payload))
    .bytes(payload)
    .toBytes();
}

function encodePayload(record: JournalRecord): Uint8Array {
  switch (record.type) {
    case 'job':
      return encodeJob(record);
    case 'section':
      return record.payload;
    case 'manifestEnd':
      return encodeManifestEnd(record);
    case 'unit': {
      const writer = new ByteWriter(48).u32(record.unit).bytes(record.digest);
      writeChanges(writer, record.changes);
      return writer.view();
    }
    case 'commit':
      return new ByteWriter(48).u64(record.device).u64(record.inode).bytes(record.treeDigest).view();
  }
}

function encodeJob({ formatVersion, source, name, created }: JobRecord): Uint8Array {
  return Buffer.from(JSON.stringify({ formatVersion, source, name: Buffer.from(name).toString('base64'), created }));
}

/**
 * Reads a journal from chunks of any size, yielding its records; returns how it ended. Throws nothing of its own.
 * It holds at most one record (4 MiB) and one chunk.
 *
 * Torn is what a crash can leave: a last record that is cut off or does not fit its checksum, and zeros up to the end.
 */
export function* decodeJournal(chunks: Iterable<Uint8Array>): Generator<JournalRecord, JournalEnd> {
  const input = new ChunkedInput(chunks);
  if (!input.fill(journalHeaderBytes))
    return ended(0, 'torn', `the header is ${input.available} bytes long instead of ${journalHeaderBytes}`);
  const header = input.take(journalHeaderBytes);
  if (!magic.equals(header.subarray(0, magic.length)))
    return ended(0, 'damaged', 'magic at offset 0 is not that of a journal');
  const version = header[magic.length] ?? 0;
  if (version !== journalFormatVersion)
    return ended(
      0,
      version > journalFormatVersion ? 'newer' : 'damaged',
      `format version at offset 0 is ${version}, but this build reads ${journalFormatVersion}`,
    );
  for (let offset = journalHeaderBytes; ; ) {
    if (!input.fill(journalRecordHeaderBytes)) {
      return input.available === 0
        ? ended(offset, 'whole', undefined)
        : ended(offset, 'torn', `record header at offset ${offset} is cut off`);
    }
    const head = new ByteReader(input.peek(journalRecordHeaderBytes), 'journal');
    const type = head.u8('type');
    const length = head.u32('length');
    const expected = head.u32('checksum');
    if (length > limits.frameBytesMax)
      return ended(
        offset,
        'damaged',
        `length at offset ${offset} is ${length}, but the limit is ${limits.frameBytesMax}`,
      );
    if (type === 0)
      return ended(
        offset,
        input.restIsZero() ? 'torn' : 'damaged',
        `type at offset ${offset} is 0, which no record has`,
      );
    if (!input.fill(journalRecordHeaderBytes + length))
      return ended(offset, 'torn', `record at offset ${offset} is cut off`);
    const payload = input.take(journalRecordHeaderBytes + length).subarray(journalRecordHeaderBytes);
    const found = checksum(type, payload);
    if (found !== expected) {
      return ended(
        offset,
        input.restIsZero() ? 'torn' : 'damaged',
        `checksum at offset ${offset} is ${found}, but ${expected} was written`,
      );
    }
    const record = tryDecodePayload(type, payload);
    if (record instanceof BatonError) return ended(offset, 'damaged', `record at offset ${offset}: ${record.message}`);
    yield record;
    offset += journalRecordHeaderBytes + length;
  }
}

function ended(validBytes: number, ending: JournalEnd['ending'], reason: string | undefined): JournalEnd {
  return { validBytes, ending, reason };
}

function tryDecodePayload(type: number, payload: Uint8Array): JournalRecord | BatonError {
  try {
    return decodePayload(type, payload);
  } catch (error) {
    if (error instanceof BatonError) return error;
    throw error;
  }
}

function decodePayload(type: number, payload: Uint8Array): JournalRecord {
  if (type === recordTypes.job) return decodeJob(payload);
  if (type === recordTypes.section) return { type: 'section', payload: new Uint8Array(payload) };
  if (type === recordTypes.manifestEnd) return { type: 'manifestEnd', ...decodeManifestEnd(payload) };
  const reader = new ByteReader(payload, 'journal');
  if (type === recordTypes.unit) {
    const unit = reader.u32('unit');
    const digest = reader.bytes(digestBytes, 'digest');
    const changes = readChanges(reader);
    reader.finish();
    return { type: 'unit', unit, digest, changes };
  }
  if (type === recordTypes.commit) {
    const device = reader.u64('device');
    const inode = reader.u64('inode');
    const treeDigest = reader.bytes(digestBytes, 'tree digest');
    reader.finish();
    return { type: 'commit', device, inode, treeDigest };
  }
  throw reader.protocolError('type', type, 'only 1 to 5 are known');
}

function decodeJob(payload: Uint8Array): JobRecord {
  const reader = new ByteReader(payload, 'journal job');
  if (payload.length > jobBytesMax) throw reader.limitError('length', payload.length, jobBytesMax);
  const fields = parseObject(Buffer.from(payload).toString('utf8'));
  const { formatVersion, source, name, created } = fields;
  if (typeof formatVersion !== 'number')
    throw reader.protocolError('formatVersion', typeof formatVersion, 'it must be a number');
  if (typeof source !== 'string') throw reader.protocolError('source', typeof source, 'it must be text');
  if (typeof name !== 'string') throw reader.protocolError('name', typeof name, 'it must be base64 text');
  if (typeof created !== 'string') throw reader.protocolError('created', typeof created, 'it must be text');
  return { type: 'job', formatVersion, source, name: new Uint8Array(Buffer.from(name, 'base64')), created };
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new BatonError('PROTOCOL', 'journal job: payload is not a JSON object');
}

function checksum(type: number, payload: Uint8Array): number {
  return crc32(payload, crc32(Uint8Array.of(type)));
}
