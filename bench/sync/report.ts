import { cpus } from 'node:os';
import { spread } from '../statistics.ts';
import type { LagFound } from './lag.ts';
import type { Sample, Workload } from './method.ts';

/** Everything that a run of the bench found. `--json` prints it as it is. */
export type SyncReport = { readonly samples: readonly Sample[]; readonly lags: readonly LagFound[] };

/** A promise of the project and what became of it. */
export type Goal = { readonly text: string; readonly aim: string; readonly measured: string; readonly isMet: boolean };

const titles: Readonly<Record<Workload, string>> = {
  dump: 'Dump of one table',
  'dump-etcd': 'Dump into etcd',
  'stream-4': 'Backlog of transactions of 4 rows',
  'stream-1000': 'Backlog of transactions of 1000 rows',
  'etcd-4': 'Backlog of transactions of 4 rows into etcd',
  'etcd-1000': 'Backlog of transactions of 1000 rows into etcd',
};
/** What the others of a workload are compared with. */
const peers: Readonly<Record<Workload, string>> = {
  dump: 'psql',
  'dump-etcd': 'bare client',
  'stream-4': 'pg_recvlogical',
  'stream-1000': 'pg_recvlogical',
  'etcd-4': 'bare client',
  'etcd-1000': 'bare client',
};
const methodTitles: Readonly<Record<string, string>> = {
  psql: 'psql \\copy to /dev/null',
  pg_recvlogical: 'pg_recvlogical to /dev/null',
  'bare client': 'a bare client, the same batches',
  nothing: 'baton, read and dropped',
  lines: 'baton, NDJSON to /dev/null',
  ndjson: 'baton, NDJSON to a file',
  sqlite: 'baton, SQLite',
  etcd: 'baton, etcd',
};
const ratioGoals: readonly { readonly workload: Workload; readonly method: string; readonly least: number }[] = [
  { workload: 'dump', method: 'lines', least: 0.5 },
  { workload: 'stream-4', method: 'lines', least: 0.9 },
  { workload: 'stream-1000', method: 'lines', least: 0.9 },
  { workload: 'etcd-4', method: 'etcd', least: 0.7 },
  { workload: 'etcd-1000', method: 'etcd', least: 0.7 },
];
const lagGoal = { perSecond: 1000, p99Ms: 100 };

/** Every goal that the report can answer. */
export function judge(report: SyncReport): Goal[] {
  const goals: Goal[] = [];
  for (const { workload, method, least } of ratioGoals) {
    const measured = ratio(report, workload, method);
    if (measured === undefined) continue;
    const text = `${titles[workload]}: ${methodTitles[method]}, over ${methodTitles[peers[workload]]}`;
    goals.push({ text, aim: `≥ ${least}`, measured: measured.toFixed(2), isMet: measured >= least });
  }
  for (const { sink, perSecond, p99Ms } of report.lags) {
    if (perSecond !== lagGoal.perSecond) continue;
    const text = `lag into ${sink} at ${perSecond} transactions a second, p99`;
    const isMet = p99Ms < lagGoal.p99Ms;
    goals.push({ text, aim: `< ${lagGoal.p99Ms} ms`, measured: `${p99Ms.toFixed(1)} ms`, isMet });
  }
  return goals;
}

/** The report as Markdown. */
export function renderReport(report: SyncReport): string {
  const lines = ['# baton sync and its peers', '', `- machine: ${cpus().length} × ${cpus()[0]?.model ?? '?'}`];
  lines.push(`- Node ${process.version}; medians of the rounds, in brackets the least and the most`, '');
  for (const workload of Object.keys(titles) as Workload[]) {
    const methods = new Set(report.samples.filter((one) => one.workload === workload).map(({ method }) => method));
    if (methods.size === 0) continue;
    lines.push(`## ${titles[workload]}`, '', '| | rows/s | ÷ peer | CPU µs a row |', '| --- | --- | --- | --- |');
    for (const method of methods) lines.push(renderMethod(report, workload, method));
    lines.push('');
  }
  lines.push(...renderLags(report));
  const goals = judge(report);
  if (goals.length > 0) lines.push('## Goals', '', '| goal | to reach | measured | |', '| --- | --- | --- | --- |');
  for (const { text, aim, measured, isMet } of goals)
    lines.push(`| ${text} | ${aim} | ${measured} | ${isMet ? 'met' : 'missed'} |`);
  return `${lines.join('\n')}\n`;
}

function renderMethod(report: SyncReport, workload: Workload, method: string): string {
  const samples = samplesOf(report, workload, method);
  const rate = spread(samples.map(({ rows, seconds }) => rows / seconds));
  const cpu = spread(samples.map(({ rows, cpuSeconds }) => (cpuSeconds / rows) * 1e6));
  const over = ratio(report, workload, method);
  const title = methodTitles[method] ?? method;
  if (rate === undefined || cpu === undefined) return `| ${title} | | | |`;
  const perSecond = `${round(rate.median)} (${round(rate.min)}–${round(rate.max)})`;
  return `| ${title} | ${perSecond} | ${over === undefined ? '' : over.toFixed(2)} | ${cpu.median.toFixed(2)} |`;
}

function renderLags({ lags }: SyncReport): string[] {
  if (lags.length === 0) return [];
  const lines = ['## Lag', '', '| sink | transactions/s asked for | reached | p50 ms | p99 ms | most ms |'];
  lines.push('| --- | --- | --- | --- | --- | --- |');
  for (const { sink, perSecond, reached, p50Ms, p99Ms, mostMs } of lags) {
    const times = [p50Ms, p99Ms, mostMs].map((ms) => ms.toFixed(1)).join(' | ');
    lines.push(`| ${sink} | ${perSecond} | ${Math.round(reached)} | ${times} |`);
  }
  return [...lines, ''];
}

function samplesOf({ samples }: SyncReport, workload: Workload, method: string): Sample[] {
  return samples.filter((sample) => sample.workload === workload && sample.method === method);
}

/** The median of the ratios of rates within each round: what disturbs the machine for a while disturbs both. */
function ratio(report: SyncReport, workload: Workload, method: string): number | undefined {
  const rate = ({ rows, seconds }: Sample): number => rows / seconds;
  const others = new Map(samplesOf(report, workload, peers[workload]).map((one) => [one.round, rate(one)]));
  const ratios = samplesOf(report, workload, method).flatMap((sample) => {
    const other = others.get(sample.round);
    return other === undefined ? [] : [rate(sample) / other];
  });
  return spread(ratios)?.median;
}

function round(value: number): string {
  return Math.round(value).toLocaleString('en');
}
