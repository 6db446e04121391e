import { setTimeout as delay } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import type { EtcdClient, WatchEvent } from '@batondb/etcd';
import { KeySet } from '../key-set.ts';
import type { TableRecord, TouchedRows } from '../sink.ts';
import type { Position } from '../stream.ts';
import type { Row } from '../table.ts';
import type { Layout } from './layout.ts';
import { decodePlace, type Place } from './records.ts';
import { TableIndex } from './table-index.ts';

// What was written since some revision, from etcd's own history: for as long as nobody compacts it.

const againMs = 200;

type PlaceAt = { readonly place: Place; readonly revision: number };

/** A place as it was at a revision. Undefined: there was none, or nobody remembers. */
async function placeAt(client: EtcdClient, pos: string, revision: number): Promise<PlaceAt | undefined> {
  if (revision < 1) return undefined;
  try {
    const { kvs } = await client.range({ key: pos, revision });
    const [kv] = kvs;
    return kv === undefined ? undefined : { place: decodePlace(kv.value, pos), revision: kv.modRevision };
  } catch (error) {
    if (error instanceof BatonError && error.code === 'HISTORY_LOST') return undefined;
    throw error;
  }
}

/**
 * The revision up to which everything is of positions that are known: `isKnown` holds for old positions, and from some point on no more. It is looked for in leaps, and then
 * between two: few reads, however long ago it is. Undefined: etcd does not remember so far back.
 */
export async function lastKnownRevision(
  client: EtcdClient,
  pos: string,
  newest: PlaceAt,
  isKnown: (position: Position) => boolean,
): Promise<number | undefined> {
  if (isKnown(newest.place.position)) return baseOf(newest.place, newest.revision);
  let unknown = newest.revision;
  let known: PlaceAt | undefined;
  for (let leap = 1; known === undefined; ) {
    const found = await placeAt(client, pos, unknown - leap);
    if (found !== undefined && isKnown(found.place.position)) known = found;
    else if (found !== undefined) {
      unknown = found.revision;
      leap *= 2;
    } else if (leap > 1) leap = 1;
    else return undefined;
  }
  for (let low = known.revision; unknown - low > 1; ) {
    const middle = await placeAt(client, pos, Math.floor((low + unknown) / 2));
    if (middle === undefined) return undefined;
    if (isKnown(middle.place.position)) {
      known = middle;
      low = Math.max(middle.revision, Math.floor((low + unknown) / 2));
    } else unknown = middle.revision;
  }
  return baseOf(known.place, unknown - 1);
}

/** While a place is open, rows may be newer than its position: only what was there when it was closed last is sure to be known. */
function baseOf(place: Place, revision: number): number | undefined {
  return place.open ? place.closedRevision : revision;
}

/** Events after a revision through that of a place, of any keys of ours. A connection that breaks is made anew. Throws HISTORY_LOST. */
export async function* eventsThrough(
  client: EtcdClient,
  layout: Layout,
  { after, through }: { readonly after: number; readonly through: number },
): AsyncGenerator<readonly WatchEvent[], void, undefined> {
  const stop = new AbortController();
  try {
    for (let told = after; told < through; ) {
      try {
        for await (const { events } of client.watch({ ...layout.everything, fromRevision: told + 1 }, stop.signal)) {
          const ours = events.filter(({ kv }) => kv.modRevision <= through);
          told = events.at(-1)?.kv.modRevision ?? told;
          if (ours.length > 0) yield ours;
          if (told >= through) break;
        }
      } catch (error) {
        if (!(error instanceof BatonError && error.code === 'CONNECTION_LOST')) throw error;
        await delay(againMs);
      }
    }
  } finally {
    stop.abort();
  }
}

/** Keys of the rows of known tables among events, each once. */
export async function* touchedRows(
  events: AsyncIterable<readonly WatchEvent[]>,
  layout: Layout,
  records: Iterable<TableRecord>,
): AsyncGenerator<TouchedRows, void, undefined> {
  const tables = new TableIndex(layout, records);
  using seen = new KeySet();
  for await (const some of events) {
    const found = new Map<TableRecord, Row[]>();
    for (const { kv } of some) {
      const key = kv.key.toString();
      const table = tables.find(key);
      const fields = table?.place.fields(key);
      if (table === undefined || fields === undefined || seen.has([key])) continue;
      seen.add([key]);
      const keys = found.get(table.record) ?? [];
      found.set(table.record, keys);
      keys.push(fields);
    }
    for (const [table, keys] of found) yield { table, keys };
  }
}
