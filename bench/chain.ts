import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { mustRun } from '@batondb/testbed/processes';
import { runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles } from '@batondb/testbed/trees';
import { byteCount, wholeNumber } from './args.ts';
import { type Spread, spread } from './statistics.ts';

// npm run bench:chain. What three targets cost over one when links are what a copy waits for: hosts are network namespaces
// whose links are shaped, so each has its own bandwidth, but all share the processors of this machine.

const usage = `Usage: npm run bench:chain -- [options]

Times baton copy to one and to three hosts over shaped links, and prints medians and ratios (Markdown). Needs root.

  --rounds N    rounds, each of which times every way once (default 3)
  --size SIZE   bytes to copy: 64MiB, 1GiB (default 256MiB)
  --link N      speed of each host's link in Mbit/s (default 400)
  --streams N   connections per hop; 0: baton's own choice (default 0)
  --json        print one JSON document with every sample instead
  --help        this text
`;

/** Three targets, in a chain, may take this many times as long as one. */
const chainGoal = 1.25;
const runMsMax = 10 * 60_000;
const files = 4;

type Way = {
  readonly title: string;
  readonly targets: readonly string[];
  readonly topology: 'chain' | 'star';
  /** One copy after the other, as transferpy serves its targets. */
  readonly isSerial?: true;
};

const three = ['b', 'c', 'd'] as const;
const ways = {
  one: { title: 'one target', targets: ['b'], topology: 'chain' },
  chain: { title: 'three targets, chain', targets: three, topology: 'chain' },
  star: { title: 'three targets, star', targets: three, topology: 'star' },
  serial: { title: 'three targets, one after another', targets: three, topology: 'chain', isSerial: true },
} as const satisfies Record<string, Way>;
type WayName = keyof typeof ways;
const wayNames = Object.keys(ways) as readonly WayName[];

type Sample = { readonly round: number; readonly way: WayName; readonly seconds: number; readonly sentBytes: number };
type Report = {
  readonly sizeBytes: number;
  readonly linkMbit: number;
  /** How long the bytes alone take on one link. */
  readonly floorSeconds: number;
  readonly samples: readonly Sample[];
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      size: { type: 'string', default: '256MiB' },
      link: { type: 'string', default: '400' },
      streams: { type: 'string', default: '0' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const rounds = wholeNumber('--rounds', values.rounds);
  const sizeBytes = byteCount('--size', values.size);
  const linkMbit = wholeNumber('--link', values.link);
  await using data = makeSandbox();
  const tree = data.join('tree');
  tell(`making ${values.size} that do not compress`);
  makeLargeFiles(tree, { files, bytesEach: Math.ceil(sizeBytes / files), compressible: 0 });
  await using bed = await startHosts({ count: 4, linkMbit });
  const samples: Sample[] = [];
  // One that does not count: memory and caches are touched for the first time.
  await timeWay(bed, 'chain', tree, values.streams);
  for (let round = 0; round < rounds; round++) {
    for (let index = 0; index < wayNames.length; index++) {
      // From another start each round, so that no way always follows the same one.
      const way = wayNames[(index + round) % wayNames.length] ?? 'one';
      const sample = { round, way, ...(await timeWay(bed, way, tree, values.streams)) };
      samples.push(sample);
      tell(`round ${round + 1} ${way}: ${sample.seconds.toFixed(2)} s`);
    }
  }
  const floorSeconds = (sizeBytes * 8) / (linkMbit * 1e6);
  const report: Report = { sizeBytes, linkMbit, floorSeconds, samples };
  process.stdout.write(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : renderReport(report));
}

/** Runs one way into empty directories. Seconds from the start of the command (or the first of them) to its end. */
async function timeWay(
  bed: Bed,
  name: WayName,
  tree: string,
  streams: string,
): Promise<Pick<Sample, 'seconds' | 'sentBytes'>> {
  const way: Way = ways[name];
  const source = bed.host('a');
  const targets = await Promise.all(way.targets.map((host) => makeTarget(bed.host(host))));
  // What earlier runs left to write must not be written during this one.
  await mustRun(['sync', '--file-system', bed.path], { timeoutMs: runMsMax });
  const before = await sentBy(source);
  const begin = performance.now();
  for (const group of way.isSerial === true ? targets.map((target) => [target]) : [targets]) {
    const args = ['copy', '--topology', way.topology, '--streams', streams, `a:${tree}`, ...group];
    const { code, stderr } = await runBaton(args, { bed, timeoutMs: runMsMax });
    if (code !== 0) throw new Error(`baton ${args.join(' ')} ended with ${code}: ${stderr.slice(-2000)}`);
  }
  const seconds = (performance.now() - begin) / 1000;
  const sentBytes = (await sentBy(source)) - before;
  for (const host of way.targets) rmSync(bed.host(host).join('in'), { recursive: true, force: true });
  return { seconds, sentBytes };
}

async function makeTarget(host: Host): Promise<string> {
  await host.exec(['mkdir', '-p', host.join('in')]);
  return `${host.name}:${host.join('in')}`;
}

/** Bytes that a host has sent over its link. */
async function sentBy(host: Host): Promise<number> {
  const { stdout } = await mustRun(['ip', '-n', host.namespace, '-s', '-j', 'link', 'show', 'dev', 'eth0']);
  const [link] = JSON.parse(stdout) as readonly { readonly stats64: { readonly tx: { readonly bytes: number } } }[];
  if (link === undefined) throw new Error(`${host.name} has no link`);
  return link.stats64.tx.bytes;
}

function renderReport({ sizeBytes, linkMbit, floorSeconds, samples }: Report): string {
  const rows = wayNames.map((name) => {
    const own = samples.filter(({ way }) => way === name);
    const seconds = spread(own.map((sample) => sample.seconds));
    const sent = spread(own.map((sample) => sample.sentBytes / 2 ** 20))?.median ?? 0;
    return `| ${ways[name].title} | ${describe(seconds)} | ${ratioToOne(samples, name)?.toFixed(2)} | ${sent.toFixed(0)} |`;
  });
  const chain = ratioToOne(samples, 'chain') ?? Number.NaN;
  return [
    `# baton copy to one and to three hosts\n`,
    `${(sizeBytes / 2 ** 20).toFixed(0)} MiB that do not compress, links of ${linkMbit} Mbit/s: ${floorSeconds.toFixed(2)} s for the bytes alone. Medians, in brackets the least and the most.\n`,
    '| way | wall s | ÷ one target | sent by the source, MiB |',
    '| --- | --- | --- | --- |',
    ...rows,
    `\nGoal: a chain of three takes at most ${chainGoal} times as long as one target: ${chain.toFixed(2)}, ${chain <= chainGoal ? 'pass' : 'MISS'}\n`,
  ].join('\n');
}

/** The median of the ratios within each round: what disturbs the machine for a while disturbs both. */
function ratioToOne(samples: readonly Sample[], name: WayName): number | undefined {
  const secondsOf = (way: WayName, round: number): number | undefined =>
    samples.find((sample) => sample.way === way && sample.round === round)?.seconds;
  const rounds = [...new Set(samples.map(({ round }) => round))];
  return spread(rounds.map((round) => (secondsOf(name, round) ?? 0) / (secondsOf('one', round) ?? 1)))?.median;
}

function describe(seconds: Spread | undefined): string {
  if (seconds === undefined) return '';
  return `${seconds.median.toFixed(2)} (${seconds.min.toFixed(2)}-${seconds.max.toFixed(2)})`;
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

await main();
