// Random numbers that a seed repeats, so that a failed test can be run again exactly.

/** A small generator (mulberry32): not for secrets, fast, and the same on every machine. */
export class Random {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** An unsigned number of 32 bits. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** A number from 0 up to, not including, 1. */
  fraction(): number {
    return this.word() / 2 ** 32;
  }

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.fraction() * (high - low + 1));
  }

  /** One of `choices`, which must not be empty. */
  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new Error('pick() needs at least one choice');
    return choices[this.integer(0, choices.length - 1)] as T;
  }

  /** Fills `target` with bytes that no compressor shrinks. */
  fill(target: Buffer): void {
    const wholeWords = target.length & ~3;
    for (let offset = 0; offset < wholeWords; offset += 4) target.writeUInt32LE(this.word(), offset);
    for (let offset = wholeWords; offset < target.length; offset++) target[offset] = this.word() & 0xff;
  }

  /** A generator of its own whose numbers do not depend on how many this one has given since. */
  fork(label: string): Random {
    let hash = this.seed ^ 0x811c9dc5;
    for (const byte of Buffer.from(label)) hash = Math.imul(hash ^ byte, 0x01000193);
    return new Random(hash);
  }
}

/** The seed of this run: BATON_SEED from the environment, else a new one. Print it where a test fails. */
export function seedOfRun(): number {
  const given = process.env['BATON_SEED'];
  if (given === undefined || given === '') return Math.floor(Math.random() * 2 ** 32);
  const seed = Number(given);
  if (!Number.isSafeInteger(seed)) throw new Error(`BATON_SEED is not a whole number: ${given}`);
  return seed >>> 0;
}
