import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Entry } from '../protocol/entry.ts';
import type { EntryTable } from '../protocol/entry-table.ts';

// How a tree's content is cut into units. The cut follows from the manifest alone, so every host computes the same
// one and a unit's number is enough to name it. A file's own cuts follow from the file alone (T1): a tree
// that gained or lost other files still has the same pieces of this one.

/** A part of one file: all of a small one, at most 1 MiB of a large one, nothing of an empty one. Bytes. */
export type Piece = {
  /** Index of the file's entry. */
  readonly entry: number;
  readonly offset: number;
  readonly length: number;
};

const columns = 3;

/** A layout as it goes from one thread to another: the arrays lie in shared memory. */
export type LayoutShare = {
  readonly pieces: Float64Array;
  readonly firstPieces: Uint32Array;
  readonly contentBytes: number;
  readonly fileCount: number;
};

/** The units of a manifest: unit → pieces, in typed arrays (24 bytes a piece). */
export class Layout {
  readonly #pieces: Float64Array;
  readonly #firstPieces: Uint32Array;
  /** Number of units; they are numbered from 0. */
  readonly unitCount: number;
  /** Bytes of content over all units. */
  readonly contentBytes: number;
  /** Regular files, hardlinked names not counted. */
  readonly fileCount: number;

  private constructor(share: LayoutShare) {
    this.#pieces = share.pieces;
    this.#firstPieces = share.firstPieces;
    this.unitCount = share.firstPieces.length - 1;
    this.contentBytes = share.contentBytes;
    this.fileCount = share.fileCount;
  }

  /** Cuts the files of `entries`. */
  static of(entries: EntryTable): Layout {
    const cutter = new Cutter();
    for (let index = 0; index < entries.count; index++) {
      const entry = entries.entry(index);
      if (entry.kind === 'file') cutter.file(index, entry);
    }
    return new Layout(cutter.finish());
  }

  /** The layout that share() gave in another thread. */
  static fromShare(share: LayoutShare): Layout {
    return new Layout(share);
  }

  share(): LayoutShare {
    const { contentBytes, fileCount } = this;
    return { pieces: this.#pieces, firstPieces: this.#firstPieces, contentBytes, fileCount };
  }

  /** The pieces of a unit in the order in which their bytes follow each other in it. */
  pieces(unit: number): Piece[] {
    const pieces: Piece[] = [];
    const end = this.#firstPieces[unit + 1] ?? 0;
    for (let index = this.#firstPieces[unit] ?? 0; index < end; index++) pieces.push(this.#piece(index));
    return pieces;
  }

  /** Content of a unit, bytes. */
  unitBytes(unit: number): number {
    let bytes = 0;
    const end = this.#firstPieces[unit + 1] ?? 0;
    for (let index = this.#firstPieces[unit] ?? 0; index < end; index++)
      bytes += this.#pieces[index * columns + 2] ?? 0;
    return bytes;
  }

  /** Throws PROTOCOL when a peer's unit is not one of ours, or not of our size. */
  checkUnit(unit: number, bytes: number): void {
    if (unit >= this.unitCount) {
      throw new BatonError('PROTOCOL', `unit ${unit} does not exist; the manifest has ${this.unitCount}`);
    }
    const expected = this.unitBytes(unit);
    if (bytes !== expected) {
      throw new BatonError('PROTOCOL', `unit ${unit} has ${bytes} bytes where the manifest says ${expected}`);
    }
  }

  /** How many files begin in a unit: what progress in files is counted by. */
  filesBegun(unit: number): number {
    let files = 0;
    const end = this.#firstPieces[unit + 1] ?? 0;
    for (let index = this.#firstPieces[unit] ?? 0; index < end; index++) {
      const previous = index === 0 ? -1 : this.#pieces[(index - 1) * columns];
      if (this.#pieces[index * columns] !== previous) files++;
    }
    return files;
  }

  #piece(index: number): Piece {
    const at = index * columns;
    return { entry: this.#pieces[at] ?? 0, offset: this.#pieces[at + 1] ?? 0, length: this.#pieces[at + 2] ?? 0 };
  }
}

class Cutter {
  readonly #pieces: number[] = [];
  readonly #firstPieces: number[] = [0];
  #openBytes = 0;
  #openPieces = 0;
  #contentBytes = 0;
  #fileCount = 0;

  file(index: number, entry: Entry & { kind: 'file' }): void {
    this.#fileCount++;
    const extents = entry.extents ?? [{ offset: 0, length: entry.sizeBytes }];
    // An empty file, or one that is all hole, still has a piece: that piece is what creates it.
    if (extents.length === 0) this.#add(index, 0, 0);
    for (const extent of extents) {
      const end = extent.offset + extent.length;
      let offset = extent.offset;
      do {
        const length = Math.min(limits.unitBytes, end - offset);
        this.#add(index, offset, length);
        offset += length;
      } while (offset < end);
    }
  }

  finish(): LayoutShare {
    if (this.#openPieces > 0) this.#close();
    const pieces = new Float64Array(new SharedArrayBuffer(this.#pieces.length * Float64Array.BYTES_PER_ELEMENT));
    pieces.set(this.#pieces);
    const firstPieces = new Uint32Array(
      new SharedArrayBuffer(this.#firstPieces.length * Uint32Array.BYTES_PER_ELEMENT),
    );
    firstPieces.set(this.#firstPieces);
    return { pieces, firstPieces, contentBytes: this.#contentBytes, fileCount: this.#fileCount };
  }

  #add(entry: number, offset: number, length: number): void {
    const isFull = this.#openBytes + length > limits.unitBytes || this.#openPieces === limits.unitPiecesMax;
    if (isFull && this.#openPieces > 0) this.#close();
    this.#pieces.push(entry, offset, length);
    this.#openBytes += length;
    this.#openPieces++;
    this.#contentBytes += length;
  }

  #close(): void {
    this.#firstPieces.push(this.#pieces.length / columns);
    this.#openBytes = 0;
    this.#openPieces = 0;
  }
}
