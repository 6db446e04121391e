import { assert, BatonError } from '@batondb/core/errors';

// Numbers and texts in buffers, little-endian; texts are UTF-8 behind their length of 16 bits.

/** Writes into a buffer that is large enough. */
export class Writer {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytesMax: number) {
    this.#buffer = Buffer.allocUnsafe(bytesMax);
  }

  u8(value: number): void {
    this.#at = this.#buffer.writeUInt8(value, this.#at);
  }

  u16(value: number): void {
    this.#at = this.#buffer.writeUInt16LE(value, this.#at);
  }

  u32(value: number): void {
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
  }

  /** A whole number below 2^53. */
  u64(value: number): void {
    this.u32(value % 2 ** 32);
    this.u32(Math.floor(value / 2 ** 32));
  }

  big(value: bigint): void {
    this.#at = this.#buffer.writeBigUInt64LE(value, this.#at);
  }

  text(value: string): void {
    const bytes = Buffer.byteLength(value);
    this.u16(bytes);
    this.#at += this.#buffer.write(value, this.#at);
  }

  /** The next `bytes` bytes, to be filled by the caller. */
  room(bytes: number): Uint8Array {
    assert(this.#at + bytes <= this.#buffer.length, 'M7: what was measured is what is written');
    this.#at += bytes;
    return this.#buffer.subarray(this.#at - bytes, this.#at);
  }

  /** What was written. */
  done(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }
}

/** Reads what a writer wrote. Throws BatonError PROTOCOL where bytes are missing or left over. */
export class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  u8(): number {
    return this.#buffer.readUInt8(this.skip(1));
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.skip(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.skip(4));
  }

  u64(): number {
    const low = this.u32();
    const value = this.u32() * 2 ** 32 + low;
    if (!Number.isSafeInteger(value)) throw new BatonError('PROTOCOL', `a number of ${value} is larger than 2^53`);
    return value;
  }

  big(): bigint {
    return this.#buffer.readBigUInt64LE(this.skip(8));
  }

  text(bytesMax: number): string {
    const bytes = this.u16();
    if (bytes > bytesMax)
      throw new BatonError('PROTOCOL', `a text has ${bytes} bytes, and at most ${bytesMax} are read`);
    const at = this.skip(bytes);
    return this.#buffer.toString('utf8', at, at + bytes);
  }

  /** Passes over bytes. Returns where they begin. */
  skip(bytes: number): number {
    this.expect(bytes);
    this.#at += bytes;
    return this.#at - bytes;
  }

  /** Throws unless so many bytes are left. */
  expect(bytes: number): void {
    const left = this.#buffer.length - this.#at;
    if (bytes > left) throw new BatonError('PROTOCOL', `${bytes} bytes are missing where ${left} are left`);
  }

  /** Throws unless everything was read. */
  end(): void {
    if (this.#at !== this.#buffer.length)
      throw new BatonError('PROTOCOL', `${this.#buffer.length - this.#at} bytes are left over`);
  }
}
