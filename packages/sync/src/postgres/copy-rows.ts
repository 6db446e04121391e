import { BatonError } from '@batondb/core/errors';
import { postgresLimits } from './limits.ts';

const newline = 0x0a;

/** What makes batches of rows of COPY's text. `length` is how many rows. */
export interface CopyDecoder<T extends { readonly length: number }> {
  /** Rows that end in this chunk. The chunk may be used for something else afterwards. Throws PROTOCOL, LIMIT; it is of no use after that. */
  decode(chunk: Buffer): T;
  /** Throws PROTOCOL when the text ended in the middle of a row. */
  finish(): void;
}

/** Puts rows together that come in chunks of COPY's text, cut anywhere. */
export class WholeRows {
  readonly #rowBytesMax: number;
  /** The beginning of a row that has not come whole. */
  #rest: Buffer[] = [];
  #restBytes = 0;

  /** A row beyond the limit is refused with LIMIT. */
  constructor(rowBytesMax: number = postgresLimits.rowBytesMax) {
    this.#rowBytesMax = rowBytesMax;
  }

  /** Whole rows, with the newline of each; undefined when none ends in this chunk. Throws LIMIT. */
  take(chunk: Buffer): Buffer | undefined {
    const end = chunk.lastIndexOf(newline) + 1;
    if (end === 0) {
      this.#keep(chunk);
      return undefined;
    }
    const whole = this.#join(chunk.subarray(0, end));
    if (end < chunk.length) this.#keep(chunk.subarray(end));
    return whole;
  }

  /** Throws PROTOCOL when the text ended in the middle of a row. */
  finish(): void {
    if (this.#restBytes > 0) {
      throw new BatonError('PROTOCOL', `the rows of a COPY end with ${this.#restBytes} bytes that are no whole row`);
    }
  }

  #keep(piece: Buffer): void {
    this.#restBytes += piece.length;
    if (this.#restBytes > this.#rowBytesMax) {
      throw new BatonError('LIMIT', `a row is longer than ${this.#rowBytesMax} bytes, which is the most that is read`);
    }
    this.#rest.push(Buffer.from(piece));
  }

  #join(piece: Buffer): Buffer {
    if (this.#restBytes === 0) return piece;
    const whole = Buffer.concat([...this.#rest, piece]);
    this.#rest = [];
    this.#restBytes = 0;
    return whole;
  }
}
