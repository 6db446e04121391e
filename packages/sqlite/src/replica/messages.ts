import { BatonError, type ErrorRecord } from '@batondb/core/errors';
import { blake3 } from '@napi-rs/blake-hash';
import { limits } from '../limits.ts';
import type { LogEntry } from '../log/log.ts';
import { Reader, Writer } from '../machine/bytes.ts';
import type { Position } from '../machine/position.ts';

// What a leader and a follower say to one another: bytes in, messages out; no I/O. Version 1, little-endian, as docs/protocol/replica.md has it.
// A message is its length as u32, its type as u8, and its body. Entries carry a digest, since a connection without TLS has weak checksums only,
// and a page that was damaged on the way would be found by nobody.

/** Versions of this protocol that this release speaks. */
export const versions: VersionRange = { min: 1, max: 1 };

export type VersionRange = { readonly min: number; readonly max: number };

/** The follower's first message. */
export type Hello = {
  readonly type: 'hello';
  readonly versions: VersionRange;
  /** Of the running node, made when it starts: who follows itself through others is told so. */
  readonly nodeId: string;
  /** The log of the follower's directory; empty: it is new, and takes any. */
  readonly logId: string;
  readonly position: Position;
  /** Of the state at the position, as `stateDigest` has it: two histories may look alike from outside. */
  readonly state: string;
  /** What people call the follower. */
  readonly name: string;
  /** How often it wants to hear where the leader is. */
  readonly pingMs: number;
};

/**
 * What a leader answers. `continue`: entries after the follower's position follow; `snapshot`: the log does not reach back to it; `diverged`: it
 * has something that the leader has not; `wait`: the leader cannot say yet; `other-log`, `loop` and `version`: never.
 */
export type Verdict = 'continue' | 'snapshot' | 'diverged' | 'wait' | 'other-log' | 'loop' | 'version';

/** The leader's only answer to a hello. */
export type Answer = {
  readonly type: 'answer';
  readonly verdict: Verdict;
  readonly version: number;
  readonly logId: string;
  /** Where the leader is. */
  readonly position: Position;
  /** The node that answers, the one it follows, and so on, as far as is known. */
  readonly upstream: readonly string[];
  /** Why, for people. */
  readonly reason: string;
};

/** Entries, and where the leader was when they were read. */
export type Batch = { readonly type: 'entries'; readonly leader: Position; readonly entries: readonly LogEntry[] };
/** Where the leader is and, as `stateDigest` has it, what is there: said when there is nothing else to say. */
export type Ping = { readonly type: 'ping'; readonly leader: Position; readonly state: string };
/** Through where the follower has applied everything: after each batch, and as a sign of life. */
export type Ack = { readonly type: 'ack'; readonly position: Position };
/** The last message, and why it is. */
export type End = { readonly type: 'end'; readonly error: ErrorRecord };

export type Message = Hello | Answer | Batch | Ping | Ack | End;

const types = { hello: 1, answer: 2, entries: 3, ping: 4, ack: 5, end: 6 } as const;
const verdicts: readonly Verdict[] = ['continue', 'snapshot', 'diverged', 'wait', 'other-log', 'loop', 'version'];
/** Bytes of a message before its body. */
export const headBytes = 5;
const digestBytes = 16;
const positionBytes = 16;
/** index, epoch, payload bytes. */
const entryHeadBytes = 20;
const textBytesMax = 2048;

/** A message as bytes, its length included. */
export function encodeMessage(message: Message): Buffer {
  if (message.type === 'entries') return encodeBatch(message);
  const writer = new Writer(limits.replicaTextBytesMax);
  writer.u32(0);
  writer.u8(types[message.type]);
  encodeBody(writer, message);
  const bytes = writer.done();
  bytes.writeUInt32LE(bytes.length - 4, 0);
  return bytes;
}

function encodeBody(writer: Writer, message: Exclude<Message, Batch>): void {
  switch (message.type) {
    case 'hello':
      writer.u16(message.versions.min);
      writer.u16(message.versions.max);
      writer.text(message.nodeId);
      writer.text(message.logId);
      writePosition(writer, message.position);
      writer.text(message.state);
      writer.text(message.name.slice(0, 100));
      writer.u32(message.pingMs);
      return;
    case 'answer':
      writer.u8(verdicts.indexOf(message.verdict));
      writer.u16(message.version);
      writer.text(message.logId);
      writePosition(writer, message.position);
      writer.u16(message.upstream.length);
      for (const node of message.upstream) writer.text(node);
      writer.text(message.reason.slice(0, textBytesMax / 4));
      return;
    case 'ping':
      writePosition(writer, message.leader);
      writer.text(message.state);
      return;
    case 'ack':
      writePosition(writer, message.position);
      return;
    case 'end': {
      const { code, message: sentence, retryable, hint } = message.error;
      writer.text(code);
      writer.text(sentence.slice(0, textBytesMax / 4));
      writer.text(hint?.slice(0, textBytesMax / 4) ?? '');
      writer.u8(retryable ? 1 : 0);
    }
  }
}

