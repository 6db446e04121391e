import { assert } from '../errors.ts';
import type { EntryTable } from '../protocol/entry-table.ts';
import { check, close, flags, openat } from './libc.ts';
import { printable } from './names.ts';

// Open directories of a tree, found by the entry's index.

/**
 * Directories a tree keeps open. Several threads share the process's descriptors, of which many systems allow 1,024, and the
 * connections need theirs.
 */
const handlesMax = 200;
/** A path deeper than this is opened without keeping its upper part, so that the handle returned before stays open. */
const keptPerPath = handlesMax / 2;

/** An entry's path for people, starting with the root's own name. */
export function entryPath(table: EntryTable, index: number): string {
  const parts: string[] = [];
  for (let at = index; at >= 0; at = table.entry(at).parent) parts.push(printable(table.entry(at).name));
  return parts.reverse().join('/');
}

/**
 * Descriptors of a tree's directories, opened one component at a time and never through a symlink. They are places to work
 * below (O_PATH), which cannot be listed or synced. The directory above the root belongs to the caller; it is not closed here.
 * A handle stays open at least until the call after the next one.
 */
export class DirectoryHandles implements Disposable {
  readonly #table: EntryTable;
  readonly #open = new Map<number, number>();
  #parent: number;
  #rootName: Uint8Array;
  // Most files lie in the directory of the file before.
  #lastIndex = -1;
  #lastHandle = -1;

  /** `rootName` is the name the root has in `parentDescriptor`, which need not be the name of entry 0. */
  constructor(table: EntryTable, parentDescriptor: number, rootName: Uint8Array) {
    this.#table = table;
    this.#parent = parentDescriptor;
    this.#rootName = rootName;
  }

  /** Says where the root is now. Directories that are open stay what they are: a rename does not change them. */
  relocate(parentDescriptor: number, rootName: Uint8Array): void {
    this.#parent = parentDescriptor;
    this.#rootName = rootName;
  }

  /** The name of an entry in its directory: its own, or the one the root was given. */
  nameOf(index: number): Uint8Array {
    return index === 0 ? this.#rootName : this.#table.entry(index).name;
  }

  /** Descriptor of the directory that an entry lies in. Throws SystemError. */
  parentOf(index: number): number {
    return this.handle(this.#table.entry(index).parent);
  }

  /** Descriptor of a directory entry; -1 is the directory above the root. Throws SystemError. */
  handle(index: number): number {
    if (index < 0) return this.#parent;
    if (index === this.#lastIndex) return this.#lastHandle;
    let fd = this.#open.get(index);
    if (fd === undefined) fd = this.#openPath(index);
    else {
      this.#open.delete(index);
      this.#open.set(index, fd);
    }
    this.#lastIndex = index;
    this.#lastHandle = fd;
    return fd;
  }

  /** Closes all directories; the next use opens them again. */
  close(): void {
    for (const fd of this.#open.values()) close(fd);
    this.#open.clear();
    this.#lastIndex = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #openPath(index: number): number {
    const path: number[] = [];
    let base = index;
    while (base >= 0 && !this.#open.has(base)) {
      path.push(base);
      const { parent } = this.#table.entry(base);
      assert(parent < base, 'an entry comes after its directory');
      base = parent;
    }
    let fd = base < 0 ? this.#parent : this.#open.get(base)!;
    let unkept = -1;
    for (let depth = path.length - 1; depth >= 0; depth -= 1) {
      const at = path[depth]!;
      const openFlags = flags.O_PATH | flags.O_DIRECTORY | flags.O_NOFOLLOW;
      const next = openat(fd, this.nameOf(at), openFlags);
      if (unkept >= 0) close(unkept);
      unkept = -1;
      fd = check(next, 'openat', () => entryPath(this.#table, at));
      if (depth < keptPerPath) this.#keep(at, fd);
      else unkept = fd;
    }
    return fd;
  }

  #keep(index: number, fd: number): void {
    this.#open.set(index, fd);
    if (this.#open.size <= handlesMax) return;
    for (const [oldest, oldFd] of this.#open) {
      this.#open.delete(oldest);
      close(oldFd);
      if (oldest === this.#lastIndex) this.#lastIndex = -1;
      return;
    }
  }
}
