// A judge of replicated rows that shares no code with what replicates: every row of every table, source against sink.
import type { ComparedRow, SourceDatabase, SourceTable } from './source-rows.ts';

/** What two rows of one key, or a row that only one side has, differ in. */
export type Difference = {
  /** `schema.table`. */
  readonly table: string;
  /** The key's values; of a table without a key, the row itself. */
  readonly key: string;
  /** A column, or undefined when the row is on one side only. */
  readonly column?: string;
  /** JSON; undefined when that side has no such row or value. */
  readonly source: string | undefined;
  readonly sink: string | undefined;
};

/** What a sink holds of a table, whose rows at the source are given as well; undefined when it knows no such table. */
export type SinkRows = (
  table: SourceTable,
  source: readonly ComparedRow[],
) => Promise<readonly ReadonlyMap<string, string>[] | undefined>;

/** Compares all tables that `isWanted`. A sink's table without rows and one that it does not know are the same. */
export async function compareRows(
  source: SourceDatabase,
  sinkRows: SinkRows,
  isWanted: (table: SourceTable) => boolean = () => true,
): Promise<Difference[]> {
  const differences: Difference[] = [];
  for await (const { table, rows } of source.read(isWanted)) {
    differences.push(...compareTable(table, rows, (await sinkRows(table, rows)) ?? []));
  }
  return differences;
}

function compareTable(
  table: SourceTable,
  source: readonly ComparedRow[],
  sink: readonly ReadonlyMap<string, string>[],
): Difference[] {
  const name = `${table.schema}.${table.name}`;
  const keyOf = (row: ReadonlyMap<string, string>): string =>
    table.key.length === 0 ? wholeRow(row) : table.key.map((column) => row.get(column)).join(',');
  const left = new Map<string, ReadonlyMap<string, string>[]>();
  for (const row of sink) left.set(keyOf(row), [...(left.get(keyOf(row)) ?? []), row]);
  const differences: Difference[] = [];
  for (const { values } of source) {
    const key = keyOf(values);
    const found = left.get(key)?.pop();
    if (found === undefined) differences.push({ table: name, key, source: wholeRow(values), sink: undefined });
    else differences.push(...compareRow(name, key, values, found));
  }
  for (const [key, rows] of left) {
    for (const row of rows) differences.push({ table: name, key, source: undefined, sink: wholeRow(row) });
  }
  return differences;
}

function compareRow(
  table: string,
  key: string,
  source: ReadonlyMap<string, string>,
  sink: ReadonlyMap<string, string>,
): Difference[] {
  const columns = new Set([...source.keys(), ...sink.keys()]);
  return [...columns]
    .filter((column) => source.get(column) !== sink.get(column))
    .map((column) => ({ table, key, column, source: source.get(column), sink: sink.get(column) }));
}

function wholeRow(row: ReadonlyMap<string, string>): string {
  const members = [...row].sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
}

const shownMax = 20;

/** For the message of a failed test: how many there are, and the first of them. */
export function describeDifferences(differences: readonly Difference[]): string {
  const lines = differences.slice(0, shownMax).map(({ table, key, column, source, sink }) => {
    const where = column === undefined ? `${table} ${key}` : `${table} ${key} ${column}`;
    return `${where}\n  source: ${shorten(source)}\n  sink:   ${shorten(sink)}`;
  });
  return [`${differences.length} differences`, ...lines].join('\n');
}

function shorten(text: string | undefined): string {
  if (text === undefined) return '(nothing)';
  return text.length <= 300 ? text : `${text.slice(0, 300)}… (${text.length} characters)`;
}
