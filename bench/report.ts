import type { Failure, Run } from './bench.ts';
import type { DataSet } from './data.ts';
import type { Goal } from './goals.ts';
import type { Method } from './peers/method.ts';
import { ratio, type Spread, spread } from './statistics.ts';
import type { TreeContent } from './tree.ts';

/** Everything that a run of the bench found. `--json` prints it as it is. */
export type Report = {
  readonly machine: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, unknown>>;
  /** Rounds that were run to their end. */
  readonly rounds: number;
  readonly methods: readonly Method[];
  readonly sources: readonly ({ readonly name: DataSet['name'] } & TreeContent)[];
  readonly runs: readonly Run[];
  readonly failures: readonly Failure[];
  readonly goals: readonly Goal[];
};

/** The method that the others are compared with, unless they name another one. */
const baseName = 'baton';

const header = [
  'method',
  'wall s',
  'CPU s',
  'memory MiB',
  'loopback MiB',
  'wall ÷ baton',
  'CPU ÷ baton',
  'sync after s',
  'runs',
] as const;

/** The report as Markdown. */
export function renderReport(report: Report): string {
  const lines = ['# baton copy and its peers', ''];
  for (const [name, value] of Object.entries(report.machine)) lines.push(`- ${name}: ${value}`);
  lines.push(`- rounds: ${report.rounds}; medians, in brackets the least and the most`, '');
  for (const source of report.sources) {
    lines.push(
      `## ${source.name}: ${source.files} files, ${mebibytes(source.bytes)} MiB`,
      '',
      ...renderTable(report, source.name),
      '',
      ...renderIncluded(report, source.name),
    );
  }
  if (report.goals.length > 0) lines.push('## Goals', '', ...renderGoals(report.goals), '');
  if (report.failures.length > 0) lines.push('## Failed', '', ...report.failures.map(renderFailure), '');
  const leftovers = report.runs.filter(({ sample }) => sample.leftovers.length > 0);
  for (const run of leftovers) lines.push(`${run.method} left processes behind: ${run.sample.leftovers.join(', ')}`);
  return lines.join('\n');
}

function renderTable(report: Report, data: DataSet['name']): string[] {
  const rows = report.methods.flatMap(({ name, title, base: ownBase }) => {
    const runs = runsOf(report, data, name);
    if (runs.length === 0) return [];
    const base = runsOf(report, data, ownBase ?? baseName);
    const largest = runs.reduce((most, run) => (run.sample.memoryBytesMax > most.sample.memoryBytesMax ? run : most));
    const sync = runs.find(({ syncSeconds }) => syncSeconds !== undefined)?.syncSeconds;
    return [
      [
        title,
        seconds(spread(runs.map(wall))),
        seconds(spread(runs.map(cpu))),
        `${mebibytes(largest.sample.memoryBytesMax)} (${largest.sample.memoryProcess})`,
        mebibytes(spread(runs.map(({ sample }) => sample.loopbackBytes))?.median ?? 0),
        times(ratio(runs, base, wall)),
        times(ratio(runs, base, cpu)),
        sync === undefined ? '' : sync.toFixed(1),
        String(runs.length),
      ],
    ];
  });
  return renderRows(header, rows);
}

/** What is in the times of the methods, where they say so. */
function renderIncluded(report: Report, data: DataSet['name']): string[] {
  const told = report.methods.filter(
    ({ name, includes }) => includes !== undefined && runsOf(report, data, name).length > 0,
  );
  const titles = Map.groupBy(told, ({ includes }) => includes);
  const lines = [...titles].map(
    ([includes, methods]) => `- ${methods.map(({ title }) => title).join('; ')}: ${includes}`,
  );
  return lines.length === 0 ? [] : ['What the times include:', '', ...lines, ''];
}

function renderGoals(goals: readonly Goal[]): string[] {
  const rows = goals.map(({ text, measured, unit, isMet }) => [
    text,
    `${measured.toFixed(unit === '×' ? 2 : 0)}${unit}`,
    isMet ? 'pass' : 'MISS',
  ]);
  return renderRows(['goal', 'measured', ''], rows);
}

function renderRows(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0), 3));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}

function renderFailure(failure: Failure): string {
  return `- ${failure.method}, ${failure.data}: ${failure.reason.replaceAll('\n', '\n  ')}`;
}

function runsOf(report: Report, data: DataSet['name'], method: string): Run[] {
  return report.runs.filter((run) => run.data === data && run.method === method);
}

function wall(run: Run): number {
  return run.sample.wallSeconds;
}

function cpu(run: Run): number {
  return run.sample.cpuSeconds;
}

function seconds(value: Spread | undefined): string {
  if (value === undefined) return '';
  return `${value.median.toFixed(2)} (${value.min.toFixed(2)}-${value.max.toFixed(2)})`;
}

function times(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(2);
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}
