// Changes of transactions that are not committed yet, as they came, one after the other in one piece of memory: each with its length and its (sub)transaction
// before it. No object is made for any of them before it is decoded.

const headBytes = 8;
const blockBytes = 65_536;

/** A change as it came, and the (sub)transaction that made it; 0 where it says none. */
export type UnfinishedChange = { readonly xid: number; readonly bytes: Buffer };

export class ChangeBlockWriter {
  #block = Buffer.alloc(0);
  #used = 0;
  readonly #onFull: (block: Buffer) => void;

  /** `onFull` gets blocks of whole changes, in their order. */
  constructor(onFull: (block: Buffer) => void) {
    this.#onFull = onFull;
  }

  /** Copies what is in `bytes` from `at` on. */
  add(xid: number, bytes: Buffer, at: number): void {
    const length = bytes.length - at;
    if (this.#used + headBytes + length > this.#block.length) {
      this.flush();
      this.#block = Buffer.allocUnsafeSlow(Math.max(blockBytes, headBytes + length));
    }
    this.#block.writeUInt32BE(length, this.#used);
    this.#block.writeUInt32BE(xid, this.#used + 4);
    bytes.copy(this.#block, this.#used + headBytes, at);
    this.#used += headBytes + length;
  }

  /** Gives away what is there. */
  flush(): void {
    if (this.#used > 0) this.#onFull(this.#block.subarray(0, this.#used));
    // What is left of a block is used on, beside the part that was given away.
    this.#block = this.#block.subarray(this.#used);
    this.#used = 0;
  }
}

/** Changes at the beginning of `bytes`, without those of `aborted`; `used` is where the last whole one ends. */
export function cutChanges(bytes: Buffer, aborted: ReadonlySet<number>): { changes: UnfinishedChange[]; used: number } {
  const changes: UnfinishedChange[] = [];
  let at = 0;
  while (at + headBytes <= bytes.length) {
    const end = at + headBytes + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    const xid = bytes.readUInt32BE(at + 4);
    if (!aborted.has(xid)) changes.push({ xid, bytes: bytes.subarray(at + headBytes, end) });
    at = end;
  }
  return { changes, used: at };
}
