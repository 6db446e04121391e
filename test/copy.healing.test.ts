import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CopyEvent, TargetResult } from '@batondb/copy/events';
import { hostPath } from '@batondb/testbed/checkout';
import { cutLink, killAgents, stopAgents } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { requireRoot } from '@batondb/testbed/requirements';
import type { BatonResult } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import {
  assertAllDone,
  assertExit,
  assertIdentical,
  assertNothingRuns,
  assertOneDigest,
  eventsOf,
  hostBytes,
  isSoak,
  makeTargets,
  resultOf,
  runCopy,
  someOf,
  startCopy,
  summaryOf,
} from './copy-on-bed.ts';

// A chain of three loses a host, or waits for one, halfway: after two seconds of four, whatever the links are.

const mib = 1024 * 1024;
const linkMbit = isSoak ? 400 : 200;
const contentBytes = (isSoak ? 200 : 100) * mib;
let trees: Sandbox;
let tree: string;

before(() => {
  requireRoot('the test of healing');
  trees = makeSandbox();
  tree = trees.join('tree');
  // Nothing of it compresses: the link is what a copy waits for, and bytes on the wire are bytes of content.
  makeLargeFiles(tree, { files: 4, bytesEach: contentBytes / 4, compressible: 0, seed: 3 });
  makeSmallFiles(`${tree}/small`, 300, { seed: 3 });
});

after(async () => {
  await trees[Symbol.asyncDispose]();
});

type Chain = {
  readonly bed: Bed;
  readonly source: Host;
  readonly hosts: readonly [Host, Host, Host];
  /** The targets as operands, and as the summary names them. */
  readonly targets: readonly [string, string, string];
  readonly args: readonly string[];
};

async function prepareChain(bed: Bed): Promise<Chain> {
  const [source, b, c, d] = bed.hosts as [Host, Host, Host, Host];
  const hosts = [b, c, d] as const;
  const targets = (await makeTargets(hosts)) as unknown as Chain['targets'];
  return { bed, source, hosts, targets, args: [`a:${tree}`, ...targets] };
}

const places = ['first', 'middle', 'last'] as const;
type Place = (typeof places)[number];

/** The one that a fault hits, and the others. */
function choose({ hosts, targets }: Chain, place: Place) {
  const at = places.indexOf(place);
  const [host, target] = [hosts[at], targets[at]];
  if (host === undefined || target === undefined) throw new Error(`no host is ${place}`);
  const others = hosts.flatMap((other, index) => (index === at ? [] : [{ host: other, target: targets[index] ?? '' }]));
  return { host, target, others };
}

const copyOn = (host: Host): string => host.join('in', 'tree');

/** What the copy of a lost host must come to: exit code 50, the lost one named, the others done and identical. */
async function assertLostOnly(chain: Chain, place: Place, result: BatonResult<CopyEvent>): Promise<TargetResult> {
  const { host, target, others } = choose(chain, place);
  assertExit(result, 50);
  const summary = summaryOf(result);
  const lost = resultOf(summary, target);
  assert.equal(lost.state, 'failed');
  assert.equal(lost.error?.host, host.name);
  assert.ok(lost.error?.code === 'CONNECTION_LOST' || lost.error?.code === 'STALLED', lost.error?.message);
  assert.deepEqual(
    eventsOf(result.events, 'target-failed').map((event) => event.result.target),
    [target],
  );
  assertOneDigest(others.map((other) => resultOf(summary, other.target)));
  for (const other of others) {
    assert.equal(resultOf(summary, other.target).state, 'done');
    assert.match(readdirSync(other.host.join('in')).sort().join(' '), /^\.baton-[0-9a-f]{16}\.published tree$/);
    await assertIdentical(tree, copyOn(other.host));
  }
  assert.ok(!existsSync(copyOn(host)), 'a partial copy has no final name');
  return lost;
}

/** What a user does next: the same command again, which continues on the lost target and leaves the others as they are. */
async function assertRerunCompletes(chain: Chain, place: Place): Promise<void> {
  const { bed, args, hosts, targets } = chain;
  const { others, target } = choose(chain, place);
  const inodes = others.map(({ host }) => statSync(copyOn(host)).ino);
  const rerun = await runCopy(bed, args);
  const summary = assertAllDone(rerun, targets);
  const [resumed] = eventsOf(rerun.events, 'resumed');
  assert.equal(resumed?.target, target);
  assert.ok(resumed.keptBytes > 0.2 * contentBytes, `kept ${resumed.keptBytes} bytes`);
  for (const host of hosts) {
    await assertIdentical(tree, copyOn(host));
    assert.deepEqual(readdirSync(host.join('in')), ['tree']);
  }
  assert.deepEqual(
    others.map(({ host }) => statSync(copyOn(host)).ino),
    inodes,
  );
  for (const other of others) assert.equal(resultOf(summary, other.target).wireBytes, 0);
}

