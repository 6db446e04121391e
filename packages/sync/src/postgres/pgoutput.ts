import { BatonError } from '@batondb/core/errors';
import { ByteReader } from './bytes.ts';
import { postgresLimits } from './limits.ts';
import type {
  DeleteMessage,
  EmittedMessage,
  InsertMessage,
  PgoutputMessage,
  RelationColumn,
  RelationMessage,
  StreamAbortMessage,
  TruncateMessage,
  TwoPhaseMessage,
  TypeMessage,
  UpdateMessage,
} from './pgoutput-messages.ts';
import { readTuple } from './pgoutput-tuple.ts';

// The messages of the plugin pgoutput, protocol versions 1 to 4, as in "Logical Replication Message Formats" of PostgreSQL's documentation. Pure.
// Not checked: that messages come in an order that makes sense, that relations are known, that a row has as many columns as its relation.

/** By the first byte of a message. */
const kinds = new Map<number, PgoutputMessage['kind']>([
  [0x42, 'begin'],
  [0x43, 'commit'],
  [0x4d, 'message'],
  [0x4f, 'origin'],
  [0x52, 'relation'],
  [0x59, 'type'],
  [0x49, 'insert'],
  [0x55, 'update'],
  [0x44, 'delete'],
  [0x54, 'truncate'],
  [0x53, 'streamStart'],
  [0x45, 'streamStop'],
  [0x63, 'streamCommit'],
  [0x41, 'streamAbort'],
  [0x62, 'beginPrepare'],
  [0x50, 'prepare'],
  [0x4b, 'commitPrepared'],
  [0x72, 'rollbackPrepared'],
  [0x70, 'streamPrepare'],
]);
const byKind = Array.from({ length: 256 }, (_, byte) => kinds.get(byte));
const withXid: ReadonlySet<string> = new Set(['message', 'relation', 'type', 'insert', 'update', 'delete', 'truncate']);
const identities = new Map<number, RelationMessage['identity']>([
  [0x64, 'default'],
  [0x6e, 'nothing'],
  [0x66, 'full'],
  [0x69, 'index'],
]);
const tuples = { key: 0x4b, old: 0x4f, new: 0x4e } as const;

/** What is told of a message without decoding it. */
export type Skimmed = {
  readonly kind: PgoutputMessage['kind'];
  /** Of a change inside of a streamed transaction: whose it is. */
  readonly xid: number | undefined;
};

/** The kind of the message from `at` on, and its transaction: enough to put it aside. Throws PROTOCOL. */
export function skimMessage(bytes: Buffer, at: number, isStreamed: boolean, end: number = bytes.length): Skimmed {
  const kind = kindOf(bytes, at, end);
  if (!isStreamed || !withXid.has(kind)) return { kind, xid: undefined };
  return { kind, xid: new ByteReader(bytes, at + 1, end, kind).u32() };
}

/**
 * The message that fills `bytes` from `at` to `end`. `isStreamed`: between Stream Start and Stream Stop, where changes carry their transaction. Strings are copied;
 * the content of an emitted message is a view. Throws PROTOCOL for whatever is no such message.
 */
export function decodeMessage(
  bytes: Buffer,
  at: number,
  isStreamed: boolean,
  end: number = bytes.length,
): PgoutputMessage {
  const kind = kindOf(bytes, at, end);
  const reader = new ByteReader(bytes, at + 1, end, kind);
  const message = read(kind, reader, isStreamed);
  reader.finish();
  return message;
}

function kindOf(bytes: Buffer, at: number, end: number): PgoutputMessage['kind'] {
  const byte = at < end ? bytes[at] : undefined;
  if (byte === undefined) throw new BatonError('PROTOCOL', 'a message of pgoutput is empty');
  const kind = byKind[byte];
  if (kind === undefined) {
    throw new BatonError('PROTOCOL', `a message of pgoutput is of the unknown kind ${byte}`, {
      hint: 'the server speaks a newer protocol than was asked for',
    });
  }
  return kind;
}

function read(kind: PgoutputMessage['kind'], reader: ByteReader, isStreamed: boolean): PgoutputMessage {
  switch (kind) {
    case 'insert':
      return readInsert(reader, readXid(reader, isStreamed));
    case 'update':
      return readUpdate(reader, readXid(reader, isStreamed));
    case 'delete':
      return readDelete(reader, readXid(reader, isStreamed));
    case 'begin':
      return { kind, finalLsn: reader.u64(), committedAtMs: reader.timeMs(), xid: reader.u32() };
    case 'commit':
      reader.u8();
      return { kind, commitLsn: reader.u64(), endLsn: reader.u64(), committedAtMs: reader.timeMs() };
    case 'relation':
      return readRelation(reader, readXid(reader, isStreamed));
    case 'type':
      return readType(reader, readXid(reader, isStreamed));
    case 'truncate':
      return readTruncate(reader, readXid(reader, isStreamed));
    case 'message':
      return readEmitted(reader, readXid(reader, isStreamed));
    case 'origin':
      return { kind, lsn: reader.u64(), name: reader.string() };
    case 'streamStart':
      return { kind, xid: reader.u32(), isFirst: reader.u8() === 1 };
    case 'streamStop':
      return { kind };
    case 'streamCommit': {
      const xid = reader.u32();
      reader.u8();
      return { kind, xid, commitLsn: reader.u64(), endLsn: reader.u64(), committedAtMs: reader.timeMs() };
    }
    case 'streamAbort':
      return readStreamAbort(reader);
    case 'beginPrepare':
    case 'prepare':
    case 'commitPrepared':
    case 'rollbackPrepared':
    case 'streamPrepare':
      return readTwoPhase(kind, reader);
  }
}

