import { type Cipheriv, createCipheriv } from 'node:crypto';

// The bytes of the data sets. The same seed gives the same bytes on every machine.

/** Fills buffers with the next bytes of its stream. */
export interface Content {
  fill(buffer: Buffer): void;
}

/** Small, fast and good enough to choose words with (Marsaglia's xorshift32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 0x9e37_79b9) >>> 0 || 1;
  }

  /** The next whole number from 0 up to, without, `bound`. */
  below(bound: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state % bound;
  }
}

/** Bytes that nothing can compress: the key stream of AES-128-CTR. */
export class RandomContent implements Content {
  readonly #cipher: Cipheriv;

  constructor(seed: number) {
    const iv = Buffer.alloc(16);
    iv.writeUInt32BE(seed >>> 0);
    this.#cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'baton-bench'), iv);
  }

  fill(buffer: Buffer): void {
    buffer.set(this.#cipher.update(buffer.fill(0)));
  }
}

const pageBytes = 16 * 1024;
const words = 2048;

/**
 * Pages such as InnoDB keeps: a header, rows of numbers that count up and words that repeat, free space of zeros, a
 * trailer with a checksum that compresses not at all. zstd -1 and gzip leave 27 % of them.
 */
export class PageContent implements Content {
  readonly #random: Random;
  readonly #words: readonly Buffer[];
  readonly #page: Buffer = Buffer.alloc(pageBytes);
  #pageOffset: number = pageBytes;
  #pageNumber = 0;
  #rowId: number;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#words = Array.from({ length: words }, () => this.#word());
    this.#rowId = this.#random.below(2 ** 31);
  }

  fill(buffer: Buffer): void {
    let filled = 0;
    while (filled < buffer.length) {
      if (this.#pageOffset === pageBytes) this.#nextPage();
      const copied = this.#page.copy(buffer, filled, this.#pageOffset);
      filled += copied;
      this.#pageOffset += copied;
    }
  }

  #word(): Buffer {
    const letters = Array.from({ length: 4 + this.#random.below(9) }, () => 97 + this.#random.below(26));
    return Buffer.from(letters);
  }

  #nextPage(): void {
    const page = this.#page.fill(0);
    page.writeUInt32BE(this.#random.below(2 ** 32), 0);
    page.writeUInt32BE(this.#pageNumber, 4);
    page.writeUInt32BE((this.#pageNumber - 1) >>> 0, 8);
    page.writeUInt32BE(this.#pageNumber + 1, 12);
    // Pages are 15/16 full after a load in key order, less after random inserts.
    const end = pageBytes - 512 - this.#random.below(6 * 1024);
    let offset = 120;
    while (offset < end) offset = this.#row(offset);
    page.writeUInt32BE(this.#random.below(2 ** 32), pageBytes - 8);
    this.#pageNumber += 1;
    this.#pageOffset = 0;
  }

  /** Writes one row of about 90 bytes at `offset` and returns where it ends. */
  #row(start: number): number {
    const page = this.#page;
    const random = this.#random;
    this.#rowId += 1;
    let offset = start;
    page.writeUInt32BE(0x0800_1000 + random.below(16), offset);
    page.writeUInt32BE(this.#rowId, offset + 8);
    page.writeUIntBE(0x0000_8100_0000 + (this.#rowId >>> 6), offset + 12, 6);
    page.writeUInt32BE(random.below(2 ** 24), offset + 18);
    page.writeUInt32BE(0x65a0_0000 + (this.#rowId >>> 3), offset + 22);
    offset += 26;
    const count = 5 + random.below(6);
    for (let index = 0; index < count; index += 1) {
      // Multiplying two numbers makes low indexes common, as in a language.
      const word = this.#words[(random.below(64) * random.below(32)) % words] ?? this.#page;
      page.set(word, offset);
      offset += word.length;
      page[offset] = 0x20;
      offset += 1;
    }
    return offset;
  }
}