function encodeBatch({ leader, entries }: Batch): Buffer {
  const bytes = entries.reduce((sum, { payload }) => sum + entryHeadBytes + payload.length, 0);
  const bodyBytes = digestBytes + positionBytes + 4 + bytes;
  const writer = new Writer(headBytes + bodyBytes);
  writer.u32(bodyBytes + 1);
  writer.u8(types.entries);
  const digest = writer.room(digestBytes);
  writePosition(writer, leader);
  writer.u32(entries.length);
  for (const { index, epoch, payload } of entries) {
    writer.u64(index);
    writer.u64(epoch);
    writer.u32(payload.length);
    writer.room(payload.length).set(payload);
  }
  const encoded = writer.done();
  digest.set(digestOf(encoded.subarray(headBytes + digestBytes)));
  return encoded;
}

/** The type of a message, which has to be one of the allowed ones. Throws PROTOCOL. */
export function expectType<T extends Message['type']>(message: Buffer, ...allowed: readonly T[]): T {
  const found = allowed.find((type) => types[type] === message[0]);
  if (found === undefined)
    throw new BatonError('PROTOCOL', `a message of type ${message[0]} came where ${allowed.join(' or ')} was due`);
  return found;
}

/** Where the leader is, by a message with entries or a ping. Throws PROTOCOL. */
export function leaderOf(message: Buffer): Position {
  const reader = new Reader(message);
  const type = reader.u8();
  if (type === types.entries) reader.skip(digestBytes);
  return readPosition(reader);
}

/** Reads a message without its length. Payloads are views of it. Throws PROTOCOL, DIGEST_MISMATCH. */
export function decodeMessage(message: Buffer): Message {
  const reader = new Reader(message);
  const type = reader.u8();
  const decoded = decodeBody(type, reader, message);
  reader.end();
  return decoded;
}

function decodeBody(type: number, reader: Reader, message: Buffer): Message {
  switch (type) {
    case types.hello:
      return {
        type: 'hello',
        versions: { min: reader.u16(), max: reader.u16() },
        nodeId: reader.text(textBytesMax),
        logId: reader.text(textBytesMax),
        position: readPosition(reader),
        state: reader.text(textBytesMax),
        name: reader.text(textBytesMax),
        pingMs: reader.u32(),
      };
    case types.answer:
      return {
        type: 'answer',
        verdict: readVerdict(reader),
        version: reader.u16(),
        logId: reader.text(textBytesMax),
        position: readPosition(reader),
        upstream: readUpstream(reader),
        reason: reader.text(textBytesMax),
      };
    case types.entries:
      return readBatch(reader, message);
    case types.ping:
      return { type: 'ping', leader: readPosition(reader), state: reader.text(textBytesMax) };
    case types.ack:
      return { type: 'ack', position: readPosition(reader) };
    case types.end:
      return { type: 'end', error: readError(reader) };
    default:
      throw new BatonError('PROTOCOL', `a message has the unknown type ${type}`);
  }
}

function readBatch(reader: Reader, message: Buffer): Batch {
  const stored = message.subarray(reader.skip(digestBytes), 1 + digestBytes);
  if (!stored.equals(digestOf(message.subarray(1 + digestBytes))))
    throw new BatonError('DIGEST_MISMATCH', 'entries of the log were damaged on the way', { retryable: true });
  const leader = readPosition(reader);
  const count = reader.u32();
  reader.expect(count * entryHeadBytes);
  const entries = Array.from({ length: count }, () => {
    const [index, epoch, bytes] = [reader.u64(), reader.u64(), reader.u32()];
    const at = reader.skip(bytes);
    return { index, epoch, payload: message.subarray(at, at + bytes) };
  });
  return { type: 'entries', leader, entries };
}

function readVerdict(reader: Reader): Verdict {
  const number = reader.u8();
  const verdict = verdicts[number];
  if (verdict === undefined) throw new BatonError('PROTOCOL', `an answer has the unknown verdict ${number}`);
  return verdict;
}

function readUpstream(reader: Reader): string[] {
  const count = reader.u16();
  if (count > limits.upstreamMax)
    throw new BatonError('LIMIT', `${count} nodes are before this one, and at most ${limits.upstreamMax} may be`);
  return Array.from({ length: count }, () => reader.text(textBytesMax));
}

function readError(reader: Reader): ErrorRecord {
  const [code, message, hint] = [reader.text(textBytesMax), reader.text(textBytesMax), reader.text(textBytesMax)];
  const retryable = reader.u8() === 1;
  // fromErrorRecord makes a known code of it.
  return { code: code as ErrorRecord['code'], message, retryable, ...(hint === '' ? {} : { hint }) };
}

function writePosition(writer: Writer, { epoch, index }: Position): void {
  writer.u64(epoch);
  writer.u64(index);
}

function readPosition(reader: Reader): Position {
  return { epoch: reader.u64(), index: reader.u64() };
}

function digestOf(bytes: Buffer): Buffer {
  return blake3(bytes).subarray(0, digestBytes);
}
