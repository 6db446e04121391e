import { assert } from '@batondb/core/errors';
import type { PageArena, Slot } from './page-arena.ts';

// What lies over a database's published pages: the pages of transactions that the log has not accepted yet, in layers, one a
// transaction. Whoever reads at a layer sees it and those below it. Undo is dropping layers.

type Layer = {
  /** The transaction's sequence number once it has committed; infinite before. */
  number: number;
  readonly pages: Set<number>;
  pageCount: number;
};
type Version = { readonly slot: Slot; readonly layer: Layer; readonly older: Version | undefined };

/** What a group of layers comes to. */
export type Merged = {
  /** Pages to write, ascending. */
  readonly pages: readonly number[];
  /** The fewest pages that the database had in between: what was above is gone, though the database may have grown again. */
  readonly pageCountMin: number;
  readonly pageCount: number;
};

/** Above the number of every layer: who reads here sees the open transaction, too. */
export const openLayer: number = Number.POSITIVE_INFINITY;

/** The layers over one database. The topmost may be open, which means that it is written to. */
export class Overlay {
  readonly #arena: PageArena;
  readonly #newest = new Map<number, Version>();
  readonly #layers: Layer[] = [];

  constructor(arena: PageArena) {
    this.#arena = arena;
  }

  /** Begins a layer over all others, for a database of `pageCount` pages. */
  begin(pageCount: number): void {
    assert(this.#layers.at(-1)?.number !== openLayer, 'O1: one layer at a time is open');
    this.#layers.push({ number: openLayer, pages: new Set(), pageCount });
  }

  /** Writes a page into the open layer. */
  write(page: number, content: Uint8Array): void {
    const layer = this.#open();
    const newest = this.#newest.get(page);
    if (newest?.layer === layer) this.#arena.replace(newest.slot, content);
    else {
      this.#newest.set(page, { slot: this.#arena.keep(content), layer, older: newest });
      layer.pages.add(page);
    }
    layer.pageCount = Math.max(layer.pageCount, page);
  }

  /** Sets how many pages the database has at the open layer. */
  truncate(pageCount: number): void {
    this.#open().pageCount = pageCount;
  }

  /** True when the open layer changes anything. */
  hasChanges(pageCountBefore: number): boolean {
    const layer = this.#open();
    return layer.pages.size > 0 || layer.pageCount !== pageCountBefore;
  }

  /** Closes the open layer under a number above all others. */
  seal(number: number): void {
    const layer = this.#open();
    assert(number > (this.#layers.at(-2)?.number ?? 0), 'O2: layers grow');
    layer.number = number;
  }

  /** Reads a part of the newest version of a page at or below a layer. False: no layer has it. */
  read(page: number, layerMax: number, offset: number, into: Uint8Array): boolean {
    let version = this.#newest.get(page);
    while (version !== undefined && version.layer.number > layerMax) version = version.older;
    if (version === undefined) return false;
    this.#arena.read(version.slot, offset, into);
    return true;
  }

  /** How many pages the database has at a layer; undefined when no layer at or below it is here. */
  pageCount(layerMax: number): number | undefined {
    return this.#layers.findLast(({ number }) => number <= layerMax)?.pageCount;
  }

  /** The layers above `after` and through `through`, of which there is at least one, as if they were one. */
  merge(after: number, through: number): Merged {
    const group = this.#layers.filter(({ number }) => number > after && number <= through);
    let pageCountMin = Number.POSITIVE_INFINITY;
    const pages = new Set<number>();
    for (const layer of group.reverse()) {
      pageCountMin = Math.min(pageCountMin, layer.pageCount);
      for (const page of layer.pages) if (page <= pageCountMin) pages.add(page);
    }
    return { pages: [...pages].sort((a, b) => a - b), pageCountMin, pageCount: group[0]!.pageCount };
  }

  /** Drops all layers above `after`. */
  drop(after: number): void {
    for (let top = this.#layers.at(-1); top !== undefined && top.number > after; top = this.#layers.at(-1)) {
      this.#layers.pop();
      for (const page of top.pages) {
        const version = this.#newest.get(page)!;
        assert(version.layer === top, 'O3: the newest version is of the topmost layer that has the page');
        this.#arena.free(version.slot);
        if (version.older === undefined) this.#newest.delete(page);
        else this.#newest.set(page, version.older);
      }
    }
  }

  /** Forgets all layers through a number, whose pages are published. */
  release(through: number): void {
    const count = this.#layers.findIndex(({ number }) => number > through);
    const released = this.#layers.splice(0, count < 0 ? this.#layers.length : count);
    const pages = new Set(released.flatMap((layer) => [...layer.pages]));
    for (const page of pages) this.#releasePage(page, through);
  }

  #releasePage(page: number, through: number): void {
    const kept: Version[] = [];
    for (let version = this.#newest.get(page); version !== undefined; version = version.older) {
      if (version.layer.number > through) kept.push(version);
      else this.#arena.free(version.slot);
    }
    let newest: Version | undefined;
    for (const { slot, layer } of kept.reverse()) newest = { slot, layer, older: newest };
    if (newest === undefined) this.#newest.delete(page);
    else this.#newest.set(page, newest);
  }

  #open(): Layer {
    const layer = this.#layers.at(-1);
    assert(layer?.number === openLayer, 'O1: the topmost layer is open');
    return layer;
  }
}
