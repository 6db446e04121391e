/** A thread collects its garbage after this many bytes of throwaway buffers. */
const uncollectedBytesMax = 16 * 1024 * 1024;

/**
 * Keeps a worker small. zlib gives every result in a buffer of its own, and V8 lets 64 MiB of buffers pile up in each thread
 * before it looks. Where the process runs with `--expose-gc` (the launcher sees to that), garbage is collected sooner:
 * measured, some 3 ms for every 16 MiB, against 60 MiB of memory a thread.
 */
export class GarbageLimit {
  #bytes = 0;

  /** Takes note of a buffer that is garbage now. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < uncollectedBytesMax) return;
    this.#bytes = 0;
    globalThis.gc?.();
  }
}
