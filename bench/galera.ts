import { chmodSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { byteCount, wholeNumber } from './args.ts';
import { dataDirectoryIn, makeDatabase } from './database.ts';
import { Cluster } from './galera/cluster.ts';
import { type Method, methods, type Sample } from './galera/method.ts';
import { type GaleraReport, judge, renderReport } from './galera/report.ts';
import { installBaton } from './galera/runtime.ts';
import { findProgram } from './programs.ts';

// npm run bench:galera. README.md says how to read what it prints.

const usage = `Usage: npm run bench:galera -- [options]

Times State Snapshot Transfers of a Galera cluster on the loopback: baton side by side with mariabackup and rsync, and with the least that a hot
backup takes. Every method once a round, into an empty joiner, while a client writes on the donor. Prints medians, ratios within rounds and
goals (Markdown). Starts its own servers, as root.

  --rounds N       rounds (default 3)
  --only NAME,…    ${methods.map(({ name }) => name).join(', ')}
  --size SIZE      bytes of the tables, half of which compress: 256MiB, 2GiB (default 2GiB)
  --minutes N      begin no round that would end later than this (default 14)
  --dir DIR        keep the data in DIR for the next run (default: a temporary directory, removed)
  --logs DIR       leave the error logs of all transfers in DIR
  --profiles DIR   leave profiles of baton's processor time in DIR
  --json           print one JSON document with every sample instead
  --help           this text
`;

type Values = ReturnType<typeof readOptions>;

function readOptions() {
  return parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      only: { type: 'string', default: '' },
      size: { type: 'string', default: '2GiB' },
      minutes: { type: 'string', default: '14' },
      dir: { type: 'string' },
      logs: { type: 'string' },
      profiles: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values;
}

async function main(): Promise<number> {
  const values = readOptions();
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => abort.abort(new Error(`ended by ${name}`)));
  const report = await measureAll(values, chooseMethods(values.only), abort.signal);
  process.stdout.write(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : renderReport(report));
  return report.failures.length === 0 && judge(report).every(({ isMet }) => isMet) ? 0 : 1;
}

function chooseMethods(only: string): readonly Method[] {
  const names = only.split(',').filter((name) => name !== '');
  const unknown = names.find((name) => !methods.some((method) => method.name === name));
  if (unknown !== undefined) throw new Error(`--only: there is no method ${unknown}; see --help`);
  const chosen = methods.filter(({ name }) => names.length === 0 || names.includes(name));
  const missing = new Set(chosen.flatMap(({ needs }) => needs).filter((name) => findProgram(name) === undefined));
  if (missing.size > 0) throw new Error(`not installed: ${[...missing].join(', ')}`);
  return chosen;
}

async function measureAll(values: Values, chosen: readonly Method[], signal: AbortSignal): Promise<GaleraReport> {
  const rounds = wholeNumber('--rounds', values.rounds);
  const msMax = wholeNumber('--minutes', values.minutes) * 60_000;
  const dataBytes = byteCount('--size', values.size);
  const [logs, profiles] = [values.logs, values.profiles].map((path) =>
    path === undefined ? undefined : resolve(path),
  );
  if (logs !== undefined) mkdirSync(logs, { recursive: true });
  if (profiles !== undefined) {
    mkdirSync(profiles, { recursive: true });
    // User mysql leaves them.
    chmodSync(profiles, 0o777);
  }
  const beganMs = performance.now();
  await using sandbox = makeSandbox();
  tell('making the data');
  const parent = await makeDatabase(values.dir === undefined ? sandbox.path : resolve(values.dir), dataBytes, 1);
  const programs = await installBaton(sandbox.path, profiles);
  await using cluster = await Cluster.start(sandbox, { dataDirectory: dataDirectoryIn(parent), programs, logs });
  const samples: Sample[] = [];
  const failures: { readonly method: string; readonly message: string }[] = [];
  for (let round = 1, longestMs = 0; round <= rounds; round++) {
    const roundBeganMs = performance.now();
    if (roundBeganMs - beganMs + longestMs > msMax) {
      tell(`${values.minutes} minutes are too short for round ${round}`);
      break;
    }
    for (const method of rotated(chosen, round - 1)) {
      if (failures.some((failure) => failure.method === method.name)) continue;
      signal.throwIfAborted();
      try {
        const sample = await cluster.run(method, round, signal);
        tell(`round ${round}: ${method.name} ${sample.seconds.toFixed(1)} s`);
        samples.push(sample);
      } catch (error) {
        signal.throwIfAborted();
        failures.push({ method: method.name, message: (error as Error).message });
        tell(`round ${round}: ${method.name} failed: ${(error as Error).message}`);
      }
    }
    longestMs = Math.max(longestMs, performance.now() - roundBeganMs);
  }
  return { dataBytes, samples, failures };
}

/** From another start each round, so that no method always follows the same one. */
function rotated<T>(list: readonly T[], by: number): T[] {
  return list.map((_, index) => list[(index + by) % list.length]!);
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

process.exitCode = await main();
