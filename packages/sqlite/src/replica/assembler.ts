import { BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';

const lengthBytes = 4;

/**
 * Messages of a stream of bytes, each in memory of its own, so that it can be handed to another thread. Pure. What is longer than the limit is
 * refused by its length, before memory is taken for it.
 */
export class Assembler {
  readonly #length: Buffer = Buffer.alloc(lengthBytes);
  #lengthAt = 0;
  #message: Buffer<ArrayBuffer> | undefined;
  #at = 0;

  /** The messages that a chunk completes, in their order. Throws LIMIT, PROTOCOL. */
  *push(chunk: Uint8Array): Generator<Buffer<ArrayBuffer>, void> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#message === undefined) {
        const taken = chunk.subarray(at, at + lengthBytes - this.#lengthAt);
        this.#length.set(taken, this.#lengthAt);
        this.#lengthAt += taken.length;
        at += taken.length;
        if (this.#lengthAt === lengthBytes) this.#begin(this.#length.readUInt32LE(0));
        continue;
      }
      const taken = chunk.subarray(at, at + this.#message.length - this.#at);
      this.#message.set(taken, this.#at);
      this.#at += taken.length;
      at += taken.length;
      if (this.#at < this.#message.length) continue;
      const done = this.#message;
      this.#message = undefined;
      yield done;
    }
  }

  #begin(bytes: number): void {
    if (bytes === 0) throw new BatonError('PROTOCOL', 'a message has no bytes');
    if (bytes > limits.replicaMessageBytesMax) {
      throw new BatonError(
        'LIMIT',
        `a message has ${bytes} bytes, and at most ${limits.replicaMessageBytesMax} are taken`,
      );
    }
    // Not of a pool: it may be given away.
    this.#message = Buffer.from(new ArrayBuffer(bytes));
    this.#at = 0;
    this.#lengthAt = 0;
  }
}
