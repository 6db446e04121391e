import { assert } from '@batondb/core/errors';
import type { Position } from './position.ts';

// Where accepted pages lie, in memory that all threads share: one writer, any number of readers, no locks.
//
// A frame says that a page of a database lies at an offset of a file. Frames are numbered without end and live in a ring; frames of one
// bucket are linked from the newest to the older ones. A link to a frame at or below the reader's floor ends the chain, since what is older
// is in the database's own file: so nothing is ever removed from a bucket. Numbers are kept as 32 bits and compared by their distance.

/** Cells of the header, each 32 bits. */
const cells = {
  version: 0,
  published: 1,
  indexLow: 2,
  indexHigh: 3,
  folded: 4,
  foldingThrough: 5,
  epoch: 6,
  names: 7,
} as const;
const headerCells = 16;
/** state, snapshot, floor, seconds since the node was opened. */
const pinCells = 4;
/** In place of the seconds: a pin that has no age. */
const ageless = 0x7fffffff;
const pinStates = { free: 0, taken: 1, active: 2, evicted: 3 } as const;
/** database, page, file, offset, link. */
const frameCells = 5;
const bucketsPerFrame = 2;

/** What an index is made for. `frames` is a power of two. */
export type PageIndexSize = { readonly frames: number; readonly pins: number };

/** What a reader sees: frames above `floor`, through `frame`. */
export type Snapshot = { readonly frame: number; readonly floor: number };

/** Where a page's bytes lie: the number of a file of the log, and an offset in it. */
export type PagePlace = { readonly file: number; readonly offset: number };

/** Memory for an index. It may be posted to other threads. */
export function pageIndexMemory({ frames, pins }: PageIndexSize): SharedArrayBuffer {
  const cellCount = headerCells + pins * pinCells + frames * (bucketsPerFrame + frameCells);
  return new SharedArrayBuffer(cellCount * 4);
}

/** The index as one thread sees it. Only one thread may call publish, fold and trim. */
export class PageIndex {
  readonly frames: number;
  readonly #cells: Int32Array;
  readonly #pins: number;
  readonly #pinCount: number;
  readonly #heads: number;
  readonly #buckets: number;
  readonly #ring: number;
  /** The writer's own: the number of the newest frame, and of the newest one whose slot and file may be used again. */
  #newest = 0;
  #trimmed = 0;
  #swept = 0;

  constructor(memory: SharedArrayBuffer, { frames, pins }: PageIndexSize) {
    assert((frames & (frames - 1)) === 0, 'I0: the ring has a power of two of frames');
    this.frames = frames;
    this.#cells = new Int32Array(memory);
    this.#pins = headerCells;
    this.#pinCount = pins;
    this.#heads = headerCells + pins * pinCells;
    this.#buckets = frames * bucketsPerFrame;
    this.#ring = this.#heads + this.#buckets;
  }

  // ── readers ──

