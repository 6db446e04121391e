import { BatonError } from '@batondb/core/errors';
import { lockLevels, results } from '../engine/codes.ts';
import type { PageSource } from '../engine/page-source.ts';
import type { FileLayer, LayerFile } from '../log/file-layer.ts';
import type { ReadGate } from '../log/read-gate.ts';
import type { DatabaseId } from './command.ts';
import { headerBytes } from './database.ts';
import type { LogFiles } from './log-files.ts';
import type { PageIndex, Snapshot } from './page-index.ts';
import type { Paths } from './paths.ts';
import type { Position } from './position.ts';

/** What a thread that only reads needs. */
export type ReaderContext = {
  readonly index: PageIndex;
  readonly gate: ReadGate;
  readonly layer: FileLayer;
  readonly paths: Paths;
  readonly logFiles: LogFiles;
};

/** Where in the header the number of pages is. */
const pageCountOffset = 28;

/** A database for one connection of a thread that only reads: published states, each pinned while it is looked at. */
export class ReaderView implements PageSource, Disposable {
  readonly pageBytes: number;
  readonly #database: DatabaseId;
  readonly #context: ReaderContext;
  readonly #base: LayerFile;
  readonly #pin: number;
  #level: number = lockLevels.NONE;
  #snapshot: Snapshot = { frame: 0, floor: 0 };
  #position: Position = { epoch: 0, index: 0 };
  #pageCount = 0;
  /** SQLite looks at the header in each transaction, and mostly nothing was published since the last one. */
  readonly #header: Buffer = Buffer.alloc(headerBytes);
  #headerFrame: number | undefined;

  /** Throws LIMIT when all pins are taken. */
  constructor(database: { readonly id: DatabaseId; readonly pageBytes: number }, context: ReaderContext) {
    this.pageBytes = database.pageBytes;
    this.#database = database.id;
    this.#context = context;
    const pin = context.index.takePin();
    if (pin === undefined)
      throw new BatonError('LIMIT', 'there are as many readers as are possible', { hint: 'close some' });
    this.#pin = pin;
    this.#base = context.layer.open(context.paths.pagesOf(database.id), 'read');
  }

  /** What the newest transaction has seen, at least. */
  get position(): Position {
    return this.#position;
  }

  lock(level: number): number {
    if (level > lockLevels.SHARED) return results.READONLY;
    if (this.#level !== lockLevels.NONE) return results.OK;
    const { index } = this.#context;
    // Told before the pin is set, so that the state that is read is this one or a later one.
    this.#position = index.published().position;
    this.#snapshot = index.pin(this.#pin);
    this.#level = level;
    this.#readHeader();
    return results.OK;
  }

  unlock(level: number): void {
    if (level !== lockLevels.NONE || this.#level === lockLevels.NONE) return;
    this.#level = lockLevels.NONE;
    this.#context.index.unpin(this.#pin);
  }

  isReserved(): boolean {
    return false;
  }

  pageCount(): number {
    return this.#pageCount;
  }

  read(page: number, offset: number, into: Uint8Array): void {
    if (page === 1 && offset + into.length <= headerBytes)
      into.set(this.#header.subarray(offset, offset + into.length));
    else this.#read(page, offset, into);
  }

  #readHeader(): void {
    if (this.#headerFrame === this.#snapshot.frame) return;
    this.#headerFrame = undefined;
    this.#read(1, 0, this.#header);
    this.#pageCount = this.#header.readUInt32BE(pageCountOffset);
    this.#headerFrame = this.#snapshot.frame;
  }

  #read(page: number, offset: number, into: Uint8Array): void {
    const { index, logFiles } = this.#context;
    const place = index.find(this.#database, page, this.#snapshot);
    try {
      if (place !== undefined) logFiles.read({ file: place.file, offset: place.offset + offset }, into);
      else into.fill(0, this.#base.read(into, (page - 1) * this.pageBytes + offset));
    } catch (error) {
      if (index.holds(this.#pin)) throw error;
    }
    // Looked at last: while the pin was ours, nothing that was read can have been written over.
    if (!index.holds(this.#pin)) {
      throw new BatonError('HISTORY_LOST', 'a read lasted so long that its snapshot was given up', {
        retryable: true,
        hint: 'read in smaller pieces, or raise snapshotMsMax',
      });
    }
  }

  write(): void {
    throw new BatonError('BUG', 'a reader wrote a page');
  }

  truncate(): void {
    throw new BatonError('BUG', 'a reader truncated a database');
  }

  commit(): void {}

  [Symbol.dispose](): void {
    this.unlock(lockLevels.NONE);
    this.#context.index.freePin(this.#pin);
    this.#base.close();
  }
}
