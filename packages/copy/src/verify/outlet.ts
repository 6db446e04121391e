/** Values that may wait for the reader before those who make them wait themselves. */
const waitingMax = 64;

/** Brings the values of several makers to one reader, and has the makers wait for it. */
export class Outlet<T> {
  readonly #values: T[] = [];
  readonly #makers: (() => void)[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;
  #error: Error | undefined;

  /** Resolves when the reader is not far behind, or wants no more. */
  async put(value: T): Promise<void> {
    if (this.#isClosed) return;
    this.#values.push(value);
    this.#wake?.();
    if (this.#values.length > waitingMax) await new Promise<void>((resolve) => this.#makers.push(resolve));
  }

  /** Gives what is only of use now; it is dropped while something else waits. */
  offer(value: T): void {
    if (this.#values.length === 0) void this.put(value);
  }

  /** No more values; the reader gets what is there, then the end, or `error`. Nobody waits for it any more. */
  close(error?: Error): void {
    this.#isClosed = true;
    this.#error ??= error;
    this.#wake?.();
    for (const resume of this.#makers.splice(0)) resume();
  }

  /** The values until the outlet is closed. */
  async *read(): AsyncGenerator<T, void> {
    for (;;) {
      const value = this.#values.shift();
      if (value !== undefined) {
        this.#makers.shift()?.();
        yield value;
      } else if (this.#isClosed) break;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
    if (this.#error !== undefined) throw this.#error;
  }
}
