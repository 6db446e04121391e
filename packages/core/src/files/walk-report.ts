import type { Extent } from '../protocol/entry.ts';
import { type PathSample, PathSampler } from './path-sample.ts';
import type { Stat } from './stat.ts';

/** What the walk saw beside the entries. Paths are full paths for people. */
export type WalkReport = {
  readonly entries: number;
  readonly files: number;
  /** Bytes of content: holes are none, and a file with several names counts once. */
  readonly contentBytes: number;
  readonly allocatedBytes: number;
  /** Left out: there is nothing in a socket to copy. */
  readonly sockets: PathSample;
  /** Files that may not be read (left out) and directories that may not be listed (there, but empty). */
  readonly unreadable: PathSample;
  /** Listed, but gone when they were looked at. */
  readonly vanished: PathSample;
  /** Entries that a pattern left out; what lies below a directory is not counted. */
  readonly excluded: number;
  /** Directories of other file systems that were not entered. */
  readonly otherFileSystems: PathSample;
};

/** What a walk tells beside its entries, in their order. */
export type WalkWatcher = {
  /** Before the entry of what is neither a directory nor a hardlink. A SystemError thrown here is one of that entry. */
  leaf(dirfd: number, name: Uint8Array, stat: Stat): void;
  /** In the place of an entry; before it for a directory that may not be listed. `parent` is that of the entry. */
  passed(parent: number, name: Uint8Array, why: 'unreadable' | 'vanished'): void;
};

/** Counts towards a {@link WalkReport}. */
export class WalkTally {
  readonly sockets: PathSampler = new PathSampler();
  readonly unreadable: PathSampler = new PathSampler();
  readonly vanished: PathSampler = new PathSampler();
  readonly otherFileSystems: PathSampler = new PathSampler();
  excluded = 0;
  entries = 0;
  #files = 0;
  #contentBytes = 0;
  #allocatedBytes = 0;

  /** A regular file, once for all of its names. */
  file(
    size: { readonly sizeBytes: number; readonly allocatedBytes: number },
    extents: readonly Extent[] | undefined,
  ): void {
    this.#files += 1;
    this.#contentBytes += extents === undefined ? size.sizeBytes : extents.reduce((sum, { length }) => sum + length, 0);
    this.#allocatedBytes += size.allocatedBytes;
  }

  report(): WalkReport {
    return {
      entries: this.entries,
      files: this.#files,
      contentBytes: this.#contentBytes,
      allocatedBytes: this.#allocatedBytes,
      sockets: this.sockets.sample(),
      unreadable: this.unreadable.sample(),
      vanished: this.vanished.sample(),
      excluded: this.excluded,
      otherFileSystems: this.otherFileSystems.sample(),
    };
  }
}
