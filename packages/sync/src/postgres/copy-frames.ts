import { BatonError } from '@batondb/core/errors';

// The messages of a COPY to us, as in "COPY Operations" and "Message Formats" of PostgreSQL's documentation: each has a letter and a length, and those of the letter `d` carry rows.
// Not checked: that the server said before that a COPY begins.

/** What stays inside of a COPY: CopyData, CopyOutResponse, and what a server may say at any time (a notice, a parameter's new value, a notification). */
const inside: ReadonlySet<number> = new Set([0x64, 0x48, 0x4e, 0x53, 0x41]);
const copyData = 0x64;
const headBytes = 5;

export type CopyPiece = {
  /** Rows' bytes of this chunk, without the heads of their messages: a view of the chunk, which was written over. */
  readonly data: Buffer;
  /** From the message on that ends the COPY. Undefined: it goes on. */
  readonly rest: Buffer | undefined;
};

/** Takes rows' bytes out of chunks of what a server sends, cut anywhere. One for each COPY. */
export class CopyFrames {
  /** The beginning of a message's head. */
  #head: Buffer = Buffer.alloc(0);
  /** Of the message that is being read. */
  #bytesLeft = 0;
  #isData = false;

  /** The chunk is written over. Throws PROTOCOL. */
  split(chunk: Buffer): CopyPiece {
    const bytes = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
    this.#head = Buffer.alloc(0);
    let at = 0;
    let kept = 0;
    for (;;) {
      const end = Math.min(at + this.#bytesLeft, bytes.length);
      if (this.#isData && end > at) {
        // Rows move together, to be made one string.
        if (kept !== at) bytes.copyWithin(kept, at, end);
        kept += end - at;
      }
      this.#bytesLeft -= end - at;
      at = end;
      if (bytes.length - at < headBytes) break;
      if (!inside.has(bytes[at] as number)) return { data: bytes.subarray(0, kept), rest: bytes.subarray(at) };
      this.#begin(bytes, at);
      at += headBytes;
    }
    // What is left is the beginning of a head, when no message is open; it may already show that the COPY has ended.
    const isEnd = at < bytes.length && !inside.has(bytes[at] as number);
    if (isEnd) return { data: bytes.subarray(0, kept), rest: bytes.subarray(at) };
    this.#head = Buffer.from(bytes.subarray(at));
    return { data: bytes.subarray(0, kept), rest: undefined };
  }

  #begin(bytes: Buffer, at: number): void {
    const length = bytes.readUInt32BE(at + 1);
    if (length < 4) throw new BatonError('PROTOCOL', `a message of a COPY is ${length} bytes long, but has at least 4`);
    this.#bytesLeft = length - 4;
    this.#isData = bytes[at] === copyData;
  }
}
