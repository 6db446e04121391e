import type { FileLayer, LayerFile } from '../log/file-layer.ts';

// Room for pages that are not accepted yet: in memory up to a limit, beyond it in a file without a name.

/** A page's place in an arena. */
export type Slot = number;

/** Slots for pages of one size. Slots are used again, the ones in memory first. */
export class PageArena implements Disposable {
  readonly #pageBytes: number;
  readonly #memorySlots: number;
  readonly #openSpill: () => LayerFile;
  readonly #pages: Uint8Array[] = [];
  readonly #freeMemory: Slot[] = [];
  readonly #freeSpilled: Slot[] = [];
  #nextSpilled: Slot;
  #spill: LayerFile | undefined;

  constructor(pageBytes: number, memoryBytes: number, layer: FileLayer, directory: string) {
    this.#pageBytes = pageBytes;
    this.#memorySlots = Math.max(1, Math.floor(memoryBytes / pageBytes));
    this.#nextSpilled = this.#memorySlots;
    this.#openSpill = () => layer.openTemporary(directory);
  }

  /** Keeps a copy of a page. Throws what the file layer throws when the spill file cannot grow. */
  keep(page: Uint8Array): Slot {
    const slot = this.#freeMemory.pop() ?? this.#nextSlot();
    try {
      this.replace(slot, page);
    } catch (error) {
      this.free(slot);
      throw error;
    }
    return slot;
  }

  replace(slot: Slot, page: Uint8Array): void {
    if (slot < this.#memorySlots) this.#pages[slot]!.set(page);
    else this.#spillFile().write(page, this.#offset(slot));
  }

  /** Reads a part of a page that begins at `offset` in it. */
  read(slot: Slot, offset: number, into: Uint8Array): void {
    if (slot < this.#memorySlots) into.set(this.#pages[slot]!.subarray(offset, offset + into.length));
    else this.#spillFile().read(into, this.#offset(slot) + offset);
  }

  free(slot: Slot): void {
    if (slot < this.#memorySlots) this.#freeMemory.push(slot);
    else this.#freeSpilled.push(slot);
    if (this.#spill !== undefined && this.#freeSpilled.length === this.#nextSpilled - this.#memorySlots)
      this.#forgetSpill();
  }

  [Symbol.dispose](): void {
    this.#forgetSpill();
  }

  #nextSlot(): Slot {
    if (this.#pages.length < this.#memorySlots) {
      this.#pages.push(Buffer.allocUnsafeSlow(this.#pageBytes));
      return this.#pages.length - 1;
    }
    return this.#freeSpilled.pop() ?? this.#nextSpilled++;
  }

  #offset(slot: Slot): number {
    return (slot - this.#memorySlots) * this.#pageBytes;
  }

  #spillFile(): LayerFile {
    return (this.#spill ??= this.#openSpill());
  }

  // An empty spill file gives its space back: one large transaction should not hold it for ever.
  #forgetSpill(): void {
    this.#spill?.close();
    this.#spill = undefined;
    this.#freeSpilled.length = 0;
    this.#nextSpilled = this.#memorySlots;
  }
}
