import { formatCount, formatDuration } from '@batondb/core/text/format';
import { PostgresSource } from '@batondb/sync/postgres/source';
import { type VerifyProgress, VerifyTally } from '@batondb/sync/verify/progress';
import { isSame, type RowDifference, type TableReport, type VerifyReport } from '@batondb/sync/verify/report';
import { verifySink } from '@batondb/sync/verify/verify';
import { exitCodes } from '../exit-codes.ts';
import type { Output } from '../output.ts';
import { jsonLine } from '../render/json.ts';
import { Screen } from '../render/screen.ts';
import { fit, printableText, printableValue } from '../render/style.ts';
import { restoreCursor } from '../render/terminal.ts';
import type { CommandContext } from '../service/context.ts';
import { mappingOf, publicationsOf } from './options.ts';
import { openView, sourcePlace } from './places.ts';
import { makeSpillDirectory } from './spill-directory.ts';
import type { VerifyFlags } from './verify-command.ts';

// Compares, shows how far it is on standard error, and prints on standard output what differs.

/** How often a person's line changes, and how often a log hears of it. */
const redrawMs = 250;
const logMs = 10_000;

/** Returns 25 when anything differs, 20 when nothing does and not all tables could be compared. */
export async function runVerify(flags: VerifyFlags, context: CommandContext): Promise<number> {
  const { stdout, stderr, environment } = context;
  const place = sourcePlace(flags, environment);
  const view = await openView(flags, place.address.database, environment);
  const { signal } = context.watchInterruption();
  await using started = new AsyncDisposableStack();
  const notice = (message: string): void => void stderr.writeLines([printableText(message)]);
  const source = new PostgresSource({
    ...place,
    // Nothing of the sync's slot is used.
    slot: flags.slot,
    publications: publicationsOf(flags),
    spillDirectory: await makeSpillDirectory(flags.spillDir, started),
    onNotice: notice,
  });
  const tally = new VerifyTally();
  const startedAtMs = Date.now();
  const { table: tables, limit, jobs } = flags;
  const options = { source, openView: view, mapping: mappingOf(flags), tables, limit, jobs, tally };
  let report: VerifyReport;
  {
    using _ = showProgress(tally, flags.json ? undefined : stderr, environment['TERM'] !== 'dumb');
    report = await verifySink(options, signal);
  }
  const tookMs = Date.now() - startedAtMs;
  await stdout.writeLines(flags.json ? jsonLines(report, tookMs) : reportLines(report, tookMs));
  if (!isSame(report)) return exitCodes.different;
  return report.skipped.length > 0 ? exitCodes.sourceChanged : exitCodes.ok;
}

function showProgress(tally: VerifyTally, output: Output | undefined, isAble: boolean): Disposable {
  if (output === undefined) return { [Symbol.dispose]: () => undefined };
  const screen = output.isTerminal && isAble ? new Screen() : undefined;
  const show = (): void => {
    const line = progressLine(tally.progress);
    if (screen === undefined) void output.writeLines([line]);
    else void output.write(screen.draw([], [fit(line, output.size.columns - 1)]));
  };
  const timer = setInterval(show, screen === undefined ? logMs : redrawMs).unref();
  if (screen !== undefined) process.on('exit', restoreCursor);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      if (screen === undefined) return;
      void output.write(screen.end());
      process.off('exit', restoreCursor);
    },
  };
}

const phases: Readonly<Record<Exclude<VerifyProgress['phase'], 'comparing'>, string>> = {
  observing: 'taking a state of the source',
  waiting: "waiting until the sink has come to the source's state",
  following: 'reading what was changed since',
};

/** `comparing: 3 of 25 tables, 1,234,567 of about 4,000,000 rows of both sides, 410,000 rows/s, ETA 7 s`. Pure. */
export function progressLine({
  phase,
  tables,
  tablesDone,
  rows,
  estimatedRows,
  rowsPerSecond,
}: VerifyProgress): string {
  if (phase !== 'comparing') return phases[phase];
  const integer = (value: number): string => Math.round(value).toLocaleString('en-US');
  const leftMs = rowsPerSecond > 0 ? ((estimatedRows - rows) / rowsPerSecond) * 1000 : 0;
  return [
    `comparing: ${tablesDone} of ${tables} tables`,
    `${integer(rows)} of about ${integer(estimatedRows)} rows of both sides`,
    `${integer(rowsPerSecond)} rows/s`,
    ...(leftMs > 0 ? [`ETA ${formatDuration(leftMs)}`] : []),
  ].join(', ');
}

function jsonLines({ position, tables, skipped, differences }: VerifyReport, tookMs: number): string[] {
  const nowMs = Date.now();
  const state = tables.some((table) => countOf(table) > 0) ? 'different' : skipped.length > 0 ? 'incomplete' : 'same';
  return [
    ...differences.map((difference) => jsonLine({ type: 'difference', ...difference }, nowMs)),
    ...tables.map((table) => jsonLine({ type: 'table-compared', ...table }, nowMs)),
    ...skipped.map((table) => jsonLine({ type: 'table-skipped', ...table }, nowMs)),
    jsonLine({ type: 'compared', state, position, tookMs }, nowMs),
  ];
}

/** For people. Pure. */
export function reportLines(report: VerifyReport, tookMs: number): string[] {
  const { position, tables, skipped, differences } = printableValue(report);
  const lines = tables.flatMap((table) => {
    if (countOf(table) === 0) return [];
    const told = differences.filter((difference) => difference.table === table.table);
    const left = countOf(table) - told.length;
    return [
      `${table.table}: ${countsText(table)} of ${formatCount(table.rows, 'row')}`,
      ...told.flatMap(differenceLines),
      ...(left > 0 ? [`  and ${left.toLocaleString('en-US')} more (--limit)`] : []),
    ];
  });
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const differing = tables.filter((table) => countOf(table) > 0).length;
  const result = differing === 0 ? 'no difference' : `differences in ${formatCount(differing, 'table')}`;
  return [
    ...lines,
    ...skipped.map(({ table, reason }) => `${table}: not compared: ${reason}`),
    `${result}: ${formatCount(tables.length, 'table')}, ${formatCount(rows, 'row')}, at ${position}, in ${formatDuration(tookMs)}`,
  ];
}

function countOf({ missing, extra, different }: TableReport): number {
  return missing + extra + different;
}

function countsText({ missing, extra, different }: TableReport): string {
  const counts = { missing, extra, different };
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count.toLocaleString('en-US')} ${kind}`)
    .join(', ');
}

function differenceLines({ kind, key, columns }: RowDifference): string[] {
  if (kind !== 'different') return [`  ${kind}: ${key}`];
  if (columns.length === 0) return [`  different: ${key}: what the sink has is no row`];
  return [
    `  different: ${key}`,
    ...columns.map(({ column, expected, found }) => `    ${column}: ${expected} at the source, ${found} in the sink`),
  ];
}
