import { BatonError } from '@batondb/core/errors';
import { mapEvent } from '../mapping/map-event.ts';
import { expectDistinct, type MappedTable, Mapping, type MappingOptions } from '../mapping/mapping.ts';
import type { TablePattern } from '../mapping/patterns.ts';
import type { SinkView, TableRecord } from '../sink.ts';
import type { Observation, Source, SourceSession, TableSnapshot } from '../source.ts';
import type { Position } from '../stream.ts';
import { nameOf, type Table } from '../table.ts';
import { awaitView, type OpenView } from './await-view.ts';
import { ChangedRows } from './changed-rows.ts';
import { type ComparedResult, compareTable } from './compare-table.ts';
import type { VerifyTally } from './progress.ts';
import type { SkippedTable, VerifyReport } from './report.ts';

// Source and sink compared at one position, while both go on (Y10): a state of the source at P, the sink at a later position Q that is its own choice, and between the two the
// changes from P to Q. What the sink has to have at Q is the state with these changes.

export type VerifyOptions = {
  readonly source: Source;
  readonly openView: OpenView;
  /** As the sync has it. */
  readonly mapping: MappingOptions;
  /** Only these tables, by the source's names. Empty: all that are synced. */
  readonly tables: readonly TablePattern[];
  /** Differences of each table that are told one by one. */
  readonly limit: number;
  /** Tables that are read at a time. */
  readonly jobs: number;
  readonly tally: VerifyTally;
  /** How long a sink may stand still before the source's state. Default: `verifyLimits.stallMs`. */
  readonly stallMs?: number;
};

/** Changes nothing in either. Throws UNAVAILABLE for a sink that nobody feeds, and what source and sink throw. */
export async function verifySink(options: VerifyOptions, signal: AbortSignal): Promise<VerifyReport> {
  const { source, openView, tally } = options;
  const mapping = new Mapping(options.mapping);
  await using session = await source.open(signal);
  const tables = await wantedTables(session, mapping, options.tables);
  await using observation = await session.observe(tables, signal);
  tally.phase('waiting');
  await using view = await awaitView(openView, observation, signal, options.stallMs);
  using changed = new ChangedRows();
  tally.phase('following');
  await follow(session, observation, { mapping, changed, until: view.state.position }, signal);
  tally.phase('comparing');
  return await compareAll({ observation, view, changed, mapping }, options, signal);
}

async function wantedTables(
  session: SourceSession,
  mapping: Mapping,
  patterns: readonly TablePattern[],
): Promise<readonly Table[]> {
  const synced = (await session.tables()).filter((table) => mapping.map(table) !== undefined);
  expectDistinct(synced.map((table) => mapping.map(table)!.table));
  const tables = synced.filter((table) => patterns.length === 0 || patterns.some(({ matches }) => matches(table)));
  if (tables.length > 0) return tables;
  throw new BatonError('NOT_FOUND', `${session.node} has no table that is synced and to be compared`, {
    hint: `synced are ${synced.map(nameOf).join(', ') || 'none: look at the publication, --include and --exclude'}`,
  });
}

type Following = { readonly mapping: Mapping; readonly changed: ChangedRows; readonly until: Position };

/** Takes all transactions that the sink has, and no other. */
async function follow(
  session: SourceSession,
  observation: Observation,
  { mapping, changed, until }: Following,
  signal: AbortSignal,
): Promise<void> {
  if (observation.position === until) return;
  for await (const batch of observation.changes(signal)) {
    for (const told of batch) {
      // A position is behind a transaction's end, and so behind the place where it commits, exactly when it has it.
      if (told.kind === 'begin' && !session.isBefore(told.commitsAt, until)) return;
      const event = mapEvent(told, mapping);
      if (event !== undefined) changed.take(event);
      const isEnd = told.kind === 'commit' || told.kind === 'reached';
      if (isEnd && !session.isBefore(told.position, until)) return;
    }
  }
}

type Sides = {
  readonly observation: Observation;
  readonly view: SinkView;
  readonly changed: ChangedRows;
  readonly mapping: Mapping;
};

async function compareAll(sides: Sides, options: VerifyOptions, signal: AbortSignal): Promise<VerifyReport> {
  const { observation, view, changed, mapping } = sides;
  const { tally, jobs, limit } = options;
  const skipped: SkippedTable[] = [];
  const results: ComparedResult[] = [];
  // The largest first: what is left at the end is small, and all hands are busy until then.
  const queue = observation.tables.toSorted((one, other) => other.estimatedBytes - one.estimatedBytes);
  tally.expect(queue.length, 2 * queue.reduce((sum, { estimatedRows }) => sum + estimatedRows, 0));
  const compareOne = async (snapshot: TableSnapshot): Promise<void> => {
    const mapped = mapping.map(snapshot.table)!;
    const reason = changed.moving.get(snapshot.table.id) ?? obstacleTo(mapped, view);
    if (reason !== undefined) {
      skipped.push({ table: nameOf(mapped.table), reason });
      return;
    }
    try {
      results.push(await compareTable({ snapshot, mapped, changed, view, tally, limit }, signal));
    } catch (error) {
      if (!(error instanceof BatonError) || error.code !== 'SOURCE_CHANGED') throw error;
      skipped.push({ table: nameOf(mapped.table), reason: error.message });
    }
  };
  await eachOf(queue, jobs, async (snapshot) => {
    await compareOne(snapshot);
    tally.tableDone();
  });
  if (options.tables.length === 0) skipped.push(...unpublished(sides));
  const byName = results.toSorted((one, other) => (one.report.table < other.report.table ? -1 : 1));
  return {
    position: view.state.position,
    tables: byName.map(({ report }) => report),
    skipped,
    differences: byName.flatMap(({ differences }) => differences),
  };
}

/** Why a table's rows in the sink cannot be compared with those of the source now. */
function obstacleTo({ table }: MappedTable, { state }: SinkView): string | undefined {
  const record = state.tables.get(nameOf(table));
  // A table that the sink does not have has no rows there, which are then missing.
  if (record === undefined) return undefined;
  if (record.isResyncing) return 'it is being read anew in the sink';
  if (record.id !== table.id) return 'it was dropped and made anew, and the sink has the rows of the one before';
  const [has, wants] = [shapeText(record), shapeText(table)];
  return has === wants ? undefined : `it has the columns ${has} in the sink, and ${wants} in the source`;
}

function shapeText({ columns }: Pick<TableRecord, 'columns'>): string {
  return columns.map(({ name, type }) => `${name} ${type}`).join(', ');
}

/** Tables of the sink that the source does not publish to it. */
function unpublished({ observation, view, changed, mapping }: Sides): readonly SkippedTable[] {
  const observed = new Set(observation.tables.map(({ table }) => nameOf(mapping.map(table)!.table)));
  return [...view.state.tables]
    .filter(([name, { id }]) => !observed.has(name) && !changed.moving.has(id))
    .map(([table]) => ({ table, reason: 'the source publishes no such table: its rows stay in the sink as they are' }));
}

/** Several at a time; the first failure ends the others. */
async function eachOf<T>(items: readonly T[], jobs: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const failures: unknown[] = [];
  const workers = Array.from({ length: Math.min(jobs, queue.length) }, async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      try {
        await work(item);
      } catch (error) {
        failures.push(error);
        queue.length = 0;
      }
    }
  });
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];
}
