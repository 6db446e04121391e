import { assert } from '@batondb/core/errors';
import { lockLevels, results } from '../engine/codes.ts';
import type { PageSource } from '../engine/page-source.ts';
import { type Database, headerBytes } from './database.ts';
import type { LogFiles } from './log-files.ts';
import { openLayer } from './overlay.ts';
import type { PageIndex, Snapshot } from './page-index.ts';

/** What a view needs of the machine it belongs to. */
export type ViewContext = {
  readonly index: PageIndex;
  readonly logFiles: LogFiles;
  /** The views that have a lock: what they see may not be folded or trimmed. */
  readonly open: Set<WriterView>;
};

/**
 * A database for one connection of the thread that writes. It sees what that thread has committed, accepted by the log or not; so
 * replies that stand on it wait for `layer`.
 */
export class WriterView implements PageSource {
  readonly #database: Database;
  readonly #context: ViewContext;
  #level: number = lockLevels.NONE;
  #snapshot: Snapshot = { frame: 0, floor: 0 };
  #layer = 0;
  #publishedAtBegin = 0;
  #isSealed = false;
  /** SQLite looks at the header in each transaction, and mostly nobody else has written since the last one. */
  readonly #header: Buffer = Buffer.alloc(headerBytes);
  /** The layer whose header it is. */
  #headerLayer: number | undefined;

  constructor(database: Database, context: ViewContext) {
    this.#database = database;
    this.#context = context;
  }

  get pageBytes(): number {
    return this.#database.pageBytes;
  }

  /** Number of the transaction whose state is seen, or was seen last. */
  get layer(): number {
    return this.#layer;
  }

  get publishedAtBegin(): number {
    return this.#publishedAtBegin;
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get #isWriter(): boolean {
    return this.#database.writer === this;
  }

  lock(level: number): number {
    if (this.#level === lockLevels.NONE) this.#begin();
    if (level >= lockLevels.RESERVED && !this.#isWriter) {
      const { writer, sealed, overlay } = this.#database;
      if (writer !== undefined) return results.BUSY;
      if (sealed !== this.#layer) return results.BUSY_SNAPSHOT;
      const pageCount = this.pageCount();
      this.#database.writer = this;
      this.#isSealed = false;
      overlay.begin(pageCount);
    }
    this.#level = Math.max(this.#level, level);
    return results.OK;
  }

  unlock(level: number): void {
    if (level <= lockLevels.SHARED) this.#endWriting();
    if (level === lockLevels.NONE && this.#level !== lockLevels.NONE) this.#end();
    this.#level = Math.min(this.#level, level);
  }

  isReserved(): boolean {
    return this.#database.writer !== undefined;
  }

  pageCount(): number {
    return this.#database.overlay.pageCount(this.#layerMax()) ?? this.#pageCountAtBegin;
  }

  read(page: number, offset: number, into: Uint8Array): void {
    if (page === 1 && offset + into.length <= headerBytes)
      into.set(this.#newestHeader().subarray(offset, offset + into.length));
    else this.#read(page, offset, into);
  }

  #newestHeader(): Buffer {
    const layer = this.#layerMax();
    if (this.#headerLayer !== layer) {
      this.#headerLayer = undefined;
      this.#read(1, 0, this.#header);
      this.#headerLayer = layer;
    }
    return this.#header;
  }

  #read(page: number, offset: number, into: Uint8Array): void {
    const { id, overlay, base, pageBytes } = this.#database;
    if (overlay.read(page, this.#layerMax(), offset, into)) return;
    const place = this.#context.index.find(id, page, this.#snapshot);
    if (place !== undefined) {
      this.#context.logFiles.read({ file: place.file, offset: place.offset + offset }, into);
      return;
    }
    const count = base.read(into, (page - 1) * pageBytes + offset);
    into.fill(0, count);
  }

  write(page: number, content: Uint8Array): void {
    assert(this.#isWriter && !this.#isSealed, 'V1: pages are written by the writer, before its commit');
    this.#database.overlay.write(page, content);
    if (page !== 1) return;
    this.#header.set(content.subarray(0, headerBytes));
    this.#headerLayer = openLayer;
  }

  truncate(pageCount: number): void {
    assert(this.#isWriter && !this.#isSealed, 'V1: pages are written by the writer, before its commit');
    this.#database.overlay.truncate(pageCount);
  }

  commit(): void {
    if (!this.#isWriter || this.#isSealed) return;
    if (!this.#database.overlay.hasChanges(this.#pageCountBefore())) return;
    this.#layer = this.#database.seal();
    if (this.#headerLayer === openLayer) this.#headerLayer = this.#layer;
    this.#isSealed = true;
  }

  /** Gives everything back: the connection is closed, or what it saw was refused. */
  reset(): void {
    this.#endWriting();
    if (this.#level !== lockLevels.NONE) this.#end();
    this.#level = lockLevels.NONE;
    this.#headerLayer = undefined;
  }

  #endWriting(): void {
    if (!this.#isWriter) return;
    if (!this.#isSealed) this.#database.overlay.drop(this.#layer);
    if (this.#headerLayer === openLayer) this.#headerLayer = undefined;
    this.#database.writer = undefined;
  }

  #pageCountAtBegin = 0;

  #pageCountBefore(): number {
    return this.#database.overlay.pageCount(this.#layer) ?? this.#pageCountAtBegin;
  }

  #layerMax(): number {
    return this.#isWriter && !this.#isSealed ? openLayer : this.#layer;
  }

  #begin(): void {
    const { sealed, published, holders } = this.#database;
    const { index, open } = this.#context;
    this.#layer = sealed;
    this.#publishedAtBegin = published.sequence;
    this.#pageCountAtBegin = published.pageCount;
    this.#snapshot = { frame: index.newest | 0, floor: index.folded | 0 };
    holders.add(this);
    open.add(this);
  }

  #end(): void {
    this.#database.holders.delete(this);
    this.#context.open.delete(this);
    this.#database.release();
  }
}
