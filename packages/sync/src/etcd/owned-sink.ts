import { BatonError } from '@batondb/core/errors';
import { type EtcdClient, readPages, type Seat, type Tenure, withPrefix } from '@batondb/etcd';
import type { OwnedSink, SinkState, TableLoad, TableRecord, TouchedRows } from '../sink.ts';
import type { Position, StreamEvent } from '../stream.ts';
import { nameOf, type Row, type Table, type TableName } from '../table.ts';
import { recordOf } from '../table-record.ts';
import { Applier } from './applier.ts';
import { clearBelow } from './clear.ts';
import { Group, sizeOf } from './group.ts';
import { expectApart, type Layout, type TablePlace } from './layout.ts';
import { EtcdTableLoad } from './load.ts';
import { Outbox } from './outbox.ts';
import type { PoisonRows } from './poison.ts';
import { encodeRecord, type MetaKeys, type Place } from './records.ts';
import type { EtcdSinkPlan } from './settings.ts';
import { Slots } from './slots.ts';
import { eventsThrough, lastKnownRevision, touchedRows } from './touched.ts';
import { undoPart } from './undo.ts';
import type { Writer } from './writer.ts';

/** Transactions of dumps that are under way at a time: more only makes etcd's queue longer. */
const loadsUnderWay = 4;

export type OwnedParts = {
  readonly plan: EtcdSinkPlan;
  readonly client: EtcdClient;
  readonly seat: Seat;
  readonly tenure: Tenure;
  readonly writer: Writer;
  readonly layout: Layout;
  readonly keys: MetaKeys;
  /** By `nameOf`. */
  readonly records: Map<string, TableRecord>;
  readonly poison: PoisonRows;
};

export class OwnedEtcdSink implements OwnedSink {
  readonly rowsNameColumns = true;
  readonly needsKeys = true;
  readonly #parts: OwnedParts;
  readonly #slots = new Slots(loadsUnderWay);
  #isWhole: Promise<void> | undefined;
  /** What a rewind shows to readers: found by `touchedAfter`. */
  #rewindRevision: number | undefined;

  constructor(parts: OwnedParts) {
    this.#parts = parts;
  }

