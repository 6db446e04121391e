import { ByteReader, ByteWriter } from './bytes.ts';
import { dataVersions } from './versions.ts';

// The first frame in each direction. What comes first in HELLO, up to the version, never changes its place.

const magic = Buffer.from('BATN', 'latin1');

/** Length of a job's id. Bytes. */
export const jobIdBytes = 16;
/** Length of the value that ties HELLO to its very connection (RFC 9266 calls such a value a channel binding). Bytes. */
export const bindingBytes = 32;

const purposeCodes = { data: 0, probe: 1 } as const;

export type Hello = {
  readonly version: number;
  readonly jobId: Uint8Array;
  /** Numbers of the sender and of the receiver in the job's list of members. */
  readonly from: number;
  readonly to: number;
  /** Number of the route that the coordinator gave out; it grows with every rerouting. */
  readonly epoch: number;
  /** Which of the hop's `streams` connections this is, from 0. */
  readonly stream: number;
  readonly streams: number;
  /** `probe`: only to see whether the hop works; closed after HELLO_ACK. */
  readonly purpose: 'data' | 'probe';
  /** Keying material exported from this very TLS connection (RFC 8446, 7.5): a HELLO replayed on another one does not fit it (P2). */
  readonly binding: Uint8Array;
};

/**
 * Layout: "BATN", u16 version, 16 bytes job, u16 from, u16 to, u32 epoch, u8 stream, u8 streams, u8 purpose (0 data, 1 probe),
 * 32 bytes binding.
 */
export function encodeHello(hello: Hello): Uint8Array<ArrayBuffer> {
  if (hello.jobId.length !== jobIdBytes)
    throw new RangeError(`a job id has ${jobIdBytes} bytes, not ${hello.jobId.length}`);
  if (hello.binding.length !== bindingBytes)
    throw new RangeError(`a binding has ${bindingBytes} bytes, not ${hello.binding.length}`);
  return new ByteWriter(72)
    .bytes(magic)
    .u16(hello.version)
    .bytes(hello.jobId)
    .u16(hello.from)
    .u16(hello.to)
    .u32(hello.epoch)
    .u8(hello.stream)
    .u8(hello.streams)
    .u8(purposeCodes[hello.purpose])
    .bytes(hello.binding)
    .toBytes();
}

/**
 * Reads a HELLO payload. A version above ours may have appended fields, so bytes after the last known one are refused
 * only for versions we know; whether the version is acceptable is for checkHello to say.
 */
export function decodeHello(payload: Uint8Array): Hello {
  const reader = new ByteReader(payload, 'hello');
  const found = reader.view(magic.length, 'magic');
  if (!magic.equals(found))
    throw reader.protocolError('magic', Buffer.from(found).toString('hex'), `it must be ${magic.toString('hex')}`);
  const version = reader.u16('version');
  const jobId = reader.bytes(jobIdBytes, 'job');
  const from = reader.u16('from');
  const to = reader.u16('to');
  const epoch = reader.u32('epoch');
  const stream = reader.u8('stream');
  const streams = reader.u8('streams');
  const purposeCode = reader.u8('purpose');
  if (purposeCode > 1) throw reader.protocolError('purpose', purposeCode, 'only 0 (data) and 1 (probe) are known');
  const purpose = purposeCode === purposeCodes.data ? 'data' : 'probe';
  const binding = reader.bytes(bindingBytes, 'binding');
  if (version <= dataVersions.max) reader.finish();
  return { version, jobId, from, to, epoch, stream, streams, purpose, binding };
}

/**
 * The answer to a HELLO that was accepted. `manifestWanted`: this receiver does not hold the manifest yet. `claims`: it says of each
 * unit what it has in its place, and is sent none before that.
 */
export type HelloAck = { readonly version: number; readonly manifestWanted: boolean; readonly claims: boolean };

/** Layout: u16 version, u8 manifest wanted, u8 claims. */
export function encodeHelloAck(ack: HelloAck): Uint8Array<ArrayBuffer> {
  return new ByteWriter(4)
    .u16(ack.version)
    .u8(ack.manifestWanted ? 1 : 0)
    .u8(ack.claims ? 1 : 0)
    .toBytes();
}

export function decodeHelloAck(payload: Uint8Array): HelloAck {
  const reader = new ByteReader(payload, 'hello ack');
  const version = reader.u16('version');
  const manifestWanted = reader.bool('manifest wanted');
  const claims = reader.bool('claims');
  reader.finish();
  return { version, manifestWanted, claims };
}
