import { join } from 'node:path';
import { close, dropCacheAside, errnos, flags, openat, startWritebackAside } from '@batondb/core/files/libc';
import { shareEqual, sharePieceBytesMin } from '@batondb/core/files/share';
import { statDescriptor } from '@batondb/core/files/stat';
import type { StreamPart } from './xbstream.ts';

// What an unpacker writes is compared with an older state of the same files, and the blocks of what is equal are shared with them while more comes: so the new state takes
// the room of what differs. The kernel compares by itself (core/files/share.ts); nothing here can change what a file holds.

/** What may wait to be shared, and takes room twice until it is. Large enough that a stream seldom waits, small beside any data. */
export const unsharedBytesMax: number = 64 * 1024 * 1024;
/** Made or written anew by the preparing. */
const isNeverEqual = /^(ib_logfile|xtrabackup_|mariadb_backup_|aria_log)/;

/** Follows what one unpacker is given, and writes in that order. Stops when the signal says so. */
export class ShareBehind {
  readonly directory: string;
  readonly #olds: readonly string[];
  readonly #signal: AbortSignal;
  readonly #given: StreamPart[] = [];
  #givenBytes = 0;
  #sharedBytes = 0;
  #working: Promise<void> | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;
  #isComplete = false;

  /** `directory`: where the unpacker writes. `olds`: where the same names may have been before; the first that has a file counts. */
  constructor(directory: string, olds: readonly string[], signal: AbortSignal) {
    this.directory = directory;
    this.#olds = olds;
    this.#signal = signal;
  }

  get sharedBytes(): number {
    return this.#sharedBytes;
  }

  /** The unpacker is given this part now. */
  given(part: StreamPart): void {
    if (part.bytes < sharePieceBytesMin || isNeverEqual.test(part.path)) return;
    this.#given.push(part);
    this.#givenBytes += part.bytes;
    this.#wake();
  }

  /**
   * Resolves when the unpacker may be given more without running far ahead. What it has not written yet is not waited for: that takes no room, and it may need
   * more of the stream to go on.
   */
  async room(): Promise<void> {
    if (this.#givenBytes <= unsharedBytesMax) return;
    this.#wake();
    if (this.#working === undefined) return;
    this.#waiting ??= Promise.withResolvers();
    await this.#waiting.promise;
  }

  /** The unpacker has written all. Resolves when all of it has been compared. Throws the signal's reason. */
  async finish(): Promise<void> {
    this.#isComplete = true;
    await this.#working;
    this.#wake();
    await this.#working;
    this.#signal.throwIfAborted();
  }

  #wake(): void {
    this.#working ??= this.#goOn().finally(() => {
      this.#working = undefined;
      this.#release();
    });
  }

  #release(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }

  async #goOn(): Promise<void> {
    for (let part = this.#given[0]; part !== undefined && !this.#signal.aborted; part = this.#given[0]) {
      // One that is not there although so much came after it has another name by now, or was dropped.
      if (!(await this.#compare(part)) && this.#givenBytes <= unsharedBytesMax) return;
      this.#given.shift();
      this.#givenBytes -= part.bytes;
      if (this.#givenBytes <= unsharedBytesMax) this.#release();
    }
  }

  /** False: it is not written yet. */
  async #compare({ path, offset, bytes }: StreamPart): Promise<boolean> {
    const into = open(join(this.directory, path), flags.O_RDWR);
    if (into < 0) return this.#isComplete || into !== -errnos.ENOENT;
    try {
      const end = offset + bytes;
      if (statDescriptor(into).sizeBytes < end && !this.#isComplete) return false;
      const from = this.#openOld(path);
      if (from < 0) return true;
      try {
        // All at once, or the kernel would write piece by piece and wait for each.
        await startWritebackAside(into, offset, bytes);
        this.#sharedBytes += await shareEqual({ from, into }, { start: offset, end }, this.#signal);
        await dropCacheAside(from, offset, bytes);
      } finally {
        close(from);
      }
    } finally {
      close(into);
    }
    return true;
  }

  #openOld(path: string): number {
    for (const old of this.#olds) {
      const from = open(join(old, path), flags.O_RDONLY);
      if (from >= 0) return from;
    }
    return -errnos.ENOENT;
  }
}

function open(path: string, openFlags: number): number {
  return openat(flags.AT_FDCWD, Buffer.from(path), openFlags | flags.O_NOFOLLOW | flags.O_NONBLOCK);
}
