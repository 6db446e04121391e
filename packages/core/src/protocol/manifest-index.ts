// Where the entries of a manifest are, in typed arrays: 5 bytes an entry, in memory that workers share.

/** `offsets[i]`: where entry i starts in its section; `kinds[i]`: its kind's code; `firsts[s]`: the first entry of section s. */
export type EntryIndex = { readonly offsets: Uint32Array; readonly kinds: Uint8Array; readonly firsts: Uint32Array };

const startCapacity = 1024;

/** Grows by doubling, so that what it holds is a constant times what was added. */
export class EntryIndexBuilder {
  #offsets = new Uint32Array(startCapacity);
  #kinds = new Uint8Array(startCapacity);
  readonly #firsts: number[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The next entry added is the first of a new section. */
  startSection(): void {
    this.#firsts.push(this.#count);
  }

  add(offset: number, kindCode: number): void {
    if (this.#count === this.#kinds.length) this.#grow();
    this.#offsets[this.#count] = offset;
    this.#kinds[this.#count] = kindCode;
    this.#count++;
  }

  /** The kind's code of an entry that was added, 255 for any other. */
  kindCode(index: number): number {
    return index < this.#count ? (this.#kinds[index] ?? 0xff) : 0xff;
  }

  finish(): EntryIndex {
    const offsets = new Uint32Array(new SharedArrayBuffer(this.#count * Uint32Array.BYTES_PER_ELEMENT));
    offsets.set(this.#offsets.subarray(0, this.#count));
    const kinds = new Uint8Array(new SharedArrayBuffer(this.#count));
    kinds.set(this.#kinds.subarray(0, this.#count));
    return { offsets, kinds, firsts: Uint32Array.from(this.#firsts) };
  }

  #grow(): void {
    const offsets = new Uint32Array(this.#offsets.length * 2);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    const kinds = new Uint8Array(this.#kinds.length * 2);
    kinds.set(this.#kinds);
    this.#kinds = kinds;
  }
}
