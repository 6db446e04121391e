import { limits } from '../limits.ts';
import type { DirectoryEntry } from '../protocol/entry.ts';
import type { EntryTable } from '../protocol/entry-table.ts';
import { badArchive } from './archive-error.ts';

/** The directories of a tree that is being unpacked, parents before children; entry 0 is its top, which has no name of its own. */
export class UnpackedDirectories implements EntryTable {
  readonly #entries: DirectoryEntry[] = [];
  readonly #byPlace = new Map<string, number>();
  /** Those that the archive has spoken of itself. */
  readonly #said = new Set<number>();

  constructor(top: DirectoryEntry) {
    this.#entries.push(top);
  }

  get count(): number {
    return this.#entries.length;
  }

  entry(index: number): DirectoryEntry {
    const entry = this.#entries[index];
    if (entry === undefined) throw new Error(`there is no directory ${index}`);
    return entry;
  }

  /** The index of the directory of that name in another one; undefined: none was made. */
  find(parent: number, name: Uint8Array): number | undefined {
    return this.#byPlace.get(keyOf(parent, name));
  }

  /** Takes note of a directory that was made. Returns its index. Throws BAD_ARCHIVE when there are too many. */
  add(entry: DirectoryEntry, member: Uint8Array): number {
    const index = this.#entries.push(entry) - 1;
    if (index > limits.archiveDirectoriesMax)
      throw badArchive(member, `is one directory more than the limit of ${limits.archiveDirectoriesMax}`);
    this.#byPlace.set(keyOf(entry.parent, entry.name), index);
    return index;
  }

  /** What the archive says of a directory. False when it has said something before. */
  say(index: number, entry: DirectoryEntry): boolean {
    if (this.#said.has(index)) return false;
    this.#said.add(index);
    this.#entries[index] = entry;
    return true;
  }

  /** Whether the archive has spoken of it: the others were made because something lies in them. */
  isSaid(index: number): boolean {
    return this.#said.has(index);
  }
}

function keyOf(parent: number, name: Uint8Array): string {
  return `${parent}/${Buffer.from(name).toString('latin1')}`;
}
