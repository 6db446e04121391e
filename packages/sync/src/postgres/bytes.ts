import { BatonError } from '@batondb/core/errors';
import { postgresLimits } from './limits.ts';

// Reading of what PostgreSQL sends: integers are big-endian, strings are UTF-8 and end with a zero byte.

/** How Node's own decoders are called without a look-up of the encoding's name. They are as old as Node and are what `toString` calls. */
type Slices = { latin1Slice(start: number, end: number): string; utf8Slice(start: number, end: number): string };

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Bytes as one character each. Right for ASCII only; the caller has looked. */
export function latin1(bytes: Buffer, start: number, end: number): string {
  return (bytes as unknown as Slices).latin1Slice(start, end);
}

/**
 * Throws LIMIT, and PROTOCOL for what is no UTF-8: the database's encoding is SQL_ASCII then, and nobody knows what its bytes mean (Y5).
 */
export function utf8(bytes: Buffer, start: number, end: number): string {
  if (end - start > postgresLimits.rowBytesMax) {
    throw new BatonError(
      'LIMIT',
      `a value has ${end - start} bytes, and the most that is read is ${postgresLimits.rowBytesMax}`,
    );
  }
  const text = (bytes as unknown as Slices).utf8Slice(start, end);
  // The replacement character is the only sign of bytes that were none; it may also be meant.
  if (!text.includes('\ufffd')) return text;
  try {
    return strictUtf8.decode(bytes.subarray(start, end));
  } catch (error) {
    throw new BatonError('PROTOCOL', `a text of ${end - start} bytes is not UTF-8`, {
      hint: 'a database of the encoding SQL_ASCII may hold such bytes: mend the row, or convert the database to UTF8',
      cause: error,
    });
  }
}

/** A walk over the bytes of one message. Everything but `at` throws PROTOCOL where the bytes end early. */
export class ByteReader {
  readonly bytes: Buffer;
  readonly end: number;
  /** For errors. */
  readonly subject: string;
  at: number;

  constructor(bytes: Buffer, at: number, end: number, subject: string) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.subject = subject;
  }

  u8(): number {
    const at = this.take(1, 'a byte');
    return this.bytes[at] as number;
  }

  u16(): number {
    const { bytes } = this;
    const at = this.take(2, 'a number');
    return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  }

  u32(): number {
    const { bytes } = this;
    const at = this.take(4, 'a number');
    const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16);
    return (high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0;
  }

  i32(): number {
    return this.u32() | 0;
  }

  u64(): bigint {
    return this.bytes.readBigUInt64BE(this.take(8, 'a number'));
  }

  /** Microseconds since 2000 as milliseconds since 1970, with their fraction. */
  timeMs(): number {
    return timeMsOf(this.bytes.readBigInt64BE(this.take(8, 'a time')));
  }

  /** Up to a zero byte, which is read, too. */
  string(): string {
    const zero = this.bytes.indexOf(0, this.at);
    if (zero === -1 || zero >= this.end) {
      throw new BatonError('PROTOCOL', `${this.subject} has a string without an end at byte ${this.at}`);
    }
    const text = utf8(this.bytes, this.at, zero);
    this.at = zero + 1;
    return text;
  }

  /** Passes over `length` bytes and gives the place of the first one. */
  take(length: number, what: string): number {
    const { at, end } = this;
    if (length > end - at) {
      throw new BatonError(
        'PROTOCOL',
        `${this.subject} ends at byte ${end}, but has ${what} of ${length} bytes at byte ${at}`,
      );
    }
    this.at = at + length;
    return at;
  }

  /** Nothing may follow. */
  finish(): void {
    if (this.at !== this.end) {
      throw new BatonError('PROTOCOL', `${this.subject} goes on for ${this.end - this.at} bytes after its last field`);
    }
  }
}

const epochMs = Date.UTC(2000, 0, 1);

/** PostgreSQL's time (microseconds since 2000) as milliseconds since 1970. */
export function timeMsOf(microseconds: bigint): number {
  return epochMs + Number(microseconds) / 1000;
}

/** Milliseconds since 1970 as PostgreSQL's time. */
export function timeOfMs(ms: number): bigint {
  return BigInt(Math.round((ms - epochMs) * 1000));
}
