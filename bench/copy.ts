import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, release, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { type BenchOptions, parseOptions, usage } from './args.ts';
import { Bench, type Failure, type Run } from './bench.ts';
import { type DataSet, makeLarge, makeSmall } from './data.ts';
import { startDatabase } from './database.ts';
import { judge } from './goals.ts';
import { allMethods } from './peers/all.ts';
import type { Method } from './peers/method.ts';
import { findProgram } from './programs.ts';
import { type Report, renderReport } from './report.ts';
import { describeScope } from './scope.ts';

// npm run bench:copy. README.md says how to read what it prints.

const batonPath = resolve(import.meta.dirname, '..', 'baton');
/** The source, three copies of it (the chain), and room for what copies stage: of a backup, its whole stream. */
const spaceFactors = { large: 4.5, backup: 7.5 } as const;
/** What a file of `small` takes on disk, its inode and its part of a directory included. Bytes. */
const smallFileBytes = 9 * 1024;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(
      `${usage}\nMethods:\n${allMethods.map(({ name, title }) => `  ${name.padEnd(18)} ${title}\n`).join('')}`,
    );
    return 0;
  }
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => abort.abort(new Error(`ended by ${name}`)));
  const directory =
    options.directory === undefined ? mkdtempSync(join(tmpdir(), 'baton-bench-')) : resolve(options.directory);
  mkdirSync(directory, { recursive: true });
  const runDirectory = mkdtempSync(join(directory, 'runs-'));
  try {
    const report = await runAll(options, directory, runDirectory, abort.signal);
    process.stdout.write(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : `${renderReport(report)}\n`);
    return report.failures.length > 0 ? 1 : 0;
  } finally {
    rmSync(options.directory === undefined ? directory : runDirectory, { recursive: true, force: true });
  }
}

async function runAll(
  options: BenchOptions,
  directory: string,
  runDirectory: string,
  signal: AbortSignal,
): Promise<Report> {
  const start = performance.now();
  const codeAtStart = describeCode();
  const names = chooseData(options.data);
  const methods = chooseMethods(options.only, names);
  requireSpace(directory, options, names, methods);
  tell(`making the data sets in ${directory}`);
  await using servers = new AsyncDisposableStack();
  const sets = await makeData(names, options, directory, servers);
  const bench = new Bench(runDirectory, batonPath);
  const warming = sets.find(({ name }) => name !== 'small');
  if (warming !== undefined) bench.warmUp(warming, Math.max(...methods.map(({ targets }) => targets ?? 1)));
  const runs: Run[] = [];
  const failures: Failure[] = [];
  let rounds = 0;
  for (let longest = 0; rounds < options.rounds; rounds += 1) {
    const roundStart = performance.now();
    if (roundStart - start + longest > options.minutes * 60_000) {
      tell(`${options.minutes} minutes are too short for round ${rounds + 1}`);
      break;
    }
    for (const data of sets) {
      const fitting = methods.filter((method) => fits(method, data.name));
      for (const method of rotate(fitting, rounds)) {
        // A method that failed once is not asked again; a slow one rests every second round.
        if (failures.some((failure) => failure.method === method.name && failure.data === data.name)) continue;
        if (method.slow === true && rounds % 2 === 1) continue;
        const outcome = await bench.run(method, data, rounds + 1, signal);
        if ('run' in outcome) runs.push(outcome.run);
        else failures.push(outcome.failure);
        tell(`round ${rounds + 1} ${data.name} ${method.name}: ${'run' in outcome ? describe(outcome.run) : 'FAILED'}`);
      }
    }
    longest = Math.max(longest, performance.now() - roundStart);
  }
  return {
    machine: { ...describeMachine(), code: sameOrBoth(codeAtStart, describeCode()) },
    options,
    rounds,
    methods,
    sources: sets.flatMap(({ name }) => {
      const source = bench.source(name);
      return source === undefined ? [] : [{ name, ...source }];
    }),
    runs:
      failures.length === 0
        ? runs
        : runs.filter((run) => !failures.some((failure) => failure.method === run.method && failure.data === run.data)),
    failures,
    goals: judge(runs),
  };
}

