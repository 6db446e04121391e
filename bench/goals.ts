import type { Run } from './bench.ts';
import type { DataSet } from './data.ts';
import { ratio } from './statistics.ts';

/** A promise of the project and what became of it. */
export type Goal = { readonly text: string; readonly measured: number; readonly isMet: boolean; readonly unit: string };

const memoryMiBMax = 256;

/** Every goal that the runs can answer, the strict readings of a goal right below it. */
export function judge(runs: readonly Run[]): Goal[] {
  const of = (data: DataSet['name'], method: string) =>
    runs.filter((run) => run.data === data && run.method === method);
  const goals: Goal[] = [];
  const atLeast = (text: string, least: number, measured: number | undefined) => {
    if (measured !== undefined) goals.push({ text, measured, isMet: measured >= least, unit: '×' });
  };
  const atMost = (text: string, most: number, measured: number | undefined, unit = '×') => {
    if (measured !== undefined) goals.push({ text, measured, isMet: measured <= most, unit });
  };
  for (const data of ['large', 'small'] as const) {
    const [baton, transferpy] = [of(data, 'baton'), of(data, 'transferpy')];
    const batonCpu = (run: Run) => run.sample.cpuSeconds;
    atLeast(`${data}: transferpy takes at least 6 times as long`, 6, ratio(transferpy, baton, wall));
    atLeast(
      `${data}: … its 3 s pause and its sums of the target left out`,
      6,
      ratioOfParts(transferpy, baton, pipelineWall, wall),
    );
    atLeast(`${data}: transferpy costs at least 5 times the CPU`, 5, ratio(transferpy, baton, batonCpu));
    atLeast(`${data}: … its sums of the target left out`, 5, ratioOfParts(transferpy, baton, pipelineCpu, batonCpu));
  }
  const large = of('large', 'baton');
  atMost('large: not slower than rsync over ssh', 1, ratio(large, of('large', 'rsync'), wall));
  atMost('large: … with --fsync', 1, ratio(large, of('large', 'rsync-fsync'), wall));
  const small = of('small', 'baton');
  atMost('small: at most 1.3 times as long as rsync with --fsync', 1.3, ratio(small, of('small', 'rsync-fsync'), wall));
  const ours = runs.filter(({ method }) => method.startsWith('baton'));
  const memory = ours.map(({ sample }) => sample.memoryBytesMax / 2 ** 20);
  const peak = memory.length === 0 ? undefined : Math.max(...memory);
  atMost(`every process of baton: at most ${memoryMiBMax} MiB of memory`, memoryMiBMax, peak, ' MiB');
  return goals;
}

function wall(run: Run): number {
  return run.sample.wallSeconds;
}

/** From the end of the pause to the arrival of the last byte. */
function pipelineWall(run: Run): number | undefined {
  const [slept, transferred] = [phase(run, 'slept'), phase(run, 'transferred')];
  return slept && transferred ? transferred.wallSeconds - slept.wallSeconds : undefined;
}

function pipelineCpu(run: Run): number | undefined {
  return phase(run, 'transferred')?.cpuSeconds;
}

function phase(run: Run, name: string): Run['sample']['phases'][number] | undefined {
  return run.sample.phases.find((candidate) => candidate.name === name);
}

function ratioOfParts(
  runs: readonly Run[],
  base: readonly Run[],
  part: (run: Run) => number | undefined,
  whole: (run: Run) => number,
): number | undefined {
  const known = runs.filter((run) => part(run) !== undefined);
  return ratio(known, base, (run) => (base.includes(run) ? whole(run) : (part(run) ?? Number.NaN)));
}
