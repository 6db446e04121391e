import type { PublishedTable } from './catalog.ts';
import type { Lsn } from './position.ts';
import type { RelationBook } from './relations.ts';

// Looks at the catalog now and then: a table that nobody writes to is in no message of the stream, and one that was dropped never is again.

export type CatalogView = {
  readonly tables: readonly PublishedTable[];
  /** The log after the catalog was read. */
  readonly lsn: Lsn;
  /** Of the ids that were asked for, those that are of no table any more. */
  readonly gone: readonly string[];
};

export type TableWatchContext = {
  readonly book: RelationBook;
  /** Published and not wanted by the sink. */
  readonly unwanted: ReadonlySet<string>;
  readonly look: (ids: readonly string[]) => Promise<CatalogView>;
  readonly note: (message: string) => void;
};

export class TableWatch {
  readonly #context: TableWatchContext;
  readonly #unpublished = new Set<string>();

  constructor(context: TableWatchContext) {
    this.#context = context;
  }

  /** One look; what it finds is told when the stream has come so far. */
  async look(): Promise<void> {
    const { book, unwanted, note } = this.#context;
    const known = book.ids();
    const { tables, lsn, gone } = await this.#context.look([...known.keys()]);
    const published = new Set(tables.map(({ table }) => table.id));
    for (const id of gone) book.notice(lsn, id, undefined);
    for (const description of tables)
      if (!unwanted.has(description.table.id)) book.notice(lsn, description.table.id, description);
    for (const [id, { schema, name }] of known) {
      const isUnpublished = !published.has(id) && !gone.includes(id);
      if (isUnpublished && !this.#unpublished.has(id)) {
        note(`${schema}.${name} is published no more: its rows stay in the sink as they are`);
      }
      if (isUnpublished) this.#unpublished.add(id);
      else this.#unpublished.delete(id);
    }
  }
}
