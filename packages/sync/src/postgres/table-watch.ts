import type { Partition, PublishedTable } from './catalog.ts';
import type { Lsn } from './position.ts';
import type { RelationBook } from './relations.ts';

// Looks at the catalog now and then: a table that nobody writes to is in no message of the stream, and one that was dropped never is again. Nor does the stream tell of
// partitions that are truncated, attached or detached, when their table is published as one, nor of what happens to a table while it is not published.

export type CatalogView = {
  readonly tables: readonly PublishedTable[];
  /** The log after the catalog was read. */
  readonly lsn: Lsn;
  /** Of the ids that were asked for, those that are of no table any more, or of a partition. */
  readonly gone: readonly string[];
};

export type TableWatchContext = {
  readonly book: RelationBook;
  /** Published and not wanted by the sink. */
  readonly unwanted: ReadonlySet<string>;
  /** By `Table.id`: what was published before the stream began. */
  readonly published: ReadonlyMap<string, PublishedTable>;
  readonly look: (ids: readonly string[]) => Promise<CatalogView>;
  readonly note: (message: string) => void;
};

export class TableWatch {
  readonly #context: TableWatchContext;
  readonly #unpublished = new Set<string>();
  /** By `Table.id`, at the last look. */
  #seen: ReadonlyMap<string, PublishedTable>;

  constructor(context: TableWatchContext) {
    this.#context = context;
    this.#seen = context.published;
  }

  /** One look; what it finds is told when the stream has come so far. */
  async look(): Promise<void> {
    const { book, unwanted, note } = this.#context;
    const known = book.ids();
    const { tables, lsn, gone } = await this.#context.look([...known.keys()]);
    const published = new Set(tables.map(({ table }) => table.id));
    const seen = new Map(tables.map((description) => [description.table.id, description]));
    // The rows of a table that has become a partition are those of another one now.
    const lost = gone.filter((id) => !published.has(id));
    for (const id of lost) book.notice(lsn, id, undefined);
    for (const description of tables) {
      const { id } = description.table;
      if (unwanted.has(id)) continue;
      const before = this.#seen.get(id);
      const areRowsOther = this.#unpublished.has(id) || (before !== undefined && !areRowsSame(before, description));
      const isTaken = book.notice(lsn, id, description, areRowsOther);
      if (isTaken) this.#unpublished.delete(id);
      // What cannot be taken now is seen again at the next look.
      else if (before !== undefined) seen.set(id, before);
    }
    this.#seen = seen;
    for (const [id, { schema, name }] of known) {
      const isUnpublished = !published.has(id) && !lost.includes(id);
      if (isUnpublished && !this.#unpublished.has(id)) {
        note(`${schema}.${name} is published no more: its rows stay in the sink as they are`);
      }
      if (isUnpublished) this.#unpublished.add(id);
    }
  }
}

function areRowsSame(before: PublishedTable, now: PublishedTable): boolean {
  return before.publishedBy === now.publishedBy && arePartitionsSame(before.partitions, now.partitions);
}

/** Rows come and go with partitions, but not with one that is new and empty. */
function arePartitionsSame(before: readonly Partition[], now: readonly Partition[]): boolean {
  const files = new Map(before.map(({ oid, file }) => [oid, file]));
  const isNoneLost = before.every(({ oid, file }) => now.some((each) => each.oid === oid && each.file === file));
  return isNoneLost && now.every(({ oid, isBorn }) => files.has(oid) || isBorn);
}
