import type { TableRecord } from '../sink.ts';
import type { Change, Position } from '../stream.ts';
import { nameOf, type Table } from '../table.ts';
import { recordOf } from '../table-record.ts';

/** What a sink of lines knows of its tables, and which of it has changed since that was last told. */
export class TableMemory {
  readonly #records: Map<string, TableRecord>;
  #changed = new Map<string, TableRecord | null>();
  /** What was known of what has changed. */
  #before = new Map<string, TableRecord | undefined>();

  readonly #whole = new Set<string>();

  constructor(records: ReadonlyMap<string, TableRecord>) {
    this.#records = new Map(records);
  }

  get records(): ReadonlyMap<string, TableRecord> {
    return this.#records;
  }

  /** Records that have changed since the last call; null for tables that are gone. */
  takeChanged(): ReadonlyMap<string, TableRecord | null> {
    const changed = this.#changed;
    this.#changed = new Map();
    this.#before = new Map();
    return changed;
  }

  /** What has changed since `takeChanged` did not happen. */
  rollBack(): void {
    for (const [name, record] of this.#before) {
      if (record === undefined) this.#records.delete(name);
      else this.#records.set(name, record);
    }
    this.takeChanged();
    this.#whole.clear();
  }

  remember(table: Table, changes: { readonly dumpedAt?: Position | undefined; readonly isResyncing?: boolean }): void {
    const before = this.#records.get(nameOf(table));
    const dumpedAt = 'dumpedAt' in changes ? changes.dumpedAt : before?.dumpedAt;
    const isResyncing = changes.isResyncing ?? before?.isResyncing ?? false;
    this.#change(nameOf(table), recordOf(table, { dumpedAt, isResyncing }));
  }

  forget(name: string): void {
    this.#change(name, null);
  }

  /** A change of rows changes nothing of what is known of their table. */
  apply(change: Change): void {
    if (change.kind === 'reshape') this.#reshape(change.table);
    else if (change.kind === 'drop') this.forget(nameOf(change.table));
    else if (change.kind === 'resync') this.#resync(change);
  }

  /** At the end of a transaction: tables that were never dumped, and of which all rows have come in the stream, count as dumped at its position. */
  end(position: Position): void {
    for (const name of this.#whole) {
      const record = this.#records.get(name);
      if (record !== undefined) this.#change(name, { ...record, dumpedAt: position });
    }
    this.#whole.clear();
  }

  #resync({ table, state, scope }: Extract<Change, { kind: 'resync' }>): void {
    this.remember(table, { isResyncing: state === 'begin' });
    const name = nameOf(table);
    if (state === 'end' && scope === 'table' && this.#records.get(name)?.dumpedAt === undefined) this.#whole.add(name);
  }

  /** What is known goes with a table that has another name now, and not to one that was made anew under an old name. */
  #reshape(table: Table): void {
    const before = [...this.#records.values()].find(({ id }) => id === table.id);
    if (before !== undefined && nameOf(before) !== nameOf(table)) this.forget(nameOf(before));
    this.remember(table, { dumpedAt: before?.dumpedAt, isResyncing: before?.isResyncing ?? false });
  }

  #change(name: string, record: TableRecord | null): void {
    if (!this.#before.has(name)) this.#before.set(name, this.#records.get(name));
    this.#changed.set(name, record);
    if (record === null) this.#records.delete(name);
    else this.#records.set(name, record);
  }
}
