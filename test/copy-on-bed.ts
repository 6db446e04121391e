// What the tests of copies between hosts share: running one on a bed, and judging what it did to hosts, links and trees.
import assert from 'node:assert/strict';
import type { CopyEvent, CopySummary, TargetResult } from '@batondb/copy/events';
import { compareTrees } from '@batondb/testbed/compare';
import type { Host } from '@batondb/testbed/host';
import type { Bed } from '@batondb/testbed/hosts';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { type BatonOptions, type BatonResult, type BatonRun, runBaton, startBaton } from '@batondb/testbed/run-baton';

/** The shared machine of a test may be slow; a copy that hangs is ended all the same. */
const copyMsMax = 240_000;

type Options = Omit<BatonOptions<CopyEvent>, 'bed'>;

/** All repetitions, or a seeded tenth of them. */
export const isSoak: boolean = process.env['BATON_SOAK'] === '1';

/** All cases in a soak; else as many of them as said, in their order, chosen by the seed of the run. `label`: so that others choose otherwise. */
export function someOf<T>(cases: readonly T[], count: number, label: string): T[] {
  if (isSoak) return [...cases];
  const random = new Random(seedOfRun()).fork(label);
  const chosen = new Set<number>();
  while (chosen.size < Math.min(count, cases.length)) chosen.add(random.integer(0, cases.length - 1));
  return cases.filter((_, index) => chosen.has(index));
}

/** Starts `baton copy` as the operator of a bed, in the root namespace unless `on` says otherwise. */
export function startCopy(bed: Bed, args: readonly string[], options: Options = {}): BatonRun<CopyEvent> {
  return startBaton<CopyEvent>(['copy', ...args], { timeoutMs: copyMsMax, ...options, bed });
}

/** Runs `baton copy` to its end. */
export async function runCopy(
  bed: Bed,
  args: readonly string[],
  options: Options = {},
): Promise<BatonResult<CopyEvent>> {
  return await runBaton<CopyEvent>(['copy', ...args], { timeoutMs: copyMsMax, ...options, bed });
}

/** Makes an empty target directory on each host and names it as an operand: `b:/…/in`. */
export async function makeTargets(hosts: readonly Host[]): Promise<string[]> {
  await Promise.all(hosts.map((host) => host.exec(['mkdir', '-p', host.join('in')])));
  return hosts.map((host) => `${host.name}:${host.join('in')}`);
}

/** All events of a type, in their order. */
export function eventsOf<T extends CopyEvent['type']>(
  events: readonly CopyEvent[],
  type: T,
): Extract<CopyEvent, { type: T }>[] {
  return events.filter((event): event is Extract<CopyEvent, { type: T }> => event.type === type);
}

/** The summary of a copy; fails the test when there is none. */
export function summaryOf(result: BatonResult<CopyEvent>): CopySummary {
  const [event] = eventsOf(result.events, 'summary');
  assert.ok(event !== undefined, `no summary, exit code ${result.code}: ${describeEnd(result)}`);
  return event.summary;
}

/** How a copy ended for one target; fails the test when the summary does not name it. */
export function resultOf(summary: CopySummary, target: string): TargetResult {
  const found = summary.targets.find((result) => result.target === target);
  assert.ok(found !== undefined, `the summary has no target ${target}`);
  return found;
}

/** Fails the test, with what was said, unless the exit code is the expected one. */
export function assertExit(result: BatonResult<CopyEvent>, code: number): void {
  assert.equal(result.code, code, describeEnd(result));
}

/** Fails the test unless every target is done with one and the same tree digest. Returns the summary. */
export function assertAllDone(result: BatonResult<CopyEvent>, targets: readonly string[]): CopySummary {
  assertExit(result, 0);
  const summary = summaryOf(result);
  const ends = summary.targets.map(({ target, state }) => `${target} ${state}`).sort();
  assert.deepEqual(ends, targets.map((target) => `${target} done`).sort());
  assertOneDigest(summary.targets);
  return summary;
}

/** Fails the test unless all results have the same tree digest. */
export function assertOneDigest(results: readonly TargetResult[]): void {
  const digests = new Set(results.map(({ treeDigest }) => treeDigest));
  assert.equal(digests.size, 1, `tree digests ${[...digests].join(', ')}`);
  assert.match([...digests][0] ?? '', /^[0-9a-f]{64}$/);
}

/** Fails the test unless the copy is the source, field by field; sockets are not copied. `ignore`: paths below the root. */
export async function assertIdentical(source: string, copy: string, ignore: readonly string[] = []): Promise<void> {
  assert.deepEqual(await compareTrees(source, copy, { sockets: false, ignore }), []);
}

/** Waits until no host of the bed runs anything of a copy. */
export async function assertNothingRuns(bed: Bed): Promise<void> {
  await Promise.all(bed.hosts.map((host) => host.waitForNoProcess()));
}

/** Bytes that went over a link since it exists, frames' headers included. */
export type LinkBytes = { readonly sent: number; readonly received: number };

/** Bytes of a host's own link. */
export async function hostBytes(host: Host): Promise<LinkBytes> {
  return await readLink(['ip', '-n', host.namespace], 'eth0');
}

/** Bytes of the link by which the operator's machine, the root namespace, is on the bed's network. */
export async function operatorBytes(bed: Bed): Promise<LinkBytes> {
  return await readLink(['ip'], bed.network.rootLink);
}

async function readLink(ip: readonly string[], link: string): Promise<LinkBytes> {
  const { stdout } = await mustRun([...ip, '-s', '-j', 'link', 'show', 'dev', link]);
  type Statistics = { readonly stats64: Record<'rx' | 'tx', { readonly bytes: number }> };
  const [found] = JSON.parse(stdout) as readonly Statistics[];
  assert.ok(found !== undefined, `ip says nothing of ${link}`);
  return { sent: found.stats64.tx.bytes, received: found.stats64.rx.bytes };
}

/** What was said last, for the message of a failed assertion. */
function describeEnd(result: BatonResult<CopyEvent>): string {
  const telling = result.events.filter(({ type }) => type !== 'progress' && type !== 'host' && type !== 'scanned');
  return `${result.stderr}\n${telling.map((event) => JSON.stringify(event)).join('\n')}`.slice(-6000);
}
