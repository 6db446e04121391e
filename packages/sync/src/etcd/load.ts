import { after, type EtcdClient, type KeyValue, readPages, type WriteOperation, withPrefix } from '@batondb/etcd';
import { KeySet } from '../key-set.ts';
import type { LoadResult, TableLoad } from '../sink.ts';
import type { Position } from '../stream.ts';
import { keyOf, type Row, type Table } from '../table.ts';
import { Group, sizeOf } from './group.ts';
import type { TablePlace } from './layout.ts';
import type { PoisonRows } from './poison.ts';
import type { Slots } from './slots.ts';
import { ofDump, rowOfValue, valueOf, wholeRow } from './values.ts';
import { operationsOf, type Writer } from './writer.ts';

export type LoadParts = {
  readonly client: EtcdClient;
  readonly writer: Writer;
  readonly table: Table;
  readonly place: TablePlace;
  readonly envelope: boolean;
  readonly poison: PoisonRows;
  /** Shared by all loads. */
  readonly slots: Slots;
  /** The table has rows: what is equal is left alone, and what does not come goes at the end (Y6). */
  readonly hasRows: boolean;
  /** Makes the table count as dumped. */
  readonly record: (dumpedAt: Position) => Promise<void>;
};

/** Rows that are read back at a time. */
const readsMax = 64;

/** The dump of one table on its way into etcd. Readers are shown what was before, so rows go in any order and several transactions at a time. */
export class EtcdTableLoad implements TableLoad {
  readonly #parts: LoadParts;
  readonly #seen: KeySet | undefined;
  /** What was kept aside before, of rows that have not come again too large. */
  readonly #asideBefore: Set<string>;
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #rows = 0;
  #written = 0;
  #deleted = 0;

  constructor(parts: LoadParts) {
    this.#parts = parts;
    this.#seen = parts.hasRows ? new KeySet() : undefined;
    this.#asideBefore = new Set(parts.poison.of(parts.table));
  }

  async write(rows: readonly Row[]): Promise<void> {
    const { table, place, writer } = this.#parts;
    const { limits } = writer;
    let group = new Group();
    for (const row of rows) {
      const fields = keyOf(table, row);
      this.#seen?.add(fields);
      const key = place.key(fields);
      const value = valueOf(wholeRow(table, row), ofDump, this.#parts.envelope);
      const bytes = sizeOf(key, value);
      const isTooLarge = bytes > limits.bytes;
      if (isTooLarge || !group.hasRoomFor(1, bytes, limits)) {
        await this.#send(group);
        group = new Group();
      }
      if (isTooLarge) this.#setAside(key, bytes, group);
      else group.put(key, value, bytes);
    }
    await this.#send(group);
    this.#rows += rows.length;
  }

  async finish(dumpedAt: Position): Promise<LoadResult> {
    await Promise.all(this.#underWay);
    this.#expectWell();
    if (this.#seen !== undefined) await this.#deleteUnseen(this.#seen);
    await this.#forgetAside([...this.#asideBefore]);
    await this.#parts.record(dumpedAt);
    return { rows: this.#rows, written: this.#written, deleted: this.#deleted };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#underWay);
    this.#seen?.[Symbol.dispose]();
  }

  #setAside(key: string, bytes: number, group: Group): void {
    const { poison, table } = this.#parts;
    for (const [one, value] of poison.setAside(table, { key, bytes })) {
      group.put(one, value);
      this.#asideBefore.delete(one);
    }
  }

  /** Resolves when there is a slot for it. What becomes of it shows with the next call. */
  async #send(group: Group): Promise<void> {
    this.#expectWell();
    if (group.values.size === 0) return;
    await this.#parts.slots.take();
    const sent: Promise<void> = this.#compareAndWrite(group)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#parts.slots.give();
        this.#underWay.delete(sent);
      });
    this.#underWay.add(sent);
  }

  async #compareAndWrite({ values }: Group): Promise<void> {
    const wanted = this.#seen === undefined ? values : await this.#different(values);
    if (wanted.size === 0) return;
    await this.#parts.writer.scatter(operationsOf(wanted));
    this.#written += wanted.size;
  }

  async #different(values: ReadonlyMap<string, string | null>): Promise<ReadonlyMap<string, string | null>> {
    const { client, envelope } = this.#parts;
    const different = new Map<string, string | null>();
    const entries = [...values];
    for (let from = 0; from < entries.length; from += readsMax) {
      const some = entries.slice(from, from + readsMax);
      const { results } = await client.look({ when: [], do: some.map(([key]) => ({ range: { key } })) });
      for (const [index, [key, value]] of some.entries()) {
        const found = results[index]?.kvs[0]?.value.toString();
        if (!isSame(found, value, envelope)) different.set(key, value);
      }
    }
    return different;
  }

  async #deleteUnseen(seen: KeySet): Promise<void> {
    const { client, place, writer } = this.#parts;
    for await (const page of readPages(client, { ...withPrefix(place.prefix), keysOnly: true })) {
      const runs = unseenRuns(page, (key) => {
        const fields = place.fields(key);
        return fields !== undefined && seen.has(fields);
      });
      for (let from = 0; from < runs.length; from += writer.limits.operations) {
        await writer.scatter(runs.slice(from, from + writer.limits.operations).map(({ operation }) => operation));
      }
      this.#deleted += runs.reduce((sum, { keys }) => sum + keys, 0);
    }
  }

  async #forgetAside(keys: readonly string[]): Promise<void> {
    const { writer, poison } = this.#parts;
    poison.forget(keys);
    for (let from = 0; from < keys.length; from += writer.limits.operations) {
      await writer.scatter(keys.slice(from, from + writer.limits.operations).map((key) => ({ delete: key })));
    }
  }

  #expectWell(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/** In an envelope, where a row came from is no difference. */
function isSame(found: string | undefined, value: string | null, envelope: boolean): boolean {
  if (found === undefined || value === null) return found === undefined && value === null;
  return envelope ? rowOfValue(found, envelope) === rowOfValue(value, envelope) : found === value;
}

type Run = { readonly operation: WriteOperation; readonly keys: number };

/** Neighbours go in one operation: a page is complete, and nobody else writes there. */
function unseenRuns(page: readonly KeyValue[], isSeen: (key: string) => boolean): readonly Run[] {
  const runs: Run[] = [];
  let first: KeyValue | undefined;
  let keys = 0;
  for (const [index, kv] of page.entries()) {
    if (isSeen(kv.key.toString())) {
      first = undefined;
      continue;
    }
    keys = first === undefined ? 1 : keys + 1;
    first ??= kv;
    const next = page[index + 1];
    if (next !== undefined && !isSeen(next.key.toString())) continue;
    runs.push({ operation: { delete: first.key, end: after(kv.key) }, keys });
    first = undefined;
  }
  return runs;
}
