import { cpus } from 'node:os';
import { spread } from '../statistics.ts';
import type { Method, Sample, Workload } from './method.ts';
import type { StartMeasure } from './start.ts';

/** Everything that a run of the bench found. `--json` prints it as it is. */
export type SqliteReport = {
  readonly methods: readonly Pick<Method, 'name' | 'title' | 'workload'>[];
  readonly samples: readonly Sample[];
  readonly memory: { readonly embeddedMiB: number; readonly servedMiB: number };
  readonly start: StartMeasure | undefined;
};

/** A promise of the project and what became of it. */
export type Goal = {
  readonly text: string;
  readonly measured: number;
  readonly least: number;
  readonly isMet: boolean;
};

type Key = readonly [Workload, string];

const titles: Readonly<Record<Workload, string>> = {
  'write-1': 'Durable writes of one row, one at a time (native OFF: not durable), transactions/s',
  'write-16': 'Durable writes of one row, 16 at a time, transactions/s',
  'write-256': 'Durable writes of one row, 256 at a time, transactions/s',
  'batch-100': 'Durable transactions of 100 rows, transactions/s',
  'point-read': 'Reads of one row by its key, reads/s',
  'range-scan': 'Ranges of 1000 rows, rows/s',
  'server-write': 'Durable writes of one row through the server, transactions/s',
  'server-read': 'Reads of one row through the server, reads/s',
};
const nativeWrite: Key = ['write-1', 'native-full'];

/** What each workload is compared with. */
const bases: Readonly<Record<Workload, Key>> = {
  'write-1': nativeWrite,
  'write-16': nativeWrite,
  'write-256': nativeWrite,
  'batch-100': ['batch-100', 'native-full'],
  'point-read': ['point-read', 'native-full'],
  'range-scan': ['range-scan', 'native-full'],
  'server-write': nativeWrite,
  'server-read': ['point-read', 'native-full'],
};

/** Every goal that the samples can answer. */
export function judge(report: SqliteReport): Goal[] {
  const goals: Goal[] = [];
  const expect = (text: string, least: number, measured: number | undefined): void => {
    if (measured !== undefined) goals.push({ text, least, measured, isMet: measured >= least });
  };
  const ratioOf = (workload: Workload): number | undefined => ratio(report, [workload, 'embedded'], bases[workload]);
  expect('one durable writer, over one of native FULL', 1, ratioOf('write-1'));
  expect('256 durable writers, over one of native FULL', 3, ratioOf('write-256'));
  expect('point reads, over native', 0.85, ratioOf('point-read'));
  expect('range scans, over native', 0.85, ratioOf('range-scan'));
  expect('durable writes/s of 16 WebSockets', 5000, rate(report, ['server-write', 'ws-16'])?.median);
  return goals;
}

/** The report as Markdown. */
export function renderReport(report: SqliteReport): string {
  const lines = ['# baton sqlite and better-sqlite3', '', `- machine: ${cpus().length} × ${cpus()[0]?.model ?? '?'}`];
  lines.push(`- Node ${process.version}; medians of the rounds, in brackets the least and the most`, '');
  for (const workload of Object.keys(titles) as Workload[]) {
    const methods = report.methods.filter((method) => method.workload === workload);
    if (methods.length === 0) continue;
    lines.push(
      `## ${titles[workload]}`,
      '',
      '| method | per second | ÷ native FULL | CPU µs each |',
      '| --- | --- | --- | --- |',
    );
    for (const { name, title } of methods) lines.push(renderMethod(report, [workload, name], title));
    lines.push('');
  }
  const { memory, start } = report;
  lines.push('## Memory and start', '');
  lines.push(
    `- resident at the end: the bench with its embedded node and native databases ${round(memory.embeddedMiB)} MiB, the server ${round(memory.servedMiB)} MiB`,
  );
  if (start !== undefined)
    lines.push(
      `- start after a kill with a log of ${start.logMegabytes} MB: ${start.seconds.toFixed(2)} s, ${round(start.memoryMiB)} MiB resident`,
    );
  const goals = judge(report);
  if (goals.length > 0) lines.push('', '## Goals', '', '| goal | at least | measured | |', '| --- | --- | --- | --- |');
  for (const { text, least, measured, isMet } of goals)
    lines.push(`| ${text} | ${least} | ${round(measured)} | ${isMet ? 'met' : 'missed'} |`);
  return `${lines.join('\n')}\n`;
}

function renderMethod(report: SqliteReport, key: Key, title: string): string {
  const found = rate(report, key);
  const cpu = spread(samplesOf(report, key).map(({ cpuMicroseconds }) => cpuMicroseconds));
  const over = ratio(report, key, bases[key[0]]);
  if (found === undefined || cpu === undefined) return `| ${title} | | | |`;
  const perSecond = `${round(found.median)} (${round(found.min)}–${round(found.max)})`;
  return `| ${title} | ${perSecond} | ${over === undefined ? '' : over.toFixed(2)} | ${round(cpu.median)} |`;
}

function samplesOf({ samples }: SqliteReport, [workload, name]: Key): Sample[] {
  return samples.filter((sample) => sample.workload === workload && sample.method === name);
}

function rate(report: SqliteReport, key: Key): ReturnType<typeof spread> {
  return spread(samplesOf(report, key).map(({ perSecond }) => perSecond));
}

/** The median of the ratios within each round: what disturbs the machine for a while disturbs both. */
function ratio(report: SqliteReport, key: Key, base: Key): number | undefined {
  const others = new Map(samplesOf(report, base).map((sample) => [sample.round, sample.perSecond]));
  const ratios = samplesOf(report, key).flatMap((sample) => {
    const other = others.get(sample.round);
    return other === undefined ? [] : [sample.perSecond / other];
  });
  return spread(ratios)?.median;
}

function round(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}
