import type { TableRecord } from '../sink.ts';
import { nameOf } from '../table.ts';
import type { Layout, TablePlace } from './layout.ts';

export type IndexedTable = { readonly record: TableRecord; readonly place: TablePlace };

/** Which table a key belongs to. */
export class TableIndex {
  readonly #byPrefix = new Map<string, IndexedTable>();
  readonly #byName = new Map<string, IndexedTable>();
  /** Slashes in every table's prefix: there are as many in each, since names have none. */
  #slashes = 0;

  constructor(layout: Layout, records: Iterable<TableRecord>) {
    for (const record of records) {
      const place = layout.place(record);
      this.#byPrefix.set(place.prefix, { record, place });
      this.#byName.set(nameOf(record), { record, place });
      this.#slashes = place.prefix.split('/').length - 1;
    }
  }

  named(name: string): IndexedTable | undefined {
    return this.#byName.get(name);
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  /** Undefined: it is no key of a row of a table that is known. */
  find(key: string): IndexedTable | undefined {
    let at = -1;
    for (let slashes = 0; slashes < this.#slashes; slashes++) {
      at = key.indexOf('/', at + 1);
      if (at < 0) return undefined;
    }
    return this.#byPrefix.get(key.slice(0, at + 1));
  }
}
