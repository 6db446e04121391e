import type { RunParts } from './run.ts';
import type { ResyncRequest } from './source.ts';
import type { Position } from './stream.ts';
import type { Row, Table } from './table.ts';

// After a failover that lost transactions which the sink has: every row that was written since is read anew, key by key.

/** More keys than this are not kept in memory: reading everything anew is the cheaper repair then. */
const keysMax = 1_000_000;

/**
 * Sets the sink back to `position` and says what is to be read anew. Undefined: the sink does not remember so far back, or cannot tell what was written since, and
 * nothing was done.
 */
export async function prepareRepair(
  { sink, session, mapping, tally }: RunParts,
  position: Position,
  /** The source's tables by id, with the keys of the sink. */
  tableOf: (id: string) => Table | undefined,
): Promise<readonly ResyncRequest[] | undefined> {
  // What was dumped from the history that is lost is not among the rows that a stream has written.
  const isBeyond = (at: Position | undefined): boolean => at !== undefined && session.isBefore(position, at);
  if ([...sink.state.tables.values()].some(({ dumpedAt }) => isBeyond(dumpedAt))) return undefined;
  const touched = await sink.touchedAfter?.((known) => !isBeyond(known));
  if (touched === undefined || sink.rewind === undefined) return undefined;
  const keysById = new Map<string, Row[]>();
  // A repair that another failover has cut short: nobody remembers which rows it still had to read.
  const unfinished = [...sink.state.tables.values()].filter(
    ({ id, isResyncing }) => isResyncing && tableOf(id) !== undefined,
  );
  const wholeTables = new Set(unfinished.map(({ id }) => id));
  let count = 0;
  for await (const { table, keys } of touched) {
    // A table that is not there any more: only a dump can tell what became of it.
    if (tableOf(table.id) === undefined) return undefined;
    if (keys === undefined || table.key.length === 0) {
      wholeTables.add(table.id);
      continue;
    }
    count += keys.length;
    if (count > keysMax) return undefined;
    const all = keysById.get(table.id) ?? [];
    keysById.set(table.id, all);
    for (const key of keys) all.push(key);
  }
  const originals = [...new Set([...wholeTables, ...keysById.keys()])].map((id) => tableOf(id)!);
  await sink.rewind(
    position,
    originals.map((table) => mapping.map(table)?.table ?? table),
  );
  tally.repairing(count);
  return originals.map((table) =>
    wholeTables.has(table.id) ? { table } : { table, keys: once(keysById.get(table.id)!) },
  );
}

async function* once(keys: readonly Row[]): AsyncIterable<readonly Row[]> {
  yield keys;
}
