import { KeySet } from './key-set.ts';
import type { OwnedSink } from './sink.ts';
import type { SourceSession } from './source.ts';
import type { Resync, StreamEvent } from './stream.ts';
import { keyOf, type Row, type Table } from './table.ts';

/**
 * Tables that are being read anew. After a whole table was read, the sink may have rows that the source has not: their keys are asked for one by one, since a row that
 * has just been made is in neither of the two lists. Until then the table counts as being read, for the sink, too.
 */
export class Resyncs implements Disposable {
  readonly #session: Pick<SourceSession, 'resync'>;
  readonly #sink: OwnedSink;
  /** The source's own tables, by id: those of events may be mapped. */
  readonly #original: (id: string) => Table | undefined;
  readonly #seen = new Map<string, KeySet>();
  /** Tables whose surplus keys are being asked for. */
  readonly #sweeping = new Set<string>();
  /** Ids of tables whose rows are not what they have to be, until they have been read anew. */
  readonly #repairing: Set<string>;

  constructor(
    session: SourceSession,
    sink: OwnedSink,
    original: (id: string) => Table | undefined,
    repairing: Iterable<string>,
  ) {
    this.#session = session;
    this.#sink = sink;
    this.#original = original;
    this.#repairing = new Set(repairing);
  }

  /** Rows that are to be repaired are not yet what they have to be. */
  get isRepairing(): boolean {
    return this.#repairing.size > 0;
  }

  /** The event as it concerns the sink; undefined: not at all. */
  take(event: StreamEvent): StreamEvent | undefined {
    switch (event.kind) {
      case 'resync': {
        const told = event.scope === 'table' ? this.#whole(event) : this.#keys(event);
        if (told?.state === 'end') this.#repairing.delete(told.table.id);
        return told;
      }
      case 'drop':
        this.#repairing.delete(event.table.id);
        this.#forget(event.table);
        return event;
      case 'insert':
      case 'update':
        this.#seen.get(event.table.id)?.add(keyOf(event.table, event.row));
        return event;
      default:
        return event;
    }
  }

  [Symbol.dispose](): void {
    for (const seen of this.#seen.values()) seen[Symbol.dispose]();
  }

  #whole(event: Resync): Resync | undefined {
    const { table, state } = event;
    if (this.#sink.keys === undefined || table.key.length === 0) return event;
    if (state === 'begin') {
      this.#forget(table);
      this.#seen.set(table.id, new KeySet());
      return event;
    }
    const seen = this.#seen.get(table.id);
    const original = this.#original(table.id);
    if (seen === undefined || original === undefined) return event;
    this.#sweeping.add(table.id);
    this.#session.resync({ table: original, keys: this.#surplus(table, seen) });
    return undefined;
  }

  #keys(event: Resync): Resync | undefined {
    const { table, state } = event;
    if (this.#sweeping.has(table.id)) {
      if (state === 'begin') return undefined;
      this.#sweeping.delete(table.id);
      this.#forget(table);
      return { ...event, scope: 'table' };
    }
    return event;
  }

  async *#surplus(table: Table, seen: KeySet): AsyncIterable<readonly Row[]> {
    for await (const keys of this.#sink.keys!(table)) {
      const surplus = keys.filter((key) => !seen.has(key));
      if (surplus.length > 0) yield surplus;
    }
  }

  #forget({ id }: Table): void {
    this.#seen.get(id)?.[Symbol.dispose]();
    this.#seen.delete(id);
  }
}
