import { BatonError } from '../errors.ts';

// Reading and writing of integers and byte strings. All integers are little-endian. The reader is the one place that decides
// whether bytes are there: nothing below it allocates before the bytes it speaks of have been seen (P4).

/** Length of a BLAKE3 digest, the only digest of the protocol. Bytes. */
export const digestBytes = 32;

const varintBytesMax = 8;

/** The error for bytes the protocol does not allow: names the message, the field, what was found and what is allowed. */
export function protocolError(subject: string, field: string, found: unknown, allowed: string): BatonError {
  return new BatonError('PROTOCOL', `${subject}: ${field} is ${String(found)}, but ${allowed}`, {
    hint: 'run the same version of baton on every host',
  });
}

/** The error for something larger than its limit: names the message, the field and both values. */
export function limitError(subject: string, field: string, found: number | bigint, limit: number): BatonError {
  return new BatonError('LIMIT', `${subject}: ${field} is ${found}, but the limit is ${limit}`);
}

/** Appends to a buffer that grows by doubling. Values out of their type's range are bugs of the caller and throw RangeError. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(capacityBytes = 256) {
    this.#bytes = new Uint8Array(capacityBytes);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    requireUnsigned(value, 0xff);
    const at = this.#take(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    requireUnsigned(value, 0xffff);
    const at = this.#take(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    requireUnsigned(value, 0xffff_ffff);
    const at = this.#take(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u64(value: bigint): this {
    if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError(`${value} is no unsigned 64-bit integer`);
    const at = this.#take(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  i64(value: bigint): this {
    if (BigInt.asIntN(64, value) !== value) throw new RangeError(`${value} is no signed 64-bit integer`);
    const at = this.#take(8);
    this.#view.setBigInt64(at, value, true);
    return this;
  }

  /** An unsigned safe integer in groups of 7 bits, lowest first, the high bit of a byte meaning that another follows. */
  varint(value: number): this {
    requireUnsigned(value, Number.MAX_SAFE_INTEGER);
    let at = this.#take(varintLength(value));
    let rest = value;
    for (; rest > 0x7f; at++) {
      this.#bytes[at] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[at] = rest;
    return this;
  }

  /** The bytes as they are, without a length. */
  bytes(value: Uint8Array): this {
    const at = this.#take(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** A varint length, then the bytes. */
  lengthAndBytes(value: Uint8Array): this {
    return this.varint(value.length).bytes(value);
  }

  /** A view of what was written; the next write may change it. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written, as a copy of its own and of exact size. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  /** Forgets what was written after `length`. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }

  /** Room for `count` more bytes, and where it starts. Call it before naming the buffer: growing replaces it. */
  #take(count: number): number {
    const start = this.#length;
    const end = start + count;
    if (end > this.#bytes.length) this.#grow(end);
    this.#length = end;
    return start;
  }

  #grow(atLeast: number): void {
    const grown = new Uint8Array(Math.max(atLeast, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest > 0x7f; length++) rest = Math.floor(rest / 0x80);
  return length;
}

function requireUnsigned(value: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < 0 || value > max)
    throw new RangeError(`${value} is not an integer from 0 to ${max}`);
}

/** What is being read, for error messages; a function where the text would have to be built for every entry. */
export type Subject = string | (() => string);

/** Reads forward within given bytes. Every method throws a PROTOCOL or LIMIT error that names `field`. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #subject: Subject;
  #offset: number;

  constructor(bytes: Uint8Array, subject: Subject, offset = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#subject = subject;
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  get subject(): string {
    return typeof this.#subject === 'string' ? this.#subject : this.#subject();
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field), true);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true);
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), true);
  }

  i64(field: string): bigint {
    return this.#view.getBigInt64(this.#take(8, field), true);
  }

  /** An unsigned safe integer in its shortest form, at most `max`. */
  varint(field: string, max: number = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= varintBytesMax; count++) {
      const byte = this.u8(field);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && count > 1)
          throw this.protocolError(field, 'longer than needed', 'an integer has one form, the shortest');
        if (value > max) throw this.limitError(field, value, max);
        return value;
      }
      scale *= 0x80;
    }
    throw this.protocolError(field, `longer than ${varintBytesMax} bytes`, 'an integer is below 2^53');
  }

  /** True or false as 1 or 0. */
  bool(field: string): boolean {
    const value = this.u8(field);
    if (value > 1) throw this.protocolError(field, value, 'only 0 and 1 are allowed');
    return value === 1;
  }

  /** A view of the next `length` bytes; no copy is made. */
  view(length: number, field: string): Uint8Array {
    const start = this.#take(length, field);
    return this.#bytes.subarray(start, start + length);
  }

  /** A copy of the next `length` bytes, in memory of its own. */
  bytes(length: number, field: string): Uint8Array<ArrayBuffer> {
    const start = this.#take(length, field);
    return new Uint8Array(this.#bytes.subarray(start, start + length));
  }

  /** A varint length of at most `max`, then a copy of so many bytes. */
  lengthAndBytes(field: string, max: number): Uint8Array<ArrayBuffer> {
    return this.bytes(this.varint(`${field} length`, max), field);
  }

  /** A varint count of things of at least `bytesEach` bytes, refused when the remaining bytes cannot hold so many. */
  count(field: string, max: number, bytesEach: number): number {
    const count = this.varint(field, max);
    if (count * bytesEach > this.remaining) {
      throw this.protocolError(field, count, `${this.remaining} remaining bytes cannot hold so many`);
    }
    return count;
  }

  /** Throws unless everything was read. */
  finish(): void {
    if (this.remaining > 0)
      throw this.protocolError('end', `${this.remaining} bytes early`, 'nothing may follow the last field');
  }

  protocolError(field: string, found: unknown, allowed: string): BatonError {
    return protocolError(this.subject, field, found, allowed);
  }

  limitError(field: string, found: number | bigint, limit: number): BatonError {
    return limitError(this.subject, field, found, limit);
  }

  #take(count: number, field: string): number {
    const start = this.#offset;
    if (count > this.#bytes.length - start) {
      throw this.protocolError(field, `${count} bytes long`, `only ${this.#bytes.length - start} bytes remain`);
    }
    this.#offset = start + count;
    return start;
  }
}
