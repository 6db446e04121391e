import { BatonError } from '@batondb/core/errors';
import { zeroUnitDigest } from '@batondb/core/files/digest-file';
import { isSafeName } from '@batondb/core/files/names';
import type { SurveyItem } from '@batondb/core/files/survey';
import { limits } from '@batondb/core/limits';
import { fromBase64 } from '../bytes.ts';
import type { InventoryItem } from '../control/inventory.ts';

/** Gives the next items of an inventory; undefined after the last. */
export type Pull = () => Promise<readonly InventoryItem[] | undefined>;

/** Digests of units that follow one another: one for each, or one for all of them. */
export type DigestRun = { readonly digests: string; readonly isRepeated: boolean; readonly count: number };

/** How the reading of a file ended. */
export type FileEnd = Extract<InventoryItem, { readonly type: 'end' }>;

const digestLength = zeroUnitDigest.length;

/**
 * Reads one side's inventory, entry by entry. V2: an inventory that is out of order, has holes, or ends early is no inventory:
 * PROTOCOL, and never a tree that looks the same.
 */
export class Cursor {
  readonly #pull: Pull;
  readonly #content: boolean;
  #items: readonly InventoryItem[] = [];
  #at = 0;
  #entry: SurveyItem | undefined;
  #path: Uint8Array[] = [];
  /** Of the present file: units not seen yet, and whether its end has been. */
  #unitsLeft = 0;
  #isFileOpen = false;

  /** `content`: whether the inventory was asked for with content. */
  constructor(pull: Pull, content: boolean) {
    this.#pull = pull;
    this.#content = content;
  }

  /** Where we are; undefined after the last entry. */
  get entry(): SurveyItem | undefined {
    return this.#entry;
  }

  /** The names on the way to the entry below the root, which has none. Good until the next advance(). */
  get path(): readonly Uint8Array[] {
    return this.#path;
  }

  /** Goes to the next entry, past what is left of the present one. */
  async advance(): Promise<void> {
    while (this.#isFileOpen) await this.read();
    const item = await this.#next();
    if (item === undefined) {
      if (this.#entry === undefined) throw wrong('it ended before its root');
      this.#entry = undefined;
      return;
    }
    if (item.type === 'units' || item.type === 'end') throw wrong(`${item.type} without a file`);
    this.#place(item);
    this.#entry = item;
    const sizeBytes = item.type === 'entry' && item.kind === 'file' ? (item.sizeBytes ?? 0) : 0;
    this.#unitsLeft = this.#content ? Math.ceil(sizeBytes / limits.unitBytes) : 0;
    this.#isFileOpen = this.#unitsLeft > 0;
  }

  /** The present file's next digests, then its end; a file without content has none. */
  async read(): Promise<DigestRun | FileEnd> {
    if (!this.#isFileOpen) return { type: 'end', state: 'whole' };
    const item = await this.#next();
    if (item?.type === 'end') {
      if (this.#unitsLeft > 0) throw wrong(`${this.#unitsLeft} units of a file are missing`);
      this.#isFileOpen = false;
      return item;
    }
    if (item?.type !== 'units') throw wrong('a file has no end');
    const { digests, times } = item;
    const isRepeated = times !== undefined;
    if (isRepeated && digests.length !== digestLength) throw wrong('several digests are repeated');
    const count = times ?? digests.length / digestLength;
    if (count > this.#unitsLeft) throw wrong('a file has more units than its size');
    this.#unitsLeft -= count;
    return { digests, isRepeated, count };
  }

  async #next(): Promise<InventoryItem | undefined> {
    while (this.#at >= this.#items.length) {
      const items = await this.#pull();
      if (items === undefined) return undefined;
      this.#items = items;
      this.#at = 0;
    }
    return this.#items[this.#at++];
  }

  #place(item: SurveyItem): void {
    const { depth } = item;
    const before = this.#entry;
    if (before === undefined) {
      const isRoot = depth === 0 && item.type === 'entry' && this.#path.length === 0;
      if (!isRoot) throw wrong('its first entry is not the root');
      return;
    }
    const isDirectory = before.type === 'entry' && before.kind === 'directory' && before.isUnlisted !== true;
    if (depth < 1 || depth > this.#path.length + (isDirectory ? 1 : 0)) throw wrong('an entry has no directory');
    const name = fromBase64(item.name);
    if (!isSafeName(name)) throw wrong('a name is none');
    const sibling = this.#path[depth - 1];
    if (sibling !== undefined && Buffer.compare(name, sibling) <= 0) throw wrong('its entries are out of order');
    this.#path.length = depth - 1;
    this.#path.push(name);
  }
}

/** The order of a walk: a directory, then what is in it, names bytewise. */
export function comparePaths(a: readonly Uint8Array[], b: readonly Uint8Array[]): number {
  const common = Math.min(a.length, b.length);
  for (let index = 0; index < common; index++) {
    const order = Buffer.compare(a[index] as Uint8Array, b[index] as Uint8Array);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Whether a path lies below another one. */
export function isBelow(path: readonly Uint8Array[], top: readonly Uint8Array[]): boolean {
  return path.length > top.length && top.every((name, index) => Buffer.compare(name, path[index] as Uint8Array) === 0);
}

function wrong(what: string): BatonError {
  return new BatonError('PROTOCOL', `the inventory of a tree cannot be right: ${what}`);
}
