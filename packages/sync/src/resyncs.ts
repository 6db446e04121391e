import { KeySet } from './key-set.ts';
import type { OwnedSink } from './sink.ts';
import type { SourceSession } from './source.ts';
import type { Resync, StreamEvent, Update } from './stream.ts';
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
  /** Tables of which more keys are being asked for, and what the reading that they end is of. */
  readonly #asking = new Map<string, Resync['scope']>();
  /** Keys that rows were given by updates which did not tell all of them, where the row of the old key may not have been what it has to be. */
  readonly #moved = new Map<string, Row[]>();
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
        if (told?.state !== 'end') return told;
        if (this.#askMoved(told)) return undefined;
        this.#repairing.delete(told.table.id);
        return told;
      }
      case 'drop':
        this.#repairing.delete(event.table.id);
        this.#moved.delete(event.table.id);
        this.#forget(event.table);
        return event;
      case 'update':
        this.#noteMove(event);
        this.#seen.get(event.table.id)?.add(keyOf(event.table, event.row));
        return event;
      case 'insert':
        this.#seen.get(event.table.id)?.add(keyOf(event.table, event.row));
        return event;
      default:
        return event;
    }
  }

  [Symbol.dispose](): void {
    for (const seen of this.#seen.values()) seen[Symbol.dispose]();
    this.#seen.clear();
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
    this.#asking.set(table.id, 'table');
    this.#session.resync({ table: original, keys: this.#surplus(table, seen) });
    return undefined;
  }

  #keys(event: Resync): Resync | undefined {
    const { table, state } = event;
    const scope = this.#asking.get(table.id);
    if (scope === undefined) return event;
    if (state === 'begin') return undefined;
    this.#forget(table);
    return { ...event, scope };
  }

  #noteMove({ table, row, old }: Update): void {
    if (old === undefined || !(this.#repairing.has(table.id) || this.#seen.has(table.id))) return;
    if (!row.some((field, place) => field === undefined && old[place] === undefined)) return;
    const keys = this.#moved.get(table.id) ?? [];
    this.#moved.set(table.id, keys);
    keys.push(keyOf(table, row));
  }

  /** Nobody has asked for those keys, and the sink could not know what is in their rows (Y5). */
  #askMoved({ table, scope }: Resync): boolean {
    const keys = this.#moved.get(table.id);
    const original = this.#original(table.id);
    if (keys === undefined || original === undefined) return false;
    this.#moved.delete(table.id);
    this.#asking.set(table.id, scope);
    const once = async function* (): AsyncIterable<readonly Row[]> {
      yield keys;
    };
    this.#session.resync({ table: original, keys: once() });
    return true;
  }

  async *#surplus(table: Table, seen: KeySet): AsyncIterable<readonly Row[]> {
    for await (const keys of this.#sink.keys!(table)) {
      // The table has gone meanwhile, or is being read anew once more: what was seen before tells nothing about its rows.
      if (this.#seen.get(table.id) !== seen) return;
      const surplus = keys.filter((key) => !seen.has(key));
      if (surplus.length > 0) yield surplus;
    }
  }

  #forget({ id }: Table): void {
    this.#seen.get(id)?.[Symbol.dispose]();
    this.#seen.delete(id);
    this.#asking.delete(id);
  }
}