function readXid(reader: ByteReader, isStreamed: boolean): number | undefined {
  return isStreamed ? reader.u32() : undefined;
}

function readInsert(reader: ByteReader, xid: number | undefined): InsertMessage {
  const relation = reader.u32();
  expectNew(reader, reader.u8());
  return { kind: 'insert', xid, relation, row: readTuple(reader) };
}

function readUpdate(reader: ByteReader, xid: number | undefined): UpdateMessage {
  const relation = reader.u32();
  const letter = reader.u8();
  if (letter === tuples.new) {
    return { kind: 'update', xid, relation, oldKind: undefined, old: undefined, row: readTuple(reader) };
  }
  const oldKind = oldKindOf(reader, letter);
  const old = readTuple(reader);
  expectNew(reader, reader.u8());
  return { kind: 'update', xid, relation, oldKind, old, row: readTuple(reader) };
}

function readDelete(reader: ByteReader, xid: number | undefined): DeleteMessage {
  const relation = reader.u32();
  const oldKind = oldKindOf(reader, reader.u8());
  return { kind: 'delete', xid, relation, oldKind, old: readTuple(reader) };
}

function expectNew(reader: ByteReader, letter: number): void {
  if (letter !== tuples.new) throw unknownValue(reader, 'a new row', letter);
}

function oldKindOf(reader: ByteReader, letter: number): 'key' | 'row' {
  if (letter === tuples.key) return 'key';
  if (letter === tuples.old) return 'row';
  throw unknownValue(reader, 'an old row', letter);
}

function readRelation(reader: ByteReader, xid: number | undefined): RelationMessage {
  const relation = reader.u32();
  const schema = reader.string();
  const name = reader.string();
  const letter = reader.u8();
  const identity = identities.get(letter);
  if (identity === undefined) throw unknownValue(reader, 'a replica identity', letter);
  const count = reader.u16();
  if (count > postgresLimits.columnsMax) throw unknownValue(reader, 'a number of columns', count);
  const columns: RelationColumn[] = [];
  for (let column = 0; column < count; column++) {
    const isKey = (reader.u8() & 1) === 1;
    columns.push({ isKey, name: reader.string(), typeOid: reader.u32(), typeModifier: reader.i32() });
  }
  // The schema of system tables is sent empty.
  return { kind: 'relation', xid, relation, schema: schema === '' ? 'pg_catalog' : schema, name, identity, columns };
}

function readType(reader: ByteReader, xid: number | undefined): TypeMessage {
  const type = reader.u32();
  const schema = reader.string();
  return { kind: 'type', xid, type, schema: schema === '' ? 'pg_catalog' : schema, name: reader.string() };
}

function readTruncate(reader: ByteReader, xid: number | undefined): TruncateMessage {
  const count = reader.u32();
  if (count > postgresLimits.truncatedMax) throw unknownValue(reader, 'a number of tables', count);
  const flags = reader.u8();
  const relations: number[] = [];
  for (let place = 0; place < count; place++) relations.push(reader.u32());
  return { kind: 'truncate', xid, isCascade: (flags & 1) !== 0, restartsIdentity: (flags & 2) !== 0, relations };
}

function readEmitted(reader: ByteReader, xid: number | undefined): EmittedMessage {
  const isTransactional = (reader.u8() & 1) === 1;
  const lsn = reader.u64();
  const prefix = reader.string();
  const length = reader.u32();
  const at = reader.take(length, 'a content');
  return { kind: 'message', xid, isTransactional, lsn, prefix, content: reader.bytes.subarray(at, at + length) };
}

function readStreamAbort(reader: ByteReader): StreamAbortMessage {
  const xid = reader.u32();
  const subtransaction = reader.u32();
  const isLong = reader.at < reader.end;
  const abortLsn = isLong ? reader.u64() : undefined;
  return { kind: 'streamAbort', xid, subtransaction, abortLsn, abortedAtMs: isLong ? reader.timeMs() : undefined };
}

function readTwoPhase(kind: TwoPhaseMessage['kind'], reader: ByteReader): TwoPhaseMessage {
  if (kind !== 'beginPrepare') reader.u8();
  const lsn = reader.u64();
  const endLsn = reader.u64();
  const first = reader.timeMs();
  const isCommit = kind === 'commitPrepared';
  const preparedAtMs = isCommit ? undefined : first;
  const endedAtMs = isCommit ? first : kind === 'rollbackPrepared' ? reader.timeMs() : undefined;
  return { kind, lsn, endLsn, preparedAtMs, endedAtMs, xid: reader.u32(), transactionName: reader.string() };
}

function unknownValue(reader: ByteReader, what: string, found: number): BatonError {
  return new BatonError('PROTOCOL', `${reader.subject} has ${found} where it says ${what}, which is not known`);
}