  get state(): SinkState {
    const { place } = this.#parts.writer;
    return { position: place?.position, isOpen: place?.open ?? false, tables: this.#parts.records };
  }

  get lost(): AbortSignal {
    return this.#parts.tenure.lost;
  }

  async begin(position: Position, tables: readonly Table[], isDumped: boolean): Promise<void> {
    const { writer, layout, keys, records, client } = this.#parts;
    expectApart(layout, tables.map(keyedOf));
    const { closedRevision } = writer;
    const begun = (): Place => ({ position, open: true, closedRevision });
    // Before anything goes, nothing counts as dumped: a begin that is cut short is one that is followed by a dump of everything.
    const undumped = [...records.values()].map((record) => ({ ...record, dumpedAt: undefined }));
    await this.#writeRecords(undumped, (place) =>
      place.position === '' ? begun() : { position: place.position, open: true, closedRevision },
    );
    const kept = new Set(tables.map(nameOf));
    for (const record of undumped.filter((one) => !kept.has(nameOf(one)))) {
      await clearBelow(client, layout.place(record).prefix, (deletes) => writer.advanceOpen(new Map(), deletes));
      await writer.advanceOpen(new Map([[keys.table(record), null]]));
      records.delete(nameOf(record));
    }
    const dumpedAt = isDumped ? position : undefined;
    await this.#writeRecords(
      tables.map((table) => recordOf(table, { dumpedAt, isResyncing: false })),
      begun,
    );
    this.#isWhole = Promise.resolve();
  }

  async load(table: Table): Promise<TableLoad> {
    const { client, writer, layout, keys, records, plan, poison } = this.#parts;
    const place = this.#place(table);
    expectApart(layout, [...records.values(), keyedOf(table)]);
    await this.#whole();
    const undumped = recordOf(table, { dumpedAt: undefined, isResyncing: false });
    await writer.advanceOpen(new Map([[keys.table(table), encodeRecord(undumped)]]));
    records.set(nameOf(table), undumped);
    const { count } = await client.range({ ...withPrefix(place.prefix), countOnly: true, limit: 1 });
    const record = async (dumpedAt: Position): Promise<void> => {
      const dumped = recordOf(table, { dumpedAt, isResyncing: false });
      await writer.advanceOpen(new Map([[keys.table(table), encodeRecord(dumped)]]));
      records.set(nameOf(table), dumped);
    };
    return new EtcdTableLoad({
      client,
      writer,
      table,
      place,
      record,
      envelope: plan.envelope,
      poison,
      slots: this.#slots,
      hasRows: count > 0,
    });
  }

  async *apply(batches: AsyncIterable<readonly StreamEvent[]>): AsyncGenerator<Position, void, undefined> {
    const { writer, tenure, plan } = this.#parts;
    await this.#whole();
    const outbox = new Outbox(writer.limits);
    const applier = new Applier({ ...this.#parts, envelope: plan.envelope }, outbox);
    const lose = (): void => outbox.abort(tenure.lost.reason);
    tenure.lost.addEventListener('abort', lose, { once: true });
    if (tenure.lost.aborted) lose();
    applier.run(batches).then(
      () => outbox.close(),
      (error: unknown) => outbox.fail(error),
    );
    try {
      for (let group = await outbox.next(); group !== undefined; group = await outbox.next()) {
        await writer.send(group);
        outbox.done();
        if (group.end !== undefined) yield group.end.position;
      }
    } finally {
      tenure.lost.removeEventListener('abort', lose);
      outbox.abort(new BatonError('INTERRUPTED', 'nothing more is applied'));
    }
  }

  async *keys(table: Table): AsyncGenerator<readonly Row[], void, undefined> {
    const { client } = this.#parts;
    const place = this.#place(table);
    for await (const page of readPages(client, { ...withPrefix(place.prefix), keysOnly: true })) {
      const keys = page.map(({ key }) => place.fields(key.toString()));
      yield keys.filter((fields) => fields !== undefined);
    }
  }

  async touchedAfter(isKnown: (position: Position) => boolean): Promise<AsyncIterable<TouchedRows> | undefined> {
    const { client, writer, layout, keys, records } = this.#parts;
    const { place } = writer;
    if (place === undefined) return undefined;
    const after = await lastKnownRevision(client, keys.pos, { place, revision: writer.revision }, isKnown);
    if (after === undefined) return undefined;
    // What was scattered behind the newest place is before this one.
    await writer.advanceOpen(new Map());
    this.#rewindRevision = after;
    const events = eventsThrough(client, layout, { after, through: writer.revision });
    return touchedRows(events, layout, records.values());
  }

  async rewind(position: Position, tables: readonly TableName[]): Promise<void> {
    const { writer, records } = this.#parts;
    const closedRevision = this.#rewindRevision ?? writer.closedRevision;
    const resyncing = tables.flatMap((table) => records.get(nameOf(table)) ?? []);
    await this.#writeRecords(
      resyncing.map((record) => ({ ...record, isResyncing: true })),
      () => ({ position, open: true, closedRevision }),
    );
    this.#isWhole = Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.seat[Symbol.asyncDispose]();
    this.#parts.client[Symbol.dispose]();
  }

  /** Parts of a transaction that a crash has left are undone before anything else is written. */
  async #whole(): Promise<void> {
    this.#isWhole ??= this.#undo();
    await this.#isWhole;
  }

  async #undo(): Promise<void> {
    const { client, writer, layout, keys, records } = this.#parts;
    try {
      await undoPart(client, writer, layout, keys);
    } catch (error) {
      if (!(error instanceof BatonError && error.code === 'HISTORY_LOST')) throw error;
      // Nobody knows any more what the rows were: all tables are dumped anew.
      const undumped = [...records.values()].map((record) => ({ ...record, dumpedAt: undefined }));
      const { closedRevision } = writer;
      await this.#writeRecords(undumped, ({ position }) => ({ position, open: true, closedRevision }));
      throw new BatonError(
        'HISTORY_LOST',
        'a transaction was written by half when this sink was left, and etcd has been compacted since: all tables are read anew',
        { retryable: true, cause: error },
      );
    }
  }

  /** Writes records, in as many transactions as they need, and the place with each. */
  async #writeRecords(changed: readonly TableRecord[], next: (place: Place) => Place): Promise<void> {
    const { writer, keys, records } = this.#parts;
    let group = new Group();
    for (const record of changed) {
      const key = keys.table(record);
      const value = encodeRecord(record);
      if (!group.hasRoomFor(1, sizeOf(key, value), writer.limits)) {
        await writer.advance(next, group.values);
        group = new Group();
      }
      group.put(key, value);
    }
    await writer.advance(next, group.values);
    for (const record of changed) records.set(nameOf(record), record);
  }

  #place(table: Table): TablePlace {
    return this.#parts.layout.place(keyedOf(table));
  }
}

function keyedOf({ schema, name, key, columns }: Table): TableName & { readonly key: readonly string[] } {
  return { schema, name, key: key.map((place) => columns[place]!.name) };
}
