import { setTimeout as delay } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import type { EtcdClient, WatchEvent } from '@batondb/etcd';
import type { Found } from '../etcd/closed-state.ts';
import { decodePlace, decodeRecord } from '../etcd/records.ts';
import { TableIndex } from '../etcd/table-index.ts';
import { eventsThrough } from '../etcd/touched.ts';
import type { TableRecord } from '../sink.ts';
import type { Position } from '../stream.ts';
import { changeOf, type ReadChange } from './changes.ts';

/** Events that are kept until the place that they lead to is known; beyond, they are read once more when it is. */
const keptMax = 10_000;
const againMs = 500;

/** Whole transactions of the source, one or several: applied all together they lead from one state to the next. */
export type ChangeGroup = {
  readonly position: Position;
  /** Where a watch goes on behind it. */
  readonly revision: number;
  /**
   * In order; a row may come more than once, and the last one counts. To be read before the next group is asked for, if at all. Throws HISTORY_LOST when a transaction was so large that
   * it has to be read back, and etcd has been compacted since.
   */
  readonly changes: AsyncIterable<readonly ReadChange[]>;
};

export type WatchFrom = { readonly revision: number; readonly tables: readonly TableRecord[] };

/**
 * Groups after a revision at which all tables were at one position, until the signal ends it. A connection that breaks is made anew. Throws HISTORY_LOST when etcd does not reach back so
 * far.
 */
export async function* watchGroups(
  client: EtcdClient,
  found: Found,
  from: WatchFrom,
  signal: AbortSignal,
): AsyncGenerator<ChangeGroup, void, undefined> {
  const gatherer = new Gatherer(client, found, from);
  while (!signal.aborted) {
    try {
      gatherer.restart();
      const range = { ...found.layout.everything, fromRevision: gatherer.revision + 1 };
      for await (const { events } of client.watch(range, signal)) {
        for (const event of events) {
          const group = gatherer.take(event);
          if (group !== undefined) yield group;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof BatonError && error.retryable)) throw error;
      await delay(againMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Puts events together until the place says that all tables are at one position. */
class Gatherer {
  readonly #client: EtcdClient;
  readonly #found: Found;
  /** By key of etcd: also those that go in the present group. */
  readonly #records = new Map<string, TableRecord>();
  readonly #gone = new Set<string>();
  #revision: number;
  /** Undefined: they are read once more. */
  #kept: WatchEvent[] | undefined = [];

  constructor(client: EtcdClient, found: Found, { revision, tables }: WatchFrom) {
    this.#client = client;
    this.#found = found;
    this.#revision = revision;
    for (const record of tables) this.#records.set(found.keys.table(record), record);
  }

  /** Behind the last group. */
  get revision(): number {
    return this.#revision;
  }

  /** What was gathered of a group comes again. */
  restart(): void {
    this.#kept = [];
  }

  take(event: WatchEvent): ChangeGroup | undefined {
    const { keys, layout } = this.#found;
    const key = event.kv.key.toString();
    if (key === keys.pos && event.type === 'put') return this.#reach(event);
    if (key.startsWith(keys.tables)) this.#note(event, key);
    else if (key.startsWith(keys.prefix) || !key.startsWith(layout.dataPrefix)) return undefined;
    this.#kept?.push(event);
    if (this.#kept !== undefined && this.#kept.length > keptMax) this.#kept = undefined;
    return undefined;
  }

  #note({ type, kv }: WatchEvent, key: string): void {
    if (type === 'delete') this.#gone.add(key);
    else {
      this.#gone.delete(key);
      this.#records.set(key, decodeRecord(kv.value, key));
    }
  }

  #reach({ kv }: WatchEvent): ChangeGroup | undefined {
    const { keys, layout } = this.#found;
    const place = decodePlace(kv.value, keys.pos);
    if (place.open) {
      this.#kept = undefined;
      return undefined;
    }
    const after = this.#revision;
    const tables = new TableIndex(layout, this.#records.values());
    const events = this.#kept === undefined ? undefined : [this.#kept];
    const through = kv.modRevision;
    for (const key of this.#gone) this.#records.delete(key);
    this.#gone.clear();
    this.#kept = [];
    this.#revision = through;
    return {
      position: place.position,
      revision: through,
      changes: this.#changes(events ?? eventsThrough(this.#client, layout, { after, through }), tables),
    };
  }

  async *#changes(
    batches: Iterable<readonly WatchEvent[]> | AsyncIterable<readonly WatchEvent[]>,
    tables: TableIndex,
  ): AsyncGenerator<readonly ReadChange[], void, undefined> {
    const { keys, format } = this.#found;
    for await (const events of batches) {
      const changes: ReadChange[] = [];
      for (const event of events) {
        const change = changeOf(event, tables, { keys, envelope: format.envelope });
        if (change !== undefined) changes.push(change);
      }
      if (changes.length > 0) yield changes;
    }
  }
}
