import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CopyEvent } from '@batondb/copy/events';
import { makeAwkwardTree } from '@batondb/testbed/awkward-tree';
import { cutLink, type Fault, killAgents } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { killProcess, waitUntil } from '@batondb/testbed/process-table';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { requireRoot } from '@batondb/testbed/requirements';
import type { BatonRun } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import { assertAllDone, assertNothingRuns, isSoak, runCopy, startCopy } from './copy-on-bed.ts';
import { TargetDirectory } from './copy-remains.ts';

// kill -9 of everything that takes part in a copy, and cut links, at random points: a source and a chain of two targets.

const mib = 1024 * 1024;
let trees: Sandbox;
let tree: string;

before(async () => {
  requireRoot('the test of killed copies');
  trees = makeSandbox();
  tree = trees.join('tree');
  makeLargeFiles(join(tree, 'large'), { files: 3, bytesEach: 20 * mib });
  makeSmallFiles(join(tree, 'small'), 500);
  await makeAwkwardTree(join(tree, 'awkward'), { root: true });
});

after(async () => {
  await trees[Symbol.asyncDispose]();
});

const victims = ['the command', 'an agent', 'an ssh process', 'a link', 'all of a host'] as const;
type Victim = (typeof victims)[number];

/** When: after a time from the start, or at a share of the bytes of the first target. */
type Moment = { readonly afterMs: number } | { readonly fraction: number };

type Kill = { readonly victim: Victim; readonly hostName: string; readonly moment: Moment };

function chooseKill(random: Random, victim: Victim): Kill {
  const isEarly = random.fraction() < 0.3;
  const moment = isEarly ? { afterMs: random.integer(0, 2500) } : { fraction: random.fraction() };
  return { victim, hostName: random.pick(['a', 'b', 'c']), moment };
}

/** One copy from a to b and c, and what it may leave. */
type Scene = { readonly bed: Bed; readonly targets: ReadonlyMap<Host, TargetDirectory> };

async function makeScene(bed: Bed): Promise<Scene> {
  const hosts = bed.hosts.filter(({ name }) => name !== 'a');
  const made = await Promise.all(
    hosts.map(async (host): Promise<[Host, TargetDirectory]> => [host, await TargetDirectory.make(host.path, tree)]),
  );
  return { bed, targets: new Map(made) };
}

/** The targets, as operands: all of them, until all are complete; then those, if any, that were killed over their last trace. */
function operandsOf({ targets }: Scene): string[] {
  const isDone = [...targets.values()].every((target) => target.isDone);
  return [...targets]
    .filter(([, target]) => !isDone || target.staging().length > 0)
    .map(([host, { path }]) => `${host.name}:${path}`);
}

/** Waits for the moment; false when the copy was faster. */
async function reach(run: BatonRun<CopyEvent>, moment: Moment): Promise<boolean> {
  const ended = run.finished.then(() => false);
  if ('afterMs' in moment) return await Promise.race([ended, sleep(moment.afterMs, true)]);
  const there = run.untilProgress(moment.fraction, undefined, 200_000).then(
    () => true,
    () => false,
  );
  return await Promise.race([ended, there]);
}

/** Kills or cuts, and returns what has to be restored. What has not begun yet is waited for. */
async function strike(run: BatonRun<CopyEvent>, bed: Bed, { victim, hostName }: Kill): Promise<Fault | undefined> {
  const host = bed.host(hostName);
  switch (victim) {
    case 'the command':
      run.kill('SIGKILL');
      return undefined;
    case 'an agent':
      await host.waitForAgent(60_000);
      await killAgents(host);
      return undefined;
    case 'an ssh process': {
      const find = () => run.processes().find(({ argv }) => argv[0] === 'ssh' && argv.includes(hostName));
      await waitUntil('ssh runs', () => find() !== undefined, 60_000);
      await killProcess(find()?.pid ?? 0);
      return undefined;
    }
    case 'a link':
      return await cutLink(host);
    case 'all of a host':
      await host.waitForAgent(60_000);
      await host.killAll();
      return undefined;
    default:
      return victim satisfies never;
  }
}

/** Runs the copy into its kill. True when something was killed before it was over. */
async function runIntoKill({ bed, targets }: Scene, operands: readonly string[], kill: Kill): Promise<boolean> {
  await using run = startCopy(bed, [`a:${tree}`, ...operands]);
  const isStruck = await reach(run, kill.moment);
  // An early kill may find that there is nothing to kill any more; then the copy has to be complete, which is judged below.
  const fault = isStruck ? await strike(run, bed, kill).catch(() => undefined) : undefined;
  const { code, signal } = await run.finished;
  const isKilled = kill.victim === 'the command' && isStruck;
  if (!isKilled) assert.ok([0, 30, 50].includes(code ?? -1), `exit code ${code ?? signal}: ${run.stderr}`);
  const others = bed.hosts.filter(({ name }) => fault === undefined || name !== kill.hostName);
  await Promise.all([run.waitForNoProcess(10_000), ...others.map((host) => host.waitForNoProcess(10_000))]);
  await fault?.restore();
  await assertNothingRuns(bed);
  for (const target of targets.values()) await target.assertSafe();
  return isStruck && code !== 0;
}

async function playRound(kills: readonly Kill[]): Promise<boolean> {
  await using bed = await startHosts({ count: 3, linkMbit: 200 });
  const scene = await makeScene(bed);
  let isBroken = false;
  for (const kill of kills) {
    const operands = operandsOf(scene);
    if (operands.length > 0) isBroken = (await runIntoKill(scene, operands, kill)) || isBroken;
  }
  const operands = operandsOf(scene);
  if (operands.length > 0) assertAllDone(await runCopy(bed, [`a:${tree}`, ...operands]), operands);
  for (const target of scene.targets.values()) await target.assertComplete();
  await assertNothingRuns(bed);
  return isBroken;
}

// Proves: whatever is killed whenever, within 10 s nothing of the copy runs anywhere, nothing but the staging directory has
// changed, no partial copy has the final name, and the same command completes it.
test('random kills', async (t) => {
  const seed = seedOfRun();
  const random = new Random(seed).fork('kill');
  const rounds = isSoak ? 40 : 2;
  const first = random.integer(0, victims.length - 1);
  let broken = 0;
  for (let round = 0; round < rounds; round++) {
    // The victims take turns; now and then the rerun is killed as well.
    const kills = [chooseKill(random, victims[(round + first) % victims.length] ?? 'the command')];
    if (random.fraction() < 0.3) kills.push(chooseKill(random, random.pick(victims)));
    const what = `seed ${seed}, round ${round}: ${JSON.stringify(kills)}`;
    try {
      if (await playRound(kills)) broken++;
    } catch (error) {
      throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
    }
    t.diagnostic(what);
  }
  t.diagnostic(`${broken} of ${rounds} copies were broken`);
  assert.ok(broken >= rounds / 2, `only ${broken} of ${rounds} copies were broken before their end`);
});
