import type { EtcdClient } from '@batondb/etcd';
import type { TableRecord } from '../sink.ts';
import type { StreamEvent, Update } from '../stream.ts';
import { keyOf, nameOf, type Row, type Table, type TableName } from '../table.ts';
import { recordOf } from '../table-record.ts';
import { BaseRows } from './base-rows.ts';
import { clearBelow } from './clear.ts';
import { Group, sizeOf } from './group.ts';
import type { Layout, TablePlace } from './layout.ts';
import type { Outbox } from './outbox.ts';
import type { PoisonRows } from './poison.ts';
import { encodeRecord, type MetaKeys } from './records.ts';
import { completeRow, filled, type Origin, ofDump, rowOfValue, valueOf, wholeRow } from './values.ts';
import type { Writer } from './writer.ts';

export type ApplierParts = {
  readonly client: EtcdClient;
  readonly writer: Writer;
  readonly layout: Layout;
  readonly keys: MetaKeys;
  readonly envelope: boolean;
  readonly poison: PoisonRows;
  /** By `nameOf`; kept up to date. */
  readonly records: Map<string, TableRecord>;
};

/** Turns what a stream tells into keys and values, one transaction after the other, and fills an outbox with them. */
export class Applier {
  readonly #parts: ApplierParts;
  readonly #outbox: Outbox;
  readonly #base: BaseRows;
  readonly #places = new WeakMap<Table, TablePlace>();
  /** What the present transaction does, as far as it has not gone as a part. */
  #transaction = new Group();
  /** Tables whose records change with the present transaction. */
  readonly #changed = new Set<string>();
  /** Tables that are dumped when the present transaction is. */
  readonly #finished = new Set<string>();
  /** Of tables that are being read anew: what was kept aside before, of rows that have not come again too large. */
  readonly #asideBefore = new Map<string, Set<string>>();
  #origin: Origin = ofDump;