function chooseMethods(only: readonly string[], names: readonly DataSet['name'][]): Method[] {
  const unknown = only.find((name) => !allMethods.some((method) => method.name === name));
  if (unknown !== undefined) throw new Error(`--only: no method is called ${unknown}; see --help`);
  const chosen = allMethods.filter(
    (method) => (only.length === 0 || only.includes(method.name)) && names.some((name) => fits(method, name)),
  );
  const missing = new Set(chosen.flatMap(({ needs }) => needs).filter((program) => findProgram(program) === undefined));
  if (missing.size > 0)
    throw new Error(`not installed: ${[...missing].join(', ')}; README.md of bench lists the packages`);
  if (chosen.some(({ script }) => script.includes('$BATON')) && findProgram(batonPath) === undefined) {
    throw new Error(`${batonPath} is not there`);
  }
  return chosen;
}

/** Whether a method copies what a data set is. */
function fits({ isBackup = false }: Method, name: DataSet['name']): boolean {
  return isBackup === (name === 'backup');
}

function chooseData(names: readonly string[]): DataSet['name'][] {
  return (names.length === 0 ? ['large', 'small'] : names).map((name) => {
    if (name === 'large' || name === 'small' || name === 'backup') return name;
    throw new Error(`--data: no data set is called ${name}; there are large, small and backup`);
  });
}

/** Makes the data sets, and starts the server of one that has a server. */
async function makeData(
  names: readonly DataSet['name'][],
  { sizeBytes, files, seed }: BenchOptions,
  directory: string,
  servers: AsyncDisposableStack,
): Promise<DataSet[]> {
  const sets: DataSet[] = [];
  for (const name of names) {
    if (name === 'large') sets.push(makeLarge(directory, sizeBytes, seed));
    else if (name === 'small') sets.push(makeSmall(directory, files, seed));
    else sets.push(servers.use(await startDatabase(directory, sizeBytes, seed)).data);
  }
  return sets;
}

function requireSpace(
  directory: string,
  options: BenchOptions,
  names: readonly DataSet['name'][],
  methods: readonly Method[],
): void {
  const { bavail, bsize } = statfsSync(directory);
  const copies = methods.reduce((sum, { targets }) => sum + (targets ?? 1), 0) * options.rounds;
  const needed = names.reduce((sum, name) => {
    const own =
      name === 'small' ? (copies + 1) * options.files * smallFileBytes : spaceFactors[name] * options.sizeBytes;
    return sum + own;
  }, 0);
  if (bavail * bsize < needed) {
    throw new Error(
      `${directory} has ${bavail * bsize} bytes free, the bench needs ${needed}; name another place with --dir`,
    );
  }
}

/** The list from another start each round, so that no method always follows the same one. */
function rotate<T>(list: readonly T[], round: number): T[] {
  const start = round % Math.max(list.length, 1);
  return [...list.slice(start), ...list.slice(0, start)];
}

function describeMachine(): Record<string, string> {
  return {
    machine: `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${release()}, both ends on it`,
    'CPU seconds': describeScope(),
    memory: 'the largest process, its peak resident set as the kernel keeps it, looked up every 50 ms',
    date: new Date().toISOString().slice(0, 10),
  };
}

/** The commit that is measured, `-dirty` when files differ from it. */
function describeCode(): string {
  try {
    const options = { cwd: import.meta.dirname, encoding: 'utf8' } as const;
    return execFileSync('git', ['describe', '--always', '--dirty', '--exclude', '*'], options).trim();
  } catch {
    return 'not a git checkout';
  }
}

function sameOrBoth(start: string, end: string): string {
  return start === end ? start : `${start} at the start, ${end} at the end: numbers of different programs`;
}

function describe({ sample }: Run): string {
  return `${sample.wallSeconds.toFixed(2)} s, CPU ${sample.cpuSeconds.toFixed(2)} s`;
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  tell(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
