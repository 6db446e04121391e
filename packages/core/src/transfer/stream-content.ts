import { type FileHandle, open } from 'node:fs/promises';
import { limits } from '../limits.ts';
import type { StagedTree } from './staged-tree.ts';

/**
 * The content of a stream while it comes: each unit once all before it are here, and all of them in the same memory, so that a chunk is
 * good until the next one is asked for. `path` leads to the staged file. Ends when the stream is complete; throws SystemError's like
 * the file system does, or the signal's reason.
 */
export async function* streamContent(
  tree: StagedTree,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const buffer = Buffer.alloc(limits.unitBytes);
  using arrivals = new Arrivals(tree, signal);
  let file: FileHandle | undefined;
  try {
    for (let unit = 0; unit < tree.have.unitCount; ) {
      signal.throwIfAborted();
      if (unit >= tree.have.prefix) {
        await arrivals.next();
        continue;
      }
      file ??= await open(path, 'r');
      const { bytesRead } = await file.read(buffer, 0, limits.unitBytes, unit * limits.unitBytes);
      yield buffer.subarray(0, bytesRead);
      unit++;
    }
  } finally {
    await file?.close();
  }
}

/** Wakes who waits for the next unit, the stream's end or the signal. Whoever looks before it waits misses nothing. */
class Arrivals implements Disposable {
  readonly #signal: AbortSignal;
  readonly #watch: Disposable;
  readonly #onAbort = (): void => this.#wake();
  #change = Promise.withResolvers<void>();

  constructor(tree: StagedTree, signal: AbortSignal) {
    this.#signal = signal;
    this.#watch = tree.watch(() => this.#wake());
    signal.addEventListener('abort', this.#onAbort, { once: true });
    void tree.ended.then(() => this.#wake());
  }

  async next(): Promise<void> {
    if (!this.#signal.aborted) await this.#change.promise;
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#signal.removeEventListener('abort', this.#onAbort);
  }

  #wake(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
