import { limits } from '../limits.ts';
import type { Extent } from '../protocol/entry.ts';
import { badArchive } from './archive-error.ts';
import { number } from './tar-header.ts';

// Maps of sparse files, as GNU tar writes them ("Storing Sparse Files" in its manual): the old one of header type `S`, with
// further blocks after the header, and format 1.0, where the map comes before the content. Formats 0.0 and 0.1 are refused.

const newline = 0x0a;

/** Collects the extents of one file and checks them. */
export class SparseMap {
  readonly #path: Uint8Array;
  readonly #extents: Extent[] = [];
  #end = 0;
  #storedBytes = 0;

  constructor(path: Uint8Array) {
    this.#path = path;
  }

  /** Adds a range of data; an empty one only says where the file ends. Throws BAD_ARCHIVE. */
  add(offset: number, length: number): void {
    if (length === 0) return;
    if (offset < this.#end || length < 0 || this.#extents.length >= limits.archiveExtentsMax)
      throw badArchive(this.#path, `has a map of holes that goes from ${this.#end} to ${offset}, or is too long`);
    this.#extents.push({ offset, length });
    this.#end = offset + length;
    this.#storedBytes += length;
  }

  /** The extents, if they fit what the header says. Throws BAD_ARCHIVE. */
  finish(sizeBytes: number, storedBytes: number): readonly Extent[] {
    if (this.#end <= sizeBytes && this.#storedBytes === storedBytes) return this.#extents;
    throw badArchive(
      this.#path,
      `has a map of holes for ${this.#storedBytes} bytes up to ${this.#end}, but stores ${storedBytes} of ${sizeBytes}`,
    );
  }
}

/**
 * Adds the entries of a header of type `S` (four, at 386) or of a block that follows it (21, at 0). Returns whether another
 * block follows. Throws BAD_ARCHIVE.
 */
export function addOldMap(map: SparseMap, block: Uint8Array, isHeader: boolean, path: Uint8Array): boolean {
  const [start, count] = isHeader ? [386, 4] : [0, 21];
  for (let index = 0; index < count; index += 1) {
    const at = start + 24 * index;
    // What is not used is zero.
    if (block[at] === 0 && block[at + 12] === 0) break;
    map.add(number(block, at, 12, 'hole', path), number(block, at + 12, 12, 'hole', path));
  }
  return block[isHeader ? 482 : 504] !== 0;
}

/** The length of the whole file in a header of type `S`. Throws BAD_ARCHIVE. */
export function oldRealSize(block: Uint8Array, path: Uint8Array): number {
  return number(block, 483, 12, 'real size', path);
}

/** Reads a map of format 1.0 from the blocks before the content: a count, then offset and length of each, a line each. */
export class NewMap {
  readonly #map: SparseMap;
  readonly #path: Uint8Array;
  #digits = '';
  #left = -1;
  #offset = -1;

  constructor(map: SparseMap, path: Uint8Array) {
    this.#map = map;
    this.#path = path;
  }

  /** Takes one block; true when the map is complete with it. Throws BAD_ARCHIVE. */
  take(block: Uint8Array): boolean {
    for (const byte of block) {
      if (this.#left === 0) break;
      if (byte === newline) this.#number();
      else if (byte >= 0x30 && byte <= 0x39 && this.#digits.length < 16) this.#digits += String.fromCharCode(byte);
      else throw badArchive(this.#path, 'has a map of holes that is not made of numbers');
    }
    return this.#left === 0;
  }

  #number(): void {
    const value = this.#digits === '' ? Number.NaN : Number(this.#digits);
    this.#digits = '';
    if (!Number.isSafeInteger(value)) throw badArchive(this.#path, 'has a map of holes with a line that is no number');
    if (this.#left < 0) {
      if (value > limits.archiveExtentsMax)
        throw badArchive(this.#path, `has ${value} stretches of data, and the limit is ${limits.archiveExtentsMax}`);
      this.#left = value;
    } else if (this.#offset < 0) this.#offset = value;
    else {
      this.#map.add(this.#offset, value);
      this.#offset = -1;
      this.#left -= 1;
    }
  }
}