  /** Takes a place for a reader's pins, or undefined when all are taken. */
  takePin(): number | undefined {
    for (let pin = 0; pin < this.#pinCount; pin++) {
      const at = this.#pins + pin * pinCells;
      if (Atomics.compareExchange(this.#cells, at, pinStates.free, pinStates.taken) === pinStates.free) return pin;
    }
    return undefined;
  }

  freePin(pin: number): void {
    Atomics.store(this.#cells, this.#pins + pin * pinCells, pinStates.free);
  }

  /**
   * Pins the newest published state. The pin is told first, and then what folds is looked at again: either the one who folds sees the
   * pin, or we see that it goes further than our snapshot (I3). One that `lasts` is taken away only when there is no room otherwise.
   */
  pin(pin: number, lasts: boolean = false): Snapshot {
    const seconds = lasts ? ageless : nowSeconds();
    const at = this.#pins + pin * pinCells;
    for (;;) {
      const floor = Atomics.load(this.#cells, cells.folded);
      const frame = Atomics.load(this.#cells, cells.published);
      Atomics.store(this.#cells, at + 1, frame);
      Atomics.store(this.#cells, at + 2, floor);
      Atomics.store(this.#cells, at + 3, seconds);
      Atomics.store(this.#cells, at, pinStates.active);
      const isFloorSame = Atomics.load(this.#cells, cells.folded) === floor;
      const isFoldBehind = ((Atomics.load(this.#cells, cells.foldingThrough) - frame) | 0) <= 0;
      if (isFloorSame && isFoldBehind) return { frame, floor };
      Atomics.store(this.#cells, at, pinStates.taken);
    }
  }

  /** False when the pin was taken away since: what was read since then may be anything. */
  holds(pin: number): boolean {
    return Atomics.load(this.#cells, this.#pins + pin * pinCells) === pinStates.active;
  }

  unpin(pin: number): void {
    Atomics.store(this.#cells, this.#pins + pin * pinCells, pinStates.taken);
  }

  /** Where the newest version of a page within a snapshot lies; undefined: in the database's own file. */
  find(database: number, page: number, snapshot: Snapshot): PagePlace | undefined {
    const shared = this.#cells;
    const floor = snapshot.floor;
    const depthMax = (snapshot.frame - floor) | 0;
    let frame = Atomics.load(shared, this.#heads + this.#bucket(database, page));
    for (let above = 2 ** 31; ; ) {
      const height = (frame - floor) | 0;
      // A link upwards is one of a slot that was used again: the pin was taken away, and its owner is about to notice (I4).
      if (height <= 0 || height >= above) return undefined;
      above = height;
      const at = this.#at(frame);
      if (height <= depthMax && shared[at + 1] === page && shared[at] === database) {
        return { file: shared[at + 2]! >>> 0, offset: shared[at + 3]! >>> 0 };
      }
      frame = shared[at + 4]!;
    }
  }

  /** The newest published frame and log index, as one. */
  published(): { readonly frame: number; readonly position: Position } {
    for (;;) {
      const version = Atomics.load(this.#cells, cells.version);
      const frame = Atomics.load(this.#cells, cells.published);
      const low = Atomics.load(this.#cells, cells.indexLow) >>> 0;
      const high = Atomics.load(this.#cells, cells.indexHigh) >>> 0;
      const epoch = Atomics.load(this.#cells, cells.epoch) >>> 0;
      if ((version & 1) === 0 && Atomics.load(this.#cells, cells.version) === version)
        return { frame, position: { epoch, index: high * 2 ** 32 + low } };
    }
  }

  /** Waits until something is published after a call of `published` that told less than `index`. */
  async waitFor(index: number, timeoutMs: number): Promise<boolean> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const version = Atomics.load(this.#cells, cells.version);
      if (this.published().position.index >= index) return true;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) return false;
      await Atomics.waitAsync(this.#cells, cells.version, version, leftMs).value;
    }
  }

  /** A number that changes whenever a name of a database may mean another one. */
  get names(): number {
    return Atomics.load(this.#cells, cells.names);
  }

  // ── the writer ──

  /** Number of the newest frame. */
  get newest(): number {
    return this.#newest;
  }

  /** Through which frame the databases' own files hold everything. */
  get folded(): number {
    return this.widen(Atomics.load(this.#cells, cells.folded));
  }

  /** Frames that can be published before some have to be trimmed. */
  get room(): number {
    return this.frames - (this.#newest - this.#trimmed);
  }

  /** Adds a frame that no reader sees before `publish`. */
  add(database: number, page: number, place: PagePlace): void {
    assert(this.room > 0, 'I1: a slot of the ring is used again only after its frame was trimmed');
    this.#sweep();
    const frame = (this.#newest + 1) | 0;
    const at = this.#at(frame);
    const head = this.#heads + this.#bucket(database, page);
    this.#cells[at] = database;
    this.#cells[at + 1] = page;
    this.#cells[at + 2] = place.file;
    this.#cells[at + 3] = place.offset;
    this.#cells[at + 4] = this.#cells[head]!;
    Atomics.store(this.#cells, head, frame);
    this.#newest += 1;
  }

  /** Lets readers see all frames added so far, which are those of log entries through a position. */
  publish({ epoch, index }: Position): void {
    Atomics.add(this.#cells, cells.version, 1);
    Atomics.store(this.#cells, cells.published, this.#newest | 0);
    Atomics.store(this.#cells, cells.epoch, epoch | 0);
    Atomics.store(this.#cells, cells.indexLow, (index % 2 ** 32) | 0);
    Atomics.store(this.#cells, cells.indexHigh, Math.floor(index / 2 ** 32));
    Atomics.add(this.#cells, cells.version, 1);
    Atomics.notify(this.#cells, cells.version);
  }

  /** Tells everybody that databases' names do not mean what they meant: before what changed them is published. */
  rename(): void {
    Atomics.add(this.#cells, cells.names, 1);
  }

  /** The frame at a number, for folding. */
  frameAt(frame: number): { readonly database: number; readonly page: number; readonly place: PagePlace } {
    const at = this.#at(frame);
    const [database = 0, page = 0, file = 0, offset = 0] = this.#cells.subarray(at, at + 4);
    return { database, page, place: { file: file >>> 0, offset: offset >>> 0 } };
  }

  /** Announces a fold through `frame`, or through the oldest snapshot that a reader has, and returns which it is. */
  beginFold(frame: number): number {
    Atomics.store(this.#cells, cells.foldingThrough, frame | 0);
    let through = frame;
    for (const pin of this.#activePins()) through = Math.min(through, pin.frame);
    Atomics.store(this.#cells, cells.foldingThrough, through | 0);
    return through;
  }

  /** The databases' own files hold everything through `frame` now. Returns through which frame nobody needs the log any more. */
  endFold(frame: number): number {
    Atomics.store(this.#cells, cells.folded, frame | 0);
    let through = frame;
    for (const pin of this.#activePins()) through = Math.min(through, pin.floor);
    return through;
  }

  /** Lets the slots of frames through `frame` be used again. */
  trim(frame: number): void {
    this.#trimmed = Math.max(this.#trimmed, frame);
  }

  /** Takes away pins that are older than `ageSeconds`: their readers notice at their next page. Returns how many. */
  evict(ageSeconds: number): number {
    const now = nowSeconds();
    return this.#evict((seconds) => seconds !== ageless && now - seconds >= ageSeconds);
  }

  /** Takes away all pins. */
  evictAll(): number {
    return this.#evict(() => true);
  }

  #evict(isChosen: (seconds: number) => boolean): number {
    let count = 0;
    for (let pin = 0; pin < this.#pinCount; pin++) {
      const at = this.#pins + pin * pinCells;
      if (!isChosen(Atomics.load(this.#cells, at + 3))) continue;
      if (Atomics.compareExchange(this.#cells, at, pinStates.active, pinStates.evicted) === pinStates.active)
        count += 1;
    }
    return count;
  }

  #activePins(): { readonly frame: number; readonly floor: number }[] {
    const pins = [];
    for (let pin = 0; pin < this.#pinCount; pin++) {
      const at = this.#pins + pin * pinCells;
      if (Atomics.load(this.#cells, at) !== pinStates.active) continue;
      const frame = this.widen(Atomics.load(this.#cells, at + 1));
      pins.push({ frame, floor: this.widen(Atomics.load(this.#cells, at + 2)) });
    }
    return pins;
  }

  // One bucket a frame: a head that nobody touched for 2^31 frames would look like a new one.
  #sweep(): void {
    const head = this.#heads + this.#swept;
    if (this.#cells[head]! - (this.#trimmed | 0) < 0) Atomics.store(this.#cells, head, this.#trimmed | 0);
    this.#swept = (this.#swept + 1) % this.#buckets;
  }

  /** The number of a frame of which 32 bits are known. */
  widen(frame: number): number {
    return this.#newest - (((this.#newest | 0) - frame) | 0);
  }

  #at(frame: number): number {
    return this.#ring + (frame & (this.frames - 1)) * frameCells;
  }

  #bucket(database: number, page: number): number {
    const mixed = Math.imul(page ^ Math.imul(database, 0x85ebca6b), 0x9e3779b1);
    return ((mixed ^ (mixed >>> 15)) >>> 0) & (this.#buckets - 1);
  }
}

function nowSeconds(): number {
  return Math.floor(performance.timeOrigin / 1000 + performance.now() / 1000) | 0;
}
