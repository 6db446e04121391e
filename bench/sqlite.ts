import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { wholeNumber } from './args.ts';
import { embeddedMethods } from './sqlite/embedded.ts';
import type { Method, Sample } from './sqlite/method.ts';
import { nativeMethods } from './sqlite/native.ts';
import { judge, renderReport, type SqliteReport } from './sqlite/report.ts';
import { servedMethods } from './sqlite/served.ts';
import { measureStart } from './sqlite/start.ts';

// npm run bench:sqlite. README.md says how to read what it prints.

const usage = `Usage: npm run bench:sqlite -- [options]

Times a node of baton sqlite side by side with better-sqlite3, every method once a round, and prints medians, ratios
within rounds and goals (Markdown).

  --rounds N       rounds (default 7)
  --ms N           how long each method works in a round (default 700)
  --only NAME,…    workloads: write-1, write-16, write-256, batch-100, point-read, range-scan, server-write, server-read
  --log SIZE       megabytes of log that the start-up has to read; 0: no start-up (default 500)
  --dir DIR        work in DIR (default: a temporary directory, removed)
  --json           print one JSON document with every sample instead
  --help           this text
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '7' },
      ms: { type: 'string', default: '700' },
      only: { type: 'string', default: '' },
      log: { type: 'string', default: '500' },
      dir: { type: 'string', default: tmpdir() },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const parent = resolve(values.dir);
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, 'baton-bench-'));
  try {
    const only = values.only.split(',').filter((name) => name !== '');
    const rounds = wholeNumber('--rounds', values.rounds);
    const sampleMs = wholeNumber('--ms', values.ms);
    const logMegabytes = values.log === '0' ? 0 : wholeNumber('--log', values.log);
    const report = await measureAll(directory, { only, rounds, sampleMs, logMegabytes });
    process.stdout.write(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : renderReport(report));
    return judge(report).every(({ isMet }) => isMet) ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

type Plan = {
  readonly only: readonly string[];
  readonly rounds: number;
  readonly sampleMs: number;
  readonly logMegabytes: number;
};

async function measureAll(directory: string, plan: Plan): Promise<SqliteReport> {
  await using open = new AsyncDisposableStack();
  tell('making the databases');
  const native = open.use(nativeMethods(directory));
  const embedded = open.use(await embeddedMethods(directory));
  const served = open.use(await servedMethods(directory));
  const methods = [...native.methods, ...embedded.methods, ...served.methods].filter(
    ({ workload }) => plan.only.length === 0 || plan.only.includes(workload),
  );
  const samples: Sample[] = [];
  // One that does not count: code is compiled and caches are filled.
  for (const method of methods) await sample(method, 0, plan.sampleMs);
  for (let round = 1; round <= plan.rounds; round++) {
    tell(`round ${round} of ${plan.rounds}`);
    // From another start each round, so that no method always follows the same one.
    for (const [index] of methods.entries())
      samples.push(await sample(methods[(index + round) % methods.length]!, round, plan.sampleMs));
  }
  const memory = { embeddedMiB: process.memoryUsage.rss() / 2 ** 20, servedMiB: served.memoryMiB() };
  await open.disposeAsync();
  const start = plan.logMegabytes === 0 ? undefined : await measureStart(directory, plan.logMegabytes);
  return { methods: methods.map(({ name, title, workload }) => ({ name, title, workload })), samples, memory, start };
}

async function sample(method: Method, round: number, sampleMs: number): Promise<Sample> {
  const cpuBefore = await method.cpuSeconds();
  const beginMs = performance.now();
  const done = await method.run(beginMs + sampleMs);
  const seconds = (performance.now() - beginMs) / 1000;
  const cpuSeconds = (await method.cpuSeconds()) - cpuBefore;
  const { workload, name } = method;
  return { round, workload, method: name, perSecond: done / seconds, cpuMicroseconds: (cpuSeconds / done) * 1e6 };
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

process.exitCode = await main();
