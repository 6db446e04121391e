/** Values that one reader may be ahead of another one. */
const aheadMax = 8;

/** One reader's end of a shared stream. */
export type Reader<T> = {
  /** The next value; undefined at the end. Waits while a slower reader is too far behind. */
  readonly next: () => Promise<T | undefined>;
  /** Takes no more: nobody waits for this reader any longer. */
  readonly leave: () => void;
};

/**
 * A stream that several readers read in step: each gets every value, and none is ahead of the slowest by more than a few, which
 * bounds the memory. A slow reader holds the others up only beyond that.
 */
export class SharedStream<T> {
  readonly #pull: () => Promise<T | undefined>;
  readonly #values: T[] = [];
  /** How many values each reader has taken; those that left are gone. */
  readonly #taken = new Map<number, number>();
  readonly #waiting = new Set<() => void>();
  #dropped = 0;
  #isEnded = false;
  #pulling: Promise<void> | undefined;

  constructor(pull: () => Promise<T | undefined>, readers: number) {
    this.#pull = pull;
    for (let reader = 0; reader < readers; reader++) this.#taken.set(reader, 0);
  }

  /** The end for reader number `number`, from 0. */
  reader(number: number): Reader<T> {
    return {
      next: () => this.#next(number),
      leave: () => {
        this.#taken.delete(number);
        this.#drop();
      },
    };
  }

  async #next(reader: number): Promise<T | undefined> {
    for (;;) {
      const taken = this.#taken.get(reader);
      if (taken === undefined) return undefined;
      const index = taken - this.#dropped;
      if (index < this.#values.length) {
        const value = this.#values[index] as T;
        this.#taken.set(reader, taken + 1);
        this.#drop();
        return value;
      }
      if (this.#isEnded) return undefined;
      if (this.#values.length < aheadMax) await this.#more();
      else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** One more value, whoever asks for it. Every reader is told why there is none. */
  #more(): Promise<void> {
    this.#pulling ??= this.#pull()
      .then((value) => {
        if (value === undefined) this.#isEnded = true;
        else this.#values.push(value);
      })
      // A stream that broke stays broken: the same reason for whoever asks again.
      .then(() => {
        this.#pulling = undefined;
      });
    return this.#pulling;
  }

  #drop(): void {
    const slowest = Math.min(...this.#taken.values());
    while (this.#dropped < slowest && this.#values.length > 0) {
      this.#values.shift();
      this.#dropped += 1;
    }
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
