import { BatonError } from '@batondb/core/errors';
import { type Mapping, projectRow } from './mapping/mapping.ts';
import type { OwnedSink, TableLoad } from './sink.ts';
import type { RowPart, RowSnapshot, TableSnapshot } from './source.ts';
import { nameOf, type Row } from './table.ts';
import type { Tally } from './tally.ts';

// Reads a snapshot into a sink: parts of tables, several at a time.

type Job = { readonly dump: TableDump; readonly part: RowPart };

/**
 * Loads all tables of a snapshot. A table counts as dumped as soon as all of its parts are there, so a failure costs those that were not. At most `jobs` parts are read
 * at a time, and a table begins when one of its parts does. Throws SOURCE_CHANGED (retryable) when all others are dumped.
 */
export async function dumpTables(
  snapshot: RowSnapshot,
  sink: OwnedSink,
  { mapping, jobs, tally }: { readonly mapping: Mapping; readonly jobs: number; readonly tally: Tally },
  signal: AbortSignal,
): Promise<void> {
  // The smallest first: tables that somebody empties all the time are small, and the sooner one is read, the rarer that comes between. The large ones come in parts, so all hands
  // are busy to the end.
  const tables = snapshot.tables.toSorted((one, other) => one.estimatedBytes - other.estimatedBytes);
  await using dumps = new AsyncDisposableStack();
  const queue = tables.flatMap((table): readonly Job[] => {
    const dump = dumps.use(new TableDump(table, { sink, mapping, tally, position: snapshot.position }));
    return partsOf(table).map((part) => ({ dump, part }));
  });
  // A table that was rewritten or emptied is read again by another dump; the others need not wait for that one.
  let changed: BatonError | undefined;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const work = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      if (job.dump.isGivenUp) continue;
      try {
        await job.dump.read(job.part, either);
      } catch (error) {
        if (!(error instanceof BatonError) || error.code !== 'SOURCE_CHANGED') throw error;
        job.dump.isGivenUp = true;
        changed ??= error;
      }
    }
  };
  const workers = Array.from({ length: Math.min(jobs, queue.length) }, async () => {
    try {
      await work();
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  const results = await Promise.allSettled(workers);
  if (results.some(({ status }) => status === 'rejected')) throw failed.signal.reason;
  if (changed !== undefined) throw changed;
}

/** An empty table has no parts, and is dumped all the same: the sink may have rows of it. */
function partsOf({ parts }: TableSnapshot): readonly RowPart[] {
  return parts.length > 0 ? parts : [{ read: async function* () {} }];
}

/** One table on its way from a snapshot into a sink. */
class TableDump implements AsyncDisposable {
  readonly #snapshot: TableSnapshot;
  readonly #name: string;
  readonly #options: {
    readonly sink: OwnedSink;
    readonly mapping: Mapping;
    readonly tally: Tally;
    readonly position: string;
  };
  /** It does not come to its end. */
  isGivenUp: boolean = false;
  #partsLeft: number;
  #load: Promise<TableLoad> | undefined;

  constructor(snapshot: TableSnapshot, options: { sink: OwnedSink; mapping: Mapping; tally: Tally; position: string }) {
    this.#snapshot = snapshot;
    this.#options = options;
    this.#name = nameOf(options.mapping.map(snapshot.table)!.table);
    this.#partsLeft = partsOf(snapshot).length;
  }

  async read(part: RowPart, signal: AbortSignal): Promise<void> {
    const { sink, mapping, tally, position } = this.#options;
    const { table, places } = mapping.map(this.#snapshot.table)!;
    const load = await (this.#load ??= sink.load(table));
    if (load.json !== undefined && part.readJson !== undefined && places === undefined) {
      for await (const rows of part.readJson(load.json.frame, signal)) {
        await load.json.write(rows);
        tally.dumpedRows(this.#name, rows.length);
      }
    } else {
      for await (const rows of part.read(signal)) {
        await load.write(places === undefined ? rows : rows.map((row): Row => projectRow(row, places)));
        tally.dumpedRows(this.#name, rows.length);
      }
    }
    this.#partsLeft--;
    if (this.#partsLeft > 0) return;
    const result = await load.finish(position);
    tally.dumpedTable(this.#name, result);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const load = await this.#load?.catch(() => undefined);
    await load?.[Symbol.asyncDispose]();
  }
}
