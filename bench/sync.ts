import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { wholeNumber } from './args.ts';
import { startDatabase } from './sync/database.ts';
import { type LagFound, measureLag } from './sync/lag.ts';
import type { Method, Sample } from './sync/method.ts';
import { makeMethods } from './sync/methods.ts';
import { judge, renderReport, type SyncReport } from './sync/report.ts';

// npm run bench:sync. README.md says how to read what it prints.

const usage = `Usage: npm run bench:sync -- [options]

Times baton sync side by side with PostgreSQL's own programs and with a bare client of etcd, every method once a round, then
how far a sink is behind, and prints medians, ratios within rounds and goals (Markdown). Starts its own servers, as root.

  --rounds N        rounds (default 5)
  --only NAME,…     dump, dump-etcd, stream-4, stream-1000, etcd-4, etcd-1000, lag
  --rows N          rows of the table that is dumped (default 2000000)
  --changes N       rows of each backlog of a slot (default 500000)
  --etcd-rows N     rows that go to etcd (default 200000)
  --jobs N          connections that a dump reads by (default 4)
  --lag-seconds N   how long each load lasts (default 20)
  --lag-rates N,…   transactions a second (default 1000,5000)
  --txn-ops N       etcd's --max-txn-ops (default 128, as it is by itself)
  --profiles DIR    leave profiles of baton's processor time in DIR
  --json            print one JSON document with every sample instead
  --help            this text
`;

type Values = ReturnType<typeof readOptions>;

function readOptions() {
  return parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      only: { type: 'string', default: '' },
      rows: { type: 'string', default: '2000000' },
      changes: { type: 'string', default: '500000' },
      'etcd-rows': { type: 'string', default: '200000' },
      jobs: { type: 'string', default: '4' },
      'lag-seconds': { type: 'string', default: '20' },
      'lag-rates': { type: 'string', default: '1000,5000' },
      'txn-ops': { type: 'string', default: '128' },
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
  const report = await measureAll(values);
  process.stdout.write(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : renderReport(report));
  return judge(report).every(({ isMet }) => isMet) ? 0 : 1;
}

async function measureAll(values: Values): Promise<SyncReport> {
  const only = values.only.split(',').filter((name) => name !== '');
  const wants = (name: string): boolean => only.length === 0 || only.includes(name);
  const profiles = values.profiles === undefined ? undefined : resolve(values.profiles);
  if (profiles !== undefined) mkdirSync(profiles, { recursive: true });
  const rounds = wholeNumber('--rounds', values.rounds);
  await using sandbox = makeSandbox();
  tell('making what is read');
  await using server = await startDatabase(sandbox);
  const methods = await makeMethods({
    sandbox,
    server,
    sizes: {
      rows: wholeNumber('--rows', values.rows),
      changes: wholeNumber('--changes', values.changes),
      etcdRows: wholeNumber('--etcd-rows', values['etcd-rows']),
    },
    jobs: wholeNumber('--jobs', values.jobs),
    etcdOptions: [`--max-txn-ops=${wholeNumber('--txn-ops', values['txn-ops'])}`],
    profiles,
    wants,
  });
  const samples = await runRounds(methods, rounds);
  const lags: LagFound[] = [];
  for (const rate of wants('lag') ? values['lag-rates'].split(',') : []) {
    for (const sink of ['etcd', 'sqlite'] as const) {
      tell(`lag into ${sink} at ${rate} transactions a second`);
      const seconds = wholeNumber('--lag-seconds', values['lag-seconds']);
      const perSecond = wholeNumber('--lag-rates', rate);
      lags.push(await measureLag(sandbox, server, { sink, perSecond, seconds }, profiles));
    }
  }
  return { samples, lags };
}

async function runRounds(methods: readonly Method[], rounds: number): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  for (let round = 1; round <= rounds && methods.length > 0; round++) {
    tell(`round ${round} of ${rounds}`);
    // From another start each round, so that no method always follows the same one.
    for (const [index] of methods.entries()) {
      const { workload, run } = methods[(index + round - 1) % methods.length]!;
      for (const [method, found] of Object.entries(await run())) samples.push({ round, workload, method, ...found });
    }
  }
  return samples;
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

process.exitCode = await main();
