import { join } from 'node:path';
import { close, dropCacheAside, flags, openat, startWritebackAside } from '@batondb/core/files/libc';
import type { StreamPart } from './xbstream.ts';

// What an unpacker writes is on its way to the disk while more comes, and leaves the memory when it is there. Otherwise the kernel keeps all of a
// backup in memory and writes most of it when it is synced at the end, and every page of it is one that something else had to give up: of a
// transfer of 2 GiB, whose unpacker waited for fresh memory, that was 8 of 24 CPU seconds.

/** Smaller ones are not worth two calls. */
const partBytesMin = 1024 * 1024;
/** The unpacker has taken a part and written it when it has been given so many after it. */
const writingMax = 2;
/** And a disk that keeps up has it when so many came after that. */
const onDiskAfter = 8;
/** What the preparing reads from its beginning to its end. */
const isReadSoon = /^(ib_logfile|xtrabackup_|mariadb_backup_|aria_log)/;

/** Follows what one unpacker is given. Only hints to the kernel: nothing here fails, and a disk that is slower than the stream is waited for by nobody. */
export class WriteBehind {
  readonly #directory: string;
  readonly #given: StreamPart[] = [];
  readonly #started: StreamPart[] = [];
  #isBusy = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The unpacker is given this part now. */
  given(part: StreamPart): void {
    if (part.bytes < partBytesMin || isReadSoon.test(part.path)) return;
    this.#given.push(part);
    if (!this.#isBusy) void this.#goOn();
  }

  async #goOn(): Promise<void> {
    this.#isBusy = true;
    while (this.#given.length > writingMax) {
      const part = this.#given.shift();
      if (part === undefined) break;
      await this.#with(part, startWritebackAside);
      this.#started.push(part);
      const old = this.#started.length > onDiskAfter ? this.#started.shift() : undefined;
      if (old !== undefined) await this.#with(old, dropCacheAside);
    }
    this.#isBusy = false;
  }

  async #with({ path, offset, bytes }: StreamPart, hint: typeof dropCacheAside): Promise<void> {
    const descriptor = openat(
      flags.AT_FDCWD,
      Buffer.from(join(this.#directory, path)),
      flags.O_RDONLY | flags.O_NOFOLLOW,
    );
    if (descriptor < 0) return;
    try {
      await hint(descriptor, offset, bytes);
    } finally {
      close(descriptor);
    }
  }
}
