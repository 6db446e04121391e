// Proves (G1, G2, G6, G7): whatever takes part in a transfer is killed, and whenever, the joiner has its old data or the new one, whole; the cluster goes on writing;
// nothing is left; the log says why where somebody lives to say it; the next attempt succeeds without help.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { compareNodes, startGaleraLoad } from '@batondb/testbed/galera';
import { killProcess, type ProcessInfo, waitUntil } from '@batondb/testbed/process-table';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { dataOf, type Ending, Joining, scriptOf, toolOf } from './joining.ts';
import { makeMethod } from './method.ts';

const isSoak = process.env['BATON_SOAK'] === '1';
const roundsAll = 40;
const roundsQuick = 4;

/** What the joiner's log says when a stage begins, and how long after that a kill still meets it, in milliseconds. */
const stages = {
  listening: { says: 'waiting for the donor', msMax: 500 },
  receiving: { says: 'receiving a hot backup', msMax: 1500 },
  preparing: { says: 'preparing the backup', msMax: 300 },
  placing: { says: 'putting the new data in place', msMax: 150 },
} as const;
type Stage = keyof typeof stages;

type Victim = {
  readonly name: string;
  readonly find: (joining: Joining) => ProcessInfo | undefined;
  /** When it may be killed. */
  readonly stages: readonly Stage[];
  /** Of its life, where that ends before the stage does. */
  readonly msMax?: number;
  /** Which side's log has to say why, when the joiner has not got its state. */
  readonly tellers: readonly ('joiner' | 'donor')[];
};

const server =
  (of: 'joiner' | 'donor'): Victim['find'] =>
  (joining) => {
    const script = scriptOf(joining[of]);
    return script === undefined ? undefined : { ...script, pid: joining[of].pid };
  };
const joinerStages: readonly Stage[] = ['listening', 'receiving', 'preparing', 'placing'];
const donorStages: readonly Stage[] = ['listening', 'receiving'];
const both = ['joiner', 'donor'] as const;

const victims: readonly Victim[] = [
  { name: "the joiner's server", find: server('joiner'), stages: joinerStages, tellers: both },
  { name: "the donor's server", find: server('donor'), stages: donorStages, tellers: both },
  { name: "the joiner's process", find: ({ joiner }) => scriptOf(joiner), stages: joinerStages, tellers: ['donor'] },
  { name: "the donor's process", find: ({ donor }) => scriptOf(donor), stages: donorStages, tellers: ['joiner'] },
  {
    name: 'the backup',
    find: ({ donor }) => toolOf(donor, 'mariadb-backup', '--backup'),
    stages: ['receiving'],
    // It ends before its last bytes are sent.
    msMax: 500,
    tellers: both,
  },
  {
    name: 'the unpacker',
    find: ({ joiner }) => toolOf(joiner, 'mbstream', '-x'),
    stages: ['receiving'],
    // It ends before its last bytes are sent.
    msMax: 500,
    tellers: both,
  },
  {
    name: 'the preparing',
    find: ({ joiner }) => toolOf(joiner, 'mariadb-backup', '--prepare'),
    stages: ['preparing'],
    tellers: ['joiner'],
  },
];

/** In turn, so that a few rounds have different victims; where they begin is the seed's. */
function chooseVictims(random: Random): Victim[] {
  const first = random.integer(0, victims.length - 1);
  const step = isSoak ? 1 : 2;
  return Array.from(
    { length: isSoak ? roundsAll : roundsQuick },
    (_, index) => victims[(first + index * step) % victims.length] as Victim,
  );
}