  constructor(parts: ApplierParts, outbox: Outbox) {
    this.#parts = parts;
    this.#outbox = outbox;
    this.#base = new BaseRows(parts.client, (key) => {
      const value = this.#transaction.values.get(key);
      return value === undefined ? outbox.find(key) : value;
    });
  }

  /** Fills the outbox until the stream ends. */
  async run(batches: AsyncIterable<readonly StreamEvent[]>): Promise<void> {
    for await (const batch of batches) {
      await this.#prefetch(batch);
      for (const event of batch) {
        const wait = this.#take(event);
        if (wait !== undefined) await wait;
        if (this.#outbox.isFull) await this.#outbox.room();
      }
    }
  }

  /** A promise only where there is something to be waited for: most events are rows, and there are many. */
  #take(event: StreamEvent): Promise<void> | undefined {
    switch (event.kind) {
      case 'begin':
        this.#origin = { position: event.commitsAt, committedAtMs: event.committedAtMs };
        return undefined;
      case 'insert':
        this.#put(event.table, this.#key(event.table, event.row), wholeRow(event.table, event.row));
        return undefined;
      case 'update':
        return this.#update(event);
      case 'delete':
        this.#remove(event.table, this.#key(event.table, event.old));
        return undefined;
      case 'truncate':
        return this.#truncate(event.tables);
      case 'reshape':
        return this.#reshape(event.table);
      case 'drop':
        return this.#drop(event.table);
      case 'resync':
        this.#resync(event.table, event.state, event.scope);
        return undefined;
      case 'commit':
      case 'reached':
        this.#end(event.position, event.isOpen ?? false);
        return undefined;
    }
  }

  #update({ table, row, old }: Update): Promise<void> | undefined {
    const whole = filled(row, old);
    const key = this.#key(table, whole);
    const before = old === undefined ? key : this.#key(table, filled(old, row));
    if (whole.includes(undefined)) return this.#updatePartly(table, whole, before, key);
    this.#replace(table, before, key, wholeRow(table, whole));
    return undefined;
  }

  async #updatePartly(table: Table, row: Row, before: string, key: string): Promise<void> {
    const { poison } = this.#parts;
    if (poison.has(table, before)) {
      if (before !== key) this.#remove(table, before);
      this.#setAside(table, key, undefined);
      return;
    }
    const value = await this.#base.get(before);
    const text = value === undefined ? undefined : rowOfValue(value, this.#parts.envelope);
    const isPartial = this.#parts.records.get(nameOf(table))?.isResyncing ?? false;
    this.#replace(table, before, key, completeRow(table, row, text, isPartial));
  }

  #replace(table: Table, before: string, key: string, row: string): void {
    if (before !== key) this.#remove(table, before);
    this.#put(table, key, row);
  }

  #put(table: Table, key: string, row: string): void {
    const { envelope, writer } = this.#parts;
    const value = valueOf(row, this.#origin, envelope);
    const bytes = sizeOf(key, value);
    if (bytes > writer.limits.bytes) return this.#setAside(table, key, bytes);
    this.#settle(table, key);
    this.#write(key, value, bytes);
  }

  #setAside(table: Table, key: string, bytes: number | undefined): void {
    for (const [one, aside] of this.#parts.poison.setAside(table, { key, bytes })) {
      this.#write(one, aside);
      this.#asideBefore.get(nameOf(table))?.delete(one);
    }
  }

  #remove(table: Table, key: string): void {
    this.#settle(table, key);
    this.#write(key, null);
  }

  #settle(table: Table, key: string): void {
    const aside = this.#parts.poison.settle(table, key);
    if (aside !== undefined) this.#write(aside, null);
  }

  /** What is kept aside of a table, all of it or some, is of rows that are gone. */
  #forgetAside(keys: Iterable<string>): void {
    for (const key of keys) this.#write(key, null);
    this.#parts.poison.forget(keys);
  }

  #write(key: string, value: string | null, bytes: number = sizeOf(key, value)): void {
    if (!this.#transaction.hasRoomFor(1, bytes, this.#parts.writer.limits)) this.#sendPart();
    this.#base.forget(key);
    this.#transaction.put(key, value, bytes);
  }

  /** What there is of a transaction that etcd does not take in one. */
  #sendPart(): void {
    if (this.#transaction.values.size === 0) return;
    this.#outbox.add(this.#transaction);
    this.#transaction = new Group();
  }

  #end(position: string, isOpen: boolean): void {
    const { records, keys } = this.#parts;
    for (const name of this.#changed) {
      const record = records.get(name);
      if (record === undefined) continue;
      const changed = this.#finished.has(name) ? { ...record, dumpedAt: record.dumpedAt ?? position } : record;
      records.set(name, changed);
      this.#write(keys.table(record), encodeRecord(changed));
    }
    this.#changed.clear();
    this.#finished.clear();
    this.#transaction.end = { position, isOpen };
    this.#outbox.add(this.#transaction);
    this.#transaction = new Group();
    this.#origin = ofDump;
  }

  async #truncate(tables: readonly Table[]): Promise<void> {
    for (const table of tables) await this.#clear(table, this.#place(table).prefix);
  }

  /** Deletes all rows of a table where the transaction does so: what it did before has to be there by then. */
  async #clear(table: TableName, prefix: string): Promise<void> {
    const { client, writer, poison } = this.#parts;
    this.#forgetAside(poison.of(table));
    this.#sendPart();
    await this.#outbox.drained();
    await this.#base.prefetch([]);
    await clearBelow(client, prefix, (deletes) => writer.advancePart(new Map(), deletes));
  }

  async #reshape(table: Table): Promise<void> {
    const { records, layout } = this.#parts;
    const name = nameOf(table);
    const known = records.get(name);
    const now = recordOf(table, { dumpedAt: known?.dumpedAt, isResyncing: known?.isResyncing ?? false });
    // With another key the rows have other places, and those that are there would never go.
    if (known !== undefined && keyShape(known) !== keyShape(now)) await this.#clear(known, layout.place(known).prefix);
    records.set(name, now);
    this.#changed.add(name);
  }

  async #drop(table: Table): Promise<void> {
    const { records, layout, keys } = this.#parts;
    const name = nameOf(table);
    // Only the record still knows what its key was.
    const record = records.get(name);
    if (record !== undefined) await this.#clear(record, layout.place(record).prefix);
    records.delete(name);
    this.#changed.delete(name);
    this.#write(keys.table(table), null);
  }

  #resync(table: Table, state: 'begin' | 'end', scope: 'table' | 'keys'): void {
    const { records, poison } = this.#parts;
    const name = nameOf(table);
    if (scope === 'table') {
      if (state === 'begin') this.#asideBefore.set(name, new Set(poison.of(table)));
      else this.#forgetAside(this.#asideBefore.get(name) ?? []);
      if (state === 'end') this.#asideBefore.delete(name);
    }
    const record = records.get(name) ?? recordOf(table, { dumpedAt: undefined, isResyncing: false });
    records.set(name, { ...record, isResyncing: state === 'begin' });
    this.#changed.add(name);
    if (state === 'end' && scope === 'table') this.#finished.add(name);
  }

  async #prefetch(batch: readonly StreamEvent[]): Promise<void> {
    const keys: string[] = [];
    for (const event of batch) {
      if (event.kind !== 'update' || !event.row.includes(undefined)) continue;
      const { table, row, old } = event;
      const whole = filled(row, old);
      if (whole.includes(undefined)) keys.push(this.#key(table, old === undefined ? whole : filled(old, row)));
    }
    if (keys.length > 0) await this.#base.prefetch(keys);
  }

  #key(table: Table, row: Row): string {
    return this.#place(table).key(keyOf(table, row));
  }

  #place(table: Table): TablePlace {
    let place = this.#places.get(table);
    if (place === undefined) {
      const key = table.key.map((at) => table.columns[at]!.name);
      place = this.#parts.layout.place({ schema: table.schema, name: table.name, key });
      this.#places.set(table, place);
    }
    return place;
  }
}

/** What the keys of a table's rows are made of. */
function keyShape({ key, columns }: TableRecord): string {
  return JSON.stringify(key.map((name) => [name, columns.find((column) => column.name === name)?.type]));
}
