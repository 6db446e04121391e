/**
 * Values pushed by callbacks, pulled by one reader. What comes again and again, like progress, takes the place of what its reader has
 * not taken yet, so that a slow reader costs no memory and finds the newest.
 */
export class EventQueue<T> {
  readonly #values: T[] = [];
  readonly #supersedes: (later: T, earlier: T) => boolean;
  #wake: (() => void) | undefined;
  #isClosed = false;
  #error: Error | undefined;

  /** `supersedes` says whether nobody needs the earlier of two values that follow one another. */
  constructor(supersedes: (later: T, earlier: T) => boolean = () => false) {
    this.#supersedes = supersedes;
  }

  push(value: T): void {
    if (this.#isClosed) return;
    const last = this.#values.at(-1);
    if (last !== undefined && this.#supersedes(value, last)) this.#values.pop();
    this.#values.push(value);
    this.#wake?.();
  }

  /** No more values; the reader gets what is there, then the end, or `error`. */
  close(error?: Error): void {
    this.#isClosed = true;
    this.#error ??= error;
    this.#wake?.();
  }

  /** The values until the queue is closed. */
  async *read(): AsyncGenerator<T, void> {
    for (;;) {
      const value = this.#values.shift();
      if (value !== undefined) yield value;
      else if (this.#isClosed) break;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    if (this.#error !== undefined) throw this.#error;
  }
}