test('kill -9 of whatever takes part', { timeout: isSoak ? 3_600_000 : 300_000 }, async (t) => {
  await using sandbox = makeSandbox();
  const path = [await makeMethod(sandbox)];
  // Slow enough for a kill to meet every stage.
  const sst = { bwlimit: '24M', compression: 'none' };
  await using joining = await Joining.start(sandbox, { nodes: 3, path, sst });
  await using load = await startGaleraLoad(joining.cluster.first);
  const random = new Random(seedOfRun());
  t.diagnostic(`seed ${seedOfRun()}`);
  for (const victim of chooseVictims(random)) {
    const stage = random.pick(victim.stages);
    const delayMs = random.fraction() * (victim.msMax ?? stages[stage].msMax);
    await t.test(`${victim.name}, ${stage}, after ${Math.round(delayMs)} ms`, async (round) => {
      const accepted = load.accepted;
      round.diagnostic(await killOnce(joining, victim, stage, delayMs));
      assert.ok(load.accepted > accepted, 'the cluster was not writable');
    });
  }
  await load.stop();
  t.diagnostic(
    `${load.accepted} transactions, ${load.refused} refused, the longest stall ${Math.round(load.longestStallMs)} ms`,
  );
  await joining.cluster.untilEqual();
  assert.deepEqual(await compareNodes(joining.cluster.first, joining.joiner), []);
});

/** One transfer that is killed, what is left of it, and the next one. Returns what happened, in words. */
async function killOnce(joining: Joining, victim: Victim, stage: Stage, delayMs: number): Promise<string> {
  const { joiner, donor } = joining;
  const old = await joining.leaveBehind();
  const oldGeneration = joining.generation - 1;
  const log = joining.follow();
  await joiner.start();
  const isKilled = await killWhen(
    joining,
    () => log().joinerLog.includes(`baton joiner: ${stages[stage].says}`),
    victim,
    delayMs,
  );
  const ending: Ending = await joining.untilEnding();
  const words = [isKilled ? 'killed' : 'it had ended before', ending];
  if (!donor.isRunning) await donor.start();
  await joining.untilQuiet();
  if (ending === 'ended') {
    assert.ok(isKilled, `the transfer failed by itself: ${log().joinerLog}`);
    words.push(...checkLogs(victim, log()));
    const isOld = isDeepStrictEqual(dataOf(joiner), old);
    const report = await joining.recover();
    words.push(`swap: ${JSON.stringify(report.swap)}`, `position: ${report.position.kind}`);
    const generation = isOld ? oldGeneration : await joining.lookInside();
    assert.ok(generation === oldGeneration || generation === joining.generation, `generation ${generation}`);
    words.push(isOld ? 'the old data, untouched' : generation === oldGeneration ? 'the old data' : 'the new data');
    // A server that is killed right after its transfer has not written its position yet, and no transfer is left to know it.
    if (report.position.kind !== 'none' || isOld) assert.match(report.position.kind, /^(kept|restored)$/);
    await joiner.start();
    await joiner.untilSynced();
    await joining.untilQuiet();
  }
  assert.equal(await joining.generationOf(joiner), joining.generation);
  return words.join('; ');
}

/** Kills the victim so long after it was seen in a stage. False when it had ended by then. */
async function killWhen(joining: Joining, isStage: () => boolean, { find }: Victim, delayMs: number): Promise<boolean> {
  const { joiner } = joining;
  let found: ProcessInfo | undefined;
  const isSeen = async (): Promise<boolean> => {
    found = isStage() ? find(joining) : undefined;
    return found !== undefined || !joiner.isRunning || (await joiner.state()) === 'Synced';
  };
  await joiner.withLog(waitUntil('the victim is seen', isSeen, 60_000, 5));
  if (found === undefined) return false;
  await sleep(delayMs);
  return await killProcess(found.pid);
}

/** Whoever lives has said why, unless its part was over. */
function checkLogs({ tellers }: Victim, logs: { joinerLog: string; donorLog: string }): string[] {
  const said: string[] = [];
  for (const teller of tellers) {
    const text = logs[`${teller}Log`];
    const isOver = !text.includes(`baton ${teller}: `) || (teller === 'donor' && /the joiner has all of it/.test(text));
    if (isOver) continue;
    const why = new RegExp(`baton ${teller}: the transfer has failed: (.*)`).exec(text)?.[1];
    if (why === undefined && /the new data is in place/.test(text)) continue;
    assert.ok(why !== undefined, `the ${teller} does not say why: ${text}`);
    said.push(`${teller}: ${why}`);
  }
  return said;
}