/** The senders that targets were given in the course of a copy: `target ← sender instead of sender`. */
const reroutes = (events: readonly CopyEvent[]): string[] =>
  eventsOf(events, 'rerouted').map(({ target, from, to }) => `${target} ← ${to} instead of ${from}`);

for (const place of places) {
  // Proves: a host killed -9 halfway is lost alone; its successor is fed by its predecessor; a rerun completes it.
  test(`the ${place} host is killed`, async () => {
    await using bed = await startHosts({ count: 4, linkMbit });
    const chain = await prepareChain(bed);
    const { host, target } = choose(chain, place);
    await using run = startCopy(bed, chain.args);
    await run.untilProgress(0.4, target);
    await killAgents(host);
    const result = await run.finished;
    const lost = await assertLostOnly(chain, place, result);
    assert.ok(lost.contentBytes < contentBytes, 'it was killed in the middle');
    const at = places.indexOf(place);
    const successor = chain.targets[at + 1];
    if (successor !== undefined) {
      const feeder = chain.targets[at - 1] ?? `a:${tree}`;
      assert.ok(
        reroutes(result.events).includes(`${successor} ← ${feeder} instead of ${target}`),
        reroutes(result.events).join('\n'),
      );
    }
    // Healing sends what is missing, not all of it again.
    const { sent } = await hostBytes(chain.source);
    assert.ok(sent < 1.3 * contentBytes, `the source sent ${sent} bytes`);
    await assertNothingRuns(bed);
    await assertRerunCompletes(chain, place);
  });
}

for (const place of ['middle', ...someOf(['first', 'last'] as const, 1, 'hangs')] as const) {
  // Proves: a host that hangs without dying is given up, and its agent ends by itself once it goes on.
  test(`the ${place} host hangs`, async () => {
    await using bed = await startHosts({ count: 4, linkMbit });
    const chain = await prepareChain(bed);
    const { host, target } = choose(chain, place);
    await using run = startCopy(bed, chain.args);
    await run.untilProgress(0.4, target);
    {
      await using _hung = await stopAgents(host);
      await assertLostOnly(chain, place, await run.finished);
    }
    await assertNothingRuns(bed);
    assert.ok(!existsSync(copyOn(host)), 'it did not complete its copy behind our back');
    await assertRerunCompletes(chain, place);
  });
}

// Proves: a person is told who was lost, and the line that continues; given as it is, it completes the copy.
test('a person continues with the line that was printed', async () => {
  await using bed = await startHosts({ count: 4, linkMbit });
  const chain = await prepareChain(bed);
  const { host, target } = choose(chain, 'middle');
  await using run = startCopy(bed, chain.args, { json: false });
  await waitUntil('it has received a part', async () => (await hostBytes(host)).received > 0.3 * contentBytes, 60_000);
  await killAgents(host);
  const result = await run.finished;
  assertExit(result, 50);
  const said = `${result.stdout}\n${result.stderr}`;
  assert.ok(
    said.split('\n').some((words) => words.startsWith('failed') && words.includes(target)),
    said,
  );
  const line = /^ +(baton copy .*)$/m.exec(result.stderr)?.[1];
  assert.ok(line !== undefined, said);
  await mustRun(['sh', '-c', line], { env: { PATH: hostPath }, timeoutMs: 120_000 });
  await assertIdentical(tree, copyOn(host));
});

// Proves: a host that hangs for a moment is waited for, and all are done.
test('the middle host hangs for a moment', async () => {
  await using bed = await startHosts({ count: 4, linkMbit });
  const chain = await prepareChain(bed);
  const { host, target } = choose(chain, 'middle');
  await using run = startCopy(bed, chain.args);
  await run.untilProgress(0.4, target);
  {
    await using _hung = await stopAgents(host);
    await sleep(4000);
  }
  assertAllDone(await run.finished, chain.targets);
  for (const each of chain.hosts) await assertIdentical(tree, copyOn(each));
});

// Proves: a cut link loses its host and nobody else; what runs there ends, though nobody can tell it to.
test('the link of the middle host is cut', async () => {
  await using bed = await startHosts({ count: 4, linkMbit });
  const chain = await prepareChain(bed);
  const { host, target } = choose(chain, 'middle');
  await using run = startCopy(bed, chain.args);
  await run.untilProgress(0.4, target);
  {
    await using _cut = await cutLink(host);
    const cutAtMs = performance.now();
    await assertLostOnly(chain, 'middle', await run.finished);
    await host.waitForNoProcess(Math.max(1, 15_000 - (performance.now() - cutAtMs)));
  }
  await assertNothingRuns(bed);
  await assertRerunCompletes(chain, 'middle');
});

