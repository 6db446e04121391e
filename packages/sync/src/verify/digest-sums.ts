import { hash } from 'node:crypto';
import type { HeldRow } from '../sink.ts';
import { verifyLimits } from './limits.ts';

/** How many words of 32 bits a digest has. */
const words = 4;

/**
 * Whether two sets of rows are the same, in constant memory: each row adds 128 bits of its digest to one of many sums on one side, and takes them away on the other. Sums that are
 * not zero at the end tell in which rows the difference is. Rows may be there several times. Pure, but for the sums.
 */
export class DigestSums {
  readonly #sums = new Uint32Array(verifyLimits.buckets * words);

  add(row: HeldRow): void {
    const digest = digestOf(row);
    const place = bucketOf(digest) * words;
    // Sums go around at 32 bits, each for itself.
    for (let word = 0; word < words; word++) this.#sums[place + word]! += digest.readUInt32LE(word * 4);
  }

  take(row: HeldRow): void {
    const digest = digestOf(row);
    const place = bucketOf(digest) * words;
    for (let word = 0; word < words; word++) this.#sums[place + word]! -= digest.readUInt32LE(word * 4);
  }

  get areSame(): boolean {
    return this.#sums.every((sum) => sum === 0);
  }

  /** The row may be one that the sides do not share. */
  isSuspect(row: HeldRow): boolean {
    const place = bucketOf(digestOf(row)) * words;
    return this.#sums.subarray(place, place + words).some((sum) => sum !== 0);
  }
}

function digestOf({ key, value }: HeldRow): Buffer {
  // The key's length keeps a key and a value from meeting another pair of them.
  return hash('sha256', `${key.length}:${key}${value}`, 'buffer');
}

/** By a part of the digest that is in no sum. */
function bucketOf(digest: Buffer): number {
  return digest.readUInt32LE(words * 4) % verifyLimits.buckets;
}
