/** Bytes that come in chunks of any size, looked at in the lengths the reader needs. Holds what was asked for and one chunk. */
export class ChunkedInput {
  readonly #chunks: Iterator<Uint8Array>;
  #buffer: Uint8Array = new Uint8Array(0);

  constructor(chunks: Iterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.iterator]();
  }

  /** Bytes that can be taken without asking for another chunk. */
  get available(): number {
    return this.#buffer.length;
  }

  /** Makes at least `count` bytes available; false when the input ends before. */
  fill(count: number): boolean {
    if (this.#buffer.length >= count) return true;
    const parts = [this.#buffer];
    let length = this.#buffer.length;
    while (length < count) {
      const next = this.#chunks.next();
      if (next.done === true) break;
      parts.push(next.value);
      length += next.value.length;
    }
    this.#buffer = Buffer.concat(parts, length);
    return length >= count;
  }

  /** A view of the next `count` bytes, which must be available. */
  peek(count: number): Uint8Array {
    return this.#buffer.subarray(0, count);
  }

  /** The same, and moves on. */
  take(count: number): Uint8Array {
    const taken = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    return taken;
  }

  /** Reads to the end: whether everything not yet taken is zero (also when there is nothing). Nothing is available afterwards. */
  restIsZero(): boolean {
    for (let rest = this.#buffer; ; ) {
      if (rest.some((byte) => byte !== 0)) return false;
      const next = this.#chunks.next();
      if (next.done === true) return true;
      rest = next.value;
    }
  }
}