// Proves: a link that was gone for a moment, shorter than a host takes to be given up, costs nobody the copy.
test('the link of the middle host is cut for a moment', async () => {
  await using bed = await startHosts({ count: 4, linkMbit });
  const chain = await prepareChain(bed);
  const { host, target } = choose(chain, 'middle');
  await using run = startCopy(bed, chain.args);
  await run.untilProgress(0.4, target);
  {
    await using _cut = await cutLink(host);
    await sleep(2500);
  }
  assertAllDone(await run.finished, chain.targets);
  for (const each of chain.hosts) await assertIdentical(tree, copyOn(each));
});

for (const place of someOf(['middle', 'last'] as const, 1, 'slow')) {
  // Proves: nobody waits for a slow host: its successor gets another sender, and it finishes last.
  test(`the ${place} host is slow`, async () => {
    await using bed = await startHosts({ count: 4, linkMbit });
    const chain = await prepareChain(bed);
    const { host, target, others } = choose(chain, place);
    // Slow enough to be noticed on a busy machine, before it has most of it.
    await host.setLinkMbit(linkMbit / (place === 'middle' ? 10 : 5));
    const result = await runCopy(bed, chain.args);
    const summary = assertAllDone(result, chain.targets);
    const [first, , last] = chain.targets;
    if (place === 'middle') {
      const known = reroutes(result.events);
      assert.ok(known.includes(`${last} ← ${first} instead of ${target}`), known.join('\n'));
      assert.ok(known.includes(`${target} ← ${last} instead of ${first}`), known.join('\n'));
    }
    const ends = eventsOf(result.events, 'target-done').map((event) => event.result.target);
    assert.equal(ends.at(-1), target, `they ended as ${ends.join(', ')}`);
    const slowMs = resultOf(summary, target).durationMs;
    for (const other of others) {
      const { durationMs } = resultOf(summary, other.target);
      assert.ok(durationMs < slowMs * 0.9, `${other.target} took ${durationMs} ms, the slow one ${slowMs} ms`);
    }
    for (const each of chain.hosts) await assertIdentical(tree, copyOn(each));
  });
}

// Proves: also a slow first host holds up nobody, though it has no sender to be compared with.
test('the first host is slow', async () => {
  await using bed = await startHosts({ count: 4, linkMbit });
  const chain = await prepareChain(bed);
  const { host, target, others } = choose(chain, 'first');
  await host.setLinkMbit(linkMbit / 16);
  await using run = startCopy(bed, chain.args);
  for (const other of others) await run.untilProgress(0.95, other.target);
  const shown = eventsOf(run.events, 'progress')
    .at(-1)
    ?.targets.find((each) => each.target === target);
  assert.ok(shown !== undefined && shown.doneBytes < 0.6 * contentBytes, `it has ${shown?.doneBytes} bytes already`);
  await host.setLinkMbit(linkMbit);
  const result = await run.finished;
  assertAllDone(result, chain.targets);
  const [, second, last] = chain.targets;
  assert.deepEqual(reroutes(result.events), [
    `${second} ← a:${tree} instead of ${target}`,
    `${target} ← ${last} instead of a:${tree}`,
  ]);
  for (const each of chain.hosts) await assertIdentical(tree, copyOn(each));
});

// Proves: whoever is killed, whenever, the others end identical, and a rerun completes the lost ones.
test('random hosts are killed at random points', async () => {
  const seed = seedOfRun();
  const random = new Random(seed).fork('healing');
  for (let round = 0; round < (isSoak ? 20 : 1); round++) {
    const victims =
      random.integer(1, 2) === 1 ? [random.pick(places)] : places.filter((place) => place !== random.pick(places));
    const fractions = victims.map(() => 0.05 + 0.85 * random.fraction());
    const what = `seed ${seed}, round ${round}: ${victims.map((place, index) => `${place} at ${fractions[index]?.toFixed(2)}`).join(', ')}`;
    await using bed = await startHosts({ count: 4, linkMbit });
    const chain = await prepareChain(bed);
    await using run = startCopy(bed, chain.args);
    const kills = victims.map(async (place, index) => {
      const { host, target } = choose(chain, place);
      await run.untilProgress(fractions[index] ?? 0, target);
      await killAgents(host);
    });
    // One may have finished before its point came; then it is not lost, which the summary tells.
    await Promise.allSettled(kills);
    const summary = summaryOf(await run.finished);
    const failed = summary.targets.filter(({ state }) => state === 'failed');
    const lost = failed.map(({ target }) => target);
    const why = `${what}\n${failed.map(({ target, error }) => `${target}: ${error?.code} ${error?.message}`).join('\n')}`;
    const hit = victims.map((place) => choose(chain, place).target);
    assert.deepEqual(
      lost.filter((target) => !hit.includes(target)),
      [],
      why,
    );
    await assertNothingRuns(bed);
    if (lost.length > 0) assertAllDone(await runCopy(bed, chain.args), chain.targets);
    for (const host of chain.hosts) {
      await assertIdentical(tree, copyOn(host));
      assert.deepEqual(readdirSync(host.join('in')), ['tree'], what);
    }
  }
});
