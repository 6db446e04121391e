import { cpus } from 'node:os';
import { spread } from '../statistics.ts';
import { type Method, methods, type Sample } from './method.ts';

/** Everything that a run of the bench found. `--json` prints it as it is. */
export type GaleraReport = {
  readonly dataBytes: number;
  readonly samples: readonly Sample[];
  /** Methods that failed, and what was said; they give no numbers. */
  readonly failures: readonly { readonly method: string; readonly message: string }[];
};

/** A promise of the project and what became of it. */
export type Goal = { readonly text: string; readonly most: number; readonly measured: number; readonly isMet: boolean };

type Value = (sample: Sample) => number | undefined;

const seconds: Value = (sample) => sample.seconds;
const stall: Value = (sample) => sample.stallSeconds;
const header = [
  'method',
  'start → Synced s',
  'script s',
  'stall ms',
  'CPU s',
  'memory MiB, donor',
  'joiner',
  'sync after s',
  'time ÷ baton',
  'CPU ÷ baton',
];

/** Every goal that the report can answer. */
export function judge(report: GaleraReport): Goal[] {
  const goals: Goal[] = [];
  const atMost = (text: string, most: number, measured: number | undefined): void => {
    if (measured !== undefined) goals.push({ text, most, measured, isMet: measured <= most });
  };
  const awake: Value = (sample) => sample.seconds - sleepOf(sample.method);
  atMost(
    'baton takes half of the time of mariabackup',
    0.5,
    ratio(report, ['baton', seconds], ['mariabackup', seconds]),
  );
  atMost('… and no more than it without its sleep', 1, ratio(report, ['baton', seconds], ['mariabackup', awake]));
  atMost('baton within 1.3 of the bound', 1.3, ratio(report, ['baton', seconds], ['bound', seconds]));
  const script: Value = (sample) => sample.scriptSeconds;
  atMost("… of its time only the joiner's script's", 1.3, ratio(report, ['baton', script], ['bound', seconds]));
  const synced: Value = (sample) => sample.seconds + sample.syncSeconds;
  atMost('… and the bound with a sync, which baton does', 1.3, ratio(report, ['baton', script], ['bound', synced]));
  atMost("baton's longest stall, over mariabackup's", 1, ratio(report, ['baton', stall], ['mariabackup', stall]));
  return goals;
}

/** The report as Markdown. */
export function renderReport(report: GaleraReport): string {
  const lines = ['# baton galera and its peers', '', `- machine: ${cpus().length} × ${cpus()[0]?.model ?? '?'}`];
  lines.push(`- Node ${process.version}; both nodes on it; ${Math.round(report.dataBytes / 2 ** 20)} MiB of data`);
  lines.push('- medians of the rounds, in brackets the least and the most', '');
  lines.push(`| ${header.join(' | ')} |`, `|${' --- |'.repeat(header.length)}`);
  for (const method of methods) lines.push(...renderMethod(report, method));
  const goals = judge(report);
  if (goals.length > 0) lines.push('', '## Goals', '', '| goal | at most | measured | |', '| --- | --- | --- | --- |');
  for (const { text, most, measured, isMet } of goals)
    lines.push(`| ${text} | ${most} | ${measured.toFixed(2)} | ${isMet ? 'met' : 'missed'} |`);
  if (report.failures.length > 0) lines.push('', '## Failed', '');
  for (const { method, message } of report.failures) lines.push(`${method}: ${message}`);
  return `${lines.join('\n')}\n`;
}

function renderMethod(report: GaleraReport, { name, title, sleepSeconds }: Method): string[] {
  const of = (value: Value): string => format(valuesOf(report, name, value));
  if (valuesOf(report, name, seconds).length === 0) return [];
  const mebibytes = (bytes: number): number => bytes / 2 ** 20;
  const cells = [
    of(seconds),
    of((sample) => sample.scriptSeconds),
    format(valuesOf(report, name, stall).map((each) => each * 1000)),
    of((sample) => sample.cpuSeconds),
    of((sample) => mebibytes(sample.memoryBytes.donor)),
    of((sample) => mebibytes(sample.memoryBytes.joiner)),
    of((sample) => sample.syncSeconds),
    formatRatio(ratio(report, [name, seconds], ['baton', seconds])),
    formatRatio(ratio(report, [name, (sample) => sample.cpuSeconds], ['baton', (sample) => sample.cpuSeconds])),
  ];
  const rows = [`| ${title} | ${cells.join(' | ')} |`];
  if (sleepSeconds > 0) {
    const awake: Value = (sample) => sample.seconds - sleepSeconds;
    const over = formatRatio(ratio(report, [name, awake], ['baton', seconds]));
    rows.push(`| … without its sleep of ${sleepSeconds} s | ${of(awake)} |  |  |  |  |  |  | ${over} |  |`);
  }
  return rows;
}

function valuesOf({ samples }: GaleraReport, method: string, value: Value): number[] {
  return samples.filter((sample) => sample.method === method).flatMap((sample) => value(sample) ?? []);
}

/** The median of the ratios within each round: what disturbs the machine for a while disturbs both. */
function ratio(
  { samples }: GaleraReport,
  [method, value]: readonly [string, Value],
  [base, baseValue]: readonly [string, Value],
): number | undefined {
  const ratios = samples.flatMap((sample) => {
    const other = samples.find(({ round, method: name }) => round === sample.round && name === base);
    const [over, under] = [value(sample), other && baseValue(other)];
    return sample.method !== method || over === undefined || under === undefined ? [] : [over / under];
  });
  return spread(ratios)?.median;
}

function sleepOf(name: string): number {
  return methods.find((method) => method.name === name)?.sleepSeconds ?? 0;
}

function format(values: readonly number[]): string {
  const found = spread(values);
  if (found === undefined) return '';
  const digits = found.median < 100 ? 1 : 0;
  const [median, min, max] = [found.median, found.min, found.max].map((value) => value.toFixed(digits));
  return min === max ? `${median}` : `${median} (${min}–${max})`;
}

function formatRatio(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(2);
}
