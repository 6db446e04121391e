// Writes what pgoutput writes, from the messages that our decoder is to give back. Shares no code with it.
import type { PgoutputMessage, TwoPhaseMessage } from '../src/postgres/pgoutput-messages.ts';
import type { Row } from '../src/table.ts';

const epochMs = Date.UTC(2000, 0, 1);

const u8 = (value: number) => Buffer.from([value]);
const u16 = (value: number) => Buffer.from([value >> 8, value & 0xff]);
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
function time(ms: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(Math.round((ms - epochMs) * 1000)));
  return bytes;
}
const string = (text: string) => Buffer.from(`${text}\0`);
const letter = (text: string) => Buffer.from(text, 'latin1');

export function encodeRow(row: Row): Buffer {
  const parts: Buffer[] = [u16(row.length)];
  for (const field of row) {
    if (field === null) parts.push(letter('n'));
    else if (field === undefined) parts.push(letter('u'));
    else parts.push(letter('t'), u32(Buffer.byteLength(field)), Buffer.from(field));
  }
  return Buffer.concat(parts);
}

const identityLetters = { default: 'd', nothing: 'n', full: 'f', index: 'i' } as const;
const twoPhaseLetters = {
  beginPrepare: 'b',
  prepare: 'P',
  commitPrepared: 'K',
  rollbackPrepared: 'r',
  streamPrepare: 'p',
} as const;

/** A message with an `xid` that may be undefined is one of a streamed transaction when it has one. */
export function encodeMessage(message: PgoutputMessage): Buffer {
  return Buffer.concat(partsOf(message));
}

function partsOf(message: PgoutputMessage): Buffer[] {
  const xid = 'xid' in message && message.xid !== undefined ? [u32(message.xid)] : [];
  switch (message.kind) {
    case 'begin':
      return [letter('B'), u64(message.finalLsn), time(message.committedAtMs), u32(message.xid)];
    case 'commit':
      return [letter('C'), u8(0), u64(message.commitLsn), u64(message.endLsn), time(message.committedAtMs)];
    case 'message': {
      const { isTransactional, lsn, prefix, content } = message;
      return [letter('M'), ...xid, u8(isTransactional ? 1 : 0), u64(lsn), string(prefix), u32(content.length), content];
    }
    case 'origin':
      return [letter('O'), u64(message.lsn), string(message.name)];
    case 'relation': {
      const { relation, schema, name, identity, columns } = message;
      const described = columns.flatMap((column) => [
        u8(column.isKey ? 1 : 0),
        string(column.name),
        u32(column.typeOid),
        u32(column.typeModifier),
      ]);
      const named = [string(schema === 'pg_catalog' ? '' : schema), string(name)];
      const head = [letter('R'), ...xid, u32(relation), ...named];
      return [...head, letter(identityLetters[identity]), u16(columns.length), ...described];
    }
    case 'type':
      return [letter('Y'), ...xid, u32(message.type), string(message.schema), string(message.name)];
    case 'insert':
      return [letter('I'), ...xid, u32(message.relation), letter('N'), encodeRow(message.row)];
    case 'update': {
      const old =
        message.old === undefined ? [] : [letter(message.oldKind === 'key' ? 'K' : 'O'), encodeRow(message.old)];
      return [letter('U'), ...xid, u32(message.relation), ...old, letter('N'), encodeRow(message.row)];
    }
    case 'delete':
      return [
        letter('D'),
        ...xid,
        u32(message.relation),
        letter(message.oldKind === 'key' ? 'K' : 'O'),
        encodeRow(message.old),
      ];
    case 'truncate': {
      const flags = (message.isCascade ? 1 : 0) | (message.restartsIdentity ? 2 : 0);
      return [letter('T'), ...xid, u32(message.relations.length), u8(flags), ...message.relations.map(u32)];
    }
    case 'streamStart':
      return [letter('S'), u32(message.xid), u8(message.isFirst ? 1 : 0)];
    case 'streamStop':
      return [letter('E')];
    case 'streamCommit': {
      const { commitLsn, endLsn, committedAtMs } = message;
      return [letter('c'), u32(message.xid), u8(0), u64(commitLsn), u64(endLsn), time(committedAtMs)];
    }
    case 'streamAbort': {
      const { abortLsn, abortedAtMs } = message;
      const long = abortLsn === undefined || abortedAtMs === undefined ? [] : [u64(abortLsn), time(abortedAtMs)];
      return [letter('A'), u32(message.xid), u32(message.subtransaction), ...long];
    }
    default:
      return twoPhaseParts(message);
  }
}

function twoPhaseParts(message: TwoPhaseMessage): Buffer[] {
  const flags = message.kind === 'beginPrepare' ? [] : [u8(0)];
  const times = [message.preparedAtMs, message.endedAtMs].flatMap((ms) => (ms === undefined ? [] : [time(ms)]));
  const head = [letter(twoPhaseLetters[message.kind]), ...flags, u64(message.lsn), u64(message.endLsn)];
  return [...head, ...times, u32(message.xid), string(message.transactionName)];
}
