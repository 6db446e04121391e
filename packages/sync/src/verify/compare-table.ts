import { BatonError } from '@batondb/core/errors';
import { type MappedTable, projectRow } from '../mapping/mapping.ts';
import type { HeldRow, SinkView } from '../sink.ts';
import type { TableSnapshot } from '../source.ts';
import { nameOf, type Row } from '../table.ts';
import type { ChangedRows } from './changed-rows.ts';
import { columnDifferences } from './column-differences.ts';
import { DigestSums } from './digest-sums.ts';
import type { VerifyTally } from './progress.ts';
import type { RowDifference, TableReport } from './report.ts';
import { SuspectRows, type UnequalRow } from './suspect-rows.ts';

/** One table on both sides. */
export type ComparedTable = {
  readonly snapshot: TableSnapshot;
  readonly mapped: MappedTable;
  readonly changed: ChangedRows;
  readonly view: SinkView;
  readonly tally: VerifyTally;
  /** Differences that are told one by one; all are counted. */
  readonly limit: number;
};

export type ComparedResult = { readonly report: TableReport; readonly differences: readonly RowDifference[] };

/**
 * Compares all rows of a table. Both sides are read once, and rows that differ, if there are any, a second time. Throws SOURCE_CHANGED for a table that cannot be read as it
 * was any more.
 */
export async function compareTable(compared: ComparedTable, signal: AbortSignal): Promise<ComparedResult> {
  const sums = new DigestSums();
  let rows = 0;
  for await (const batch of expectedRows(compared, signal)) {
    for (const { row, count } of batch) {
      rows += count;
      for (let left = Math.abs(count); left > 0; left--) {
        if (count > 0) sums.add(row);
        else sums.take(row);
      }
    }
    compared.tally.compared(batch.length);
  }
  for await (const page of heldRows(compared, signal)) {
    for (const row of page) sums.take(row);
    compared.tally.compared(page.length);
  }
  const table = nameOf(compared.mapped.table);
  if (sums.areSame) return { report: { table, rows, missing: 0, extra: 0, different: 0 }, differences: [] };
  return await explain(compared, sums, rows, signal);
}

async function explain(
  compared: ComparedTable,
  sums: DigestSums,
  rows: number,
  signal: AbortSignal,
): Promise<ComparedResult> {
  using suspects = new SuspectRows();
  for await (const batch of expectedRows(compared, signal)) {
    for (const { row, count } of batch) if (sums.isSuspect(row)) suspects.add(row, count);
  }
  for await (const page of heldRows(compared, signal)) {
    for (const row of page) if (sums.isSuspect(row)) suspects.add(row, -1);
  }
  const counts = { missing: 0, extra: 0, different: 0 };
  const differences: RowDifference[] = [];
  for (const unequal of suspects.unequal()) {
    const difference = differenceOf(compared.mapped, unequal);
    if (difference === undefined) continue;
    counts[difference.kind] += unequal.count;
    if (differences.length < compared.limit) differences.push(difference);
  }
  return { report: { table: nameOf(compared.mapped.table), rows, ...counts }, differences };
}

/** Undefined: the two are told in other words and are the same. */
function differenceOf({ table }: MappedTable, { key, expected, held }: UnequalRow): RowDifference | undefined {
  const name = nameOf(table);
  if (expected === undefined || held === undefined) {
    return { table: name, kind: held === undefined ? 'missing' : 'extra', key, columns: [] };
  }
  const columns = columnDifferences(table, expected, held);
  if (columns?.length === 0) return undefined;
  return { table: name, kind: 'different', key, columns: columns ?? [] };
}

/** Enough that a step costs little beside its rows. */
const batchRows = 1_000;

/** In the sink's form, with how often it is there: below zero takes away what came before. */
type ExpectedRow = { readonly row: HeldRow; readonly count: number };

/** What the sink has to have: the snapshot's rows with all changes that it has passed. */
async function* expectedRows(
  { snapshot, mapped: { table, places }, changed, view }: ComparedTable,
  signal: AbortSignal,
): AsyncGenerator<readonly ExpectedRow[], void, undefined> {
  const expect = (row: Row, count = 1): ExpectedRow => ({ row: view.expect(table, row), count });
  let partial = changed.partialRows(table);
  // A table that was emptied has another file now, and its old rows cannot be read any more; nor do they have to be.
  const parts = changed.isEmptied(table) ? [] : snapshot.parts;
  for (const part of parts) {
    for await (const batch of part.read(signal)) {
      const expected: ExpectedRow[] = [];
      for (const found of batch) {
        const row = places === undefined ? found : projectRow(found, places);
        for (const after of changed.inPlaceOf(table, row)) {
          if (after !== row) partial--;
          expected.push(expect(after));
        }
      }
      yield expected;
    }
  }
  if (partial !== 0) {
    throw new BatonError(
      'PROTOCOL',
      `${Math.abs(partial)} rows of ${nameOf(table)} were changed that its snapshot does not have`,
    );
  }
  let others: ExpectedRow[] = [];
  for (const { row, count } of changed.others(table)) {
    others.push(expect(row, count));
    if (others.length < batchRows) continue;
    yield others;
    others = [];
  }
  yield others;
}

async function* heldRows(
  { mapped: { table }, view }: ComparedTable,
  signal: AbortSignal,
): AsyncGenerator<readonly HeldRow[], void, undefined> {
  for await (const page of view.rows(table)) {
    signal.throwIfAborted();
    yield page;
  }
}
