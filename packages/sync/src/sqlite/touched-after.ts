import type { TableRecord, TouchedRows } from '../sink.ts';
import type { Position } from '../stream.ts';
import { sqliteLimits } from './limits.ts';
import type { ReplicaThread } from './replica-thread.ts';
import type { Touched } from './touched.ts';

/** What was touched after the newest position that is known; undefined when none is remembered that is. */
export async function touchedAfter(
  thread: ReplicaThread,
  tables: ReadonlyMap<string, TableRecord>,
  isKnown: (position: Position) => boolean,
): Promise<AsyncIterable<TouchedRows> | undefined> {
  const keysByTable = new Map<string, Map<string, readonly (string | null | undefined)[]> | 'all'>();
  let before: number | undefined;
  for (;;) {
    const page = await thread.call('touched', { before });
    for (const { number, position, keys } of page) {
      if (position !== null && isKnown(position)) return touchedRows(keysByTable, tables);
      collect(keysByTable, JSON.parse(keys) as Touched);
      before = number;
    }
    if (page.length === 0) return undefined;
  }
}

type Collected = Map<string, Map<string, readonly (string | null | undefined)[]> | 'all'>;

function collect(into: Collected, touched: Touched): void {
  for (const [name, keys] of Object.entries(touched)) {
    const known = into.get(name);
    if (known === 'all' || keys === 'all') {
      into.set(name, 'all');
      continue;
    }
    const collected = known ?? new Map<string, readonly (string | null | undefined)[]>();
    for (const key of keys) collected.set(JSON.stringify(key), key);
    into.set(name, collected);
  }
}

async function* touchedRows(
  collected: Collected,
  tables: ReadonlyMap<string, TableRecord>,
): AsyncGenerator<TouchedRows, void, undefined> {
  for (const [name, keys] of collected) {
    const table = tables.get(name);
    // A table that was dropped since has no rows to be repaired.
    if (table === undefined) continue;
    if (keys === 'all') {
      yield { table, keys: undefined };
      continue;
    }
    const all = [...keys.values()];
    for (let at = 0; at < all.length; at += sqliteLimits.readRows) {
      yield { table, keys: all.slice(at, at + sqliteLimits.readRows) };
    }
  }
}
