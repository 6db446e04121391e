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
  /** Of a stream: how many units it may have. Its pieces are computed. */
  readonly streamUnits: number | undefined;
};

/** The units of a manifest: unit → pieces, in typed arrays (24 bytes a piece). */
export class Layout {
  readonly #pieces: Float64Array;
  readonly #firstPieces: Uint32Array;
  /** Its only file is a stream: how long it is shows at its end. */
  readonly isStream: boolean;
  /** Number of units; they are numbered from 0. Of a stream: how many it may have. */
  readonly unitCount: number;
  /** Bytes of content over all units; of a stream 0. */
  readonly contentBytes: number;
  /** Regular files, hardlinked names not counted. */
  readonly fileCount: number;

  private constructor(share: LayoutShare) {
    this.#pieces = share.pieces;
    this.#firstPieces = share.firstPieces;
    this.isStream = share.streamUnits !== undefined;
    this.unitCount = share.streamUnits ?? share.firstPieces.length - 1;
    this.contentBytes = share.contentBytes;
    this.fileCount = share.fileCount;
  }

  /** Cuts the files of `entries`. */
  static of(entries: EntryTable): Layout {
    const root = entries.count === 0 ? undefined : entries.entry(0);
    if (root?.kind === 'file' && root.isStream) return Layout.#ofStream(root.sizeBytes);
    const cutter = new Cutter();
    for (let index = 0; index < entries.count; index++) {
      const entry = entries.entry(index);
      if (entry.kind === 'file') cutter.file(index, entry);
    }
    return new Layout(cutter.finish());
  }

  static #ofStream(sizeBytesMax: number): Layout {
    const none = { pieces: new Float64Array(0), firstPieces: new Uint32Array(1), contentBytes: 0, fileCount: 1 };
    return new Layout({ ...none, streamUnits: Math.ceil(sizeBytesMax / limits.unitBytes) });
  }

  /** The layout that share() gave in another thread. */
  static fromShare(share: LayoutShare): Layout {
    return new Layout(share);
  }

  share(): LayoutShare {
    const { contentBytes, fileCount, isStream, unitCount } = this;
    const streamUnits = isStream ? unitCount : undefined;
    return { pieces: this.#pieces, firstPieces: this.#firstPieces, contentBytes, fileCount, streamUnits };
  }

  /** The pieces of a unit in the order in which their bytes follow each other in it. The last one of a stream may be shorter. */
  pieces(unit: number): Piece[] {
    if (this.isStream) return [{ entry: 0, offset: unit * limits.unitBytes, length: limits.unitBytes }];
    const pieces: Piece[] = [];
    const end = this.#firstPieces[unit + 1] ?? 0;
    for (let index = this.#firstPieces[unit] ?? 0; index < end; index++) pieces.push(this.#piece(index));
    return pieces;
  }

  /** Content of a unit, bytes; the last one of a stream may have less. */
  unitBytes(unit: number): number {
    if (this.isStream) return limits.unitBytes;
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
    if (bytes !== expected && !(this.isStream && bytes < expected)) {
      throw new BatonError('PROTOCOL', `unit ${unit} has ${bytes} bytes where the manifest says ${expected}`);
    }
  }

  /** How many files begin in a unit: what progress in files is counted by. */
  filesBegun(unit: number): number {
    if (this.isStream) return unit === 0 ? 1 : 0;
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
    const counts = { contentBytes: this.#contentBytes, fileCount: this.#fileCount };
    return { pieces, firstPieces, ...counts, streamUnits: undefined };
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
