import { BatonError } from '@batondb/core/errors';
import { ByteReader, timeOfMs } from './bytes.ts';
import type { Lsn } from './position.ts';

// What goes in CopyData during replication, as in "Streaming Replication Protocol" of PostgreSQL's documentation. Pure.

/** Log of the server: a message of the plugin from `messageAt` on. One object for all of them. */
export type WalFrame = { readonly kind: 'wal'; readonly messageAt: number };
export type KeepaliveFrame = {
  readonly kind: 'keepalive';
  /** Where the server's log, as far as it was decoded, ends. */
  readonly walEnd: Lsn;
  readonly sentAtMs: number;
  /** A status is wanted at once. */
  readonly isReplyRequested: boolean;
};

/** Where we are, in a standby's words. */
export type StandbyStatus = {
  /** Ends of what has been received, is durable, and is visible. */
  readonly written: Lsn;
  readonly flushed: Lsn;
  readonly applied: Lsn;
  readonly atMs: number;
  /** The server is to answer at once. */
  readonly isReplyRequested: boolean;
};

const letters = { wal: 0x77, keepalive: 0x6b, status: 0x72 } as const;
/** Before the message of the plugin. */
export const walHeadBytes = 25;
/** Where the server's log ends, in that head. */
export const walEndAt = 9;
const walFrame: WalFrame = Object.freeze({ kind: 'wal', messageAt: walHeadBytes });

/** Whether these bytes are a WalFrame: there are many, and a view of each would cost more than its rows. */
export function isWalFrame(bytes: Buffer, start: number, end: number): boolean {
  return bytes[start] === letters.wal && end - start >= walHeadBytes;
}

/** What is in one CopyData message. Throws PROTOCOL. */
export function decodeFrame(bytes: Buffer): WalFrame | KeepaliveFrame {
  if (bytes[0] === letters.wal && bytes.length >= walHeadBytes) return walFrame;
  if (bytes[0] === letters.keepalive) {
    const reader = new ByteReader(bytes, 1, bytes.length, 'a keepalive');
    const walEnd = reader.u64();
    const sentAtMs = reader.timeMs();
    const isReplyRequested = reader.u8() === 1;
    reader.finish();
    return { kind: 'keepalive', walEnd, sentAtMs, isReplyRequested };
  }
  throw new BatonError('PROTOCOL', `${bytes.length} bytes of replication begin with ${bytes[0]}, which is not known`);
}

export function encodeStandbyStatus(status: StandbyStatus): Buffer {
  const bytes = Buffer.alloc(34);
  bytes[0] = letters.status;
  bytes.writeBigUInt64BE(status.written, 1);
  bytes.writeBigUInt64BE(status.flushed, 9);
  bytes.writeBigUInt64BE(status.applied, 17);
  bytes.writeBigInt64BE(timeOfMs(status.atMs), 25);
  bytes[33] = status.isReplyRequested ? 1 : 0;
  return bytes;
}
