/** Values pushed by callbacks, pulled by one reader. Bounded by what its writers push, which are events at human pace. */
export class EventQueue<T> {
  readonly #values: T[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;
  #error: Error | undefined;

  push(value: T): void {
    if (this.#isClosed) return;
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
