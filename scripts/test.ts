import { randomInt } from 'node:crypto';
import { globSync } from 'node:fs';
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';
import { buildCommand } from './build.ts';
import { ensureDebianPackages } from './debian-packages.ts';
import { type RunnerEvent, Totals } from './test-totals.ts';

// npm test: everything that runs, more files at a time than there are cores, since tests wait for disks, links and silences. First the
// black-box tests in test/ and the packages' own, the long ones before the many short ones, so that no core waits for a last one; then,
// fewer at a time, those that judge how soon something ended; and by itself the one that judges how much is on its way when a host is killed.

const help = `Usage: npm test [-- --only PART] [-- --soak]

  --only PART   only files whose path contains PART; may be given more than once
  --soak        all rounds of repeated tests, not a seeded tenth (npm run test:soak)

BATON_SEED=NUMBER repeats the choices of an earlier run; it is printed at the start and at the end.
The tests in test/ and of the testbed need root: they make network namespaces and mounts.`;

const root = resolve(import.meta.dirname, '..');

const alone = /\/copy\.kill\.resume\.test\.ts$/;
const apart = /\/(copy\.(chain|healing|kill|lifetime|security)|(children|kill|network|refused)\.galera)\.test\.ts$/;
/** Each takes minutes: begun last, it would be waited for. */
const first = /\/(copy\.(healing|security|stream)|demo|sync\.(faults|history|kill))\.test\.ts$/;

type Group = { readonly files: readonly string[]; readonly concurrency: number };

/** Minutes after which one test, and the whole run, are given up. */
type Bounds = { readonly testMinutesMax: number; readonly runMinutesMax: number };
const usualBounds: Bounds = { testMinutesMax: 10, runMinutesMax: 60 };
const soakBounds: Bounds = { testMinutesMax: 60, runMinutesMax: 480 };

function findGroups(parts: readonly string[]): Group[] {
  const find = (pattern: string): string[] =>
    globSync(pattern, { cwd: root })
      .filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)))
      .sort()
      .map((path) => resolve(root, path));
  const found = [...find('test/**/*.test.ts'), ...find('packages/*/test/**/*.test.ts')];
  const all = [...found.filter((path) => first.test(path)), ...found.filter((path) => !first.test(path))];
  return [
    { files: all.filter((path) => !apart.test(path) && !alone.test(path)), concurrency: 5 },
    { files: all.filter((path) => apart.test(path)), concurrency: 3 },
    { files: all.filter((path) => alone.test(path)), concurrency: 1 },
  ].filter(({ files }) => files.length > 0);
}

/** The events of all groups as of one run: Node's closing lines come once, with the sums. */
async function* runGroups(groups: readonly Group[], totals: Totals, bounds: Bounds): AsyncGenerator<unknown> {
  // A test that blocks its thread notices no timeout of its own: this ends the whole.
  const signal = AbortSignal.timeout(bounds.runMinutesMax * 60_000);
  for (const { files, concurrency } of groups) {
    const events = run({
      cwd: root,
      files: [...files],
      concurrency,
      timeout: bounds.testMinutesMax * 60_000,
      signal,
      // A test that timed out leaves things open; without the last flag its file would never end.
      execArgv: ['--conditions=batondb-source', '--disable-warning=ExperimentalWarning', '--test-force-exit'],
    });
    for await (const event of events as AsyncIterable<RunnerEvent>) {
      if (!totals.take(event)) yield event;
    }
  }
  yield* totals.closingEvents();
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { help: { type: 'boolean' }, soak: { type: 'boolean' }, only: { type: 'string', multiple: true } },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const groups = findGroups(values.only ?? []);
  if (groups.length === 0) {
    console.error(`no test file's path contains ${(values.only ?? ['.test.ts']).join(' or ')}`);
    return 2;
  }
  const toDo = ensureDebianPackages();
  if (toDo !== undefined) {
    console.error(toDo);
    return 1;
  }
  const soak = values.soak || process.env['BATON_SOAK'] === '1';
  const seed = process.env['BATON_SEED'] || String(randomInt(2 ** 31));
  // Thousands of programs are started, with homes of their own in which no compiled code is.
  const NODE_COMPILE_CACHE = process.env['NODE_COMPILE_CACHE'] ?? resolve(root, 'node_modules/.cache/compiled');
  Object.assign(process.env, { NODE_COMPILE_CACHE, BATON_SEED: seed, ...(soak ? { BATON_SOAK: '1' } : {}) });
  // No test talks to a server of the world, and reading the certificates of its authorities takes each program 40 ms.
  delete process.env['NODE_EXTRA_CA_CERTS'];
  // The black-box tests are of the built baton. Tests start thousands of them.
  await buildCommand();
  console.log(`BATON_SEED=${seed}${soak ? ' BATON_SOAK=1' : ''}`);
  const totals = new Totals();
  const events = Readable.from(runGroups(groups, totals, soak ? soakBounds : usualBounds));
  await pipeline(events, new spec(), process.stdout, { end: false });
  for (const complaint of totals.complaints()) console.error(complaint);
  console.log(`BATON_SEED=${seed}`);
  return totals.complaints().length === 0 ? 0 : 1;
}

process.exitCode = await main();
