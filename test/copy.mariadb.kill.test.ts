import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { compareFingerprints, fingerprintDirectory } from '@batondb/testbed/compare';
import { type Fault, killAgents, stopProcess } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { killProcess, type ProcessInfo, waitUntil } from '@batondb/testbed/process-table';
import type { BatonResult } from '@batondb/testbed/run-baton';
import { beforeAgent, makeAgent } from './agent-hooks.ts';
import { BackupBed, backupsOf, idsOf, makeDirectories, stagingIn } from './backup-bed.ts';
import { assertExit, assertNothingRuns, eventsOf, runCopy, someOf, startCopy, summaryOf } from './copy-on-bed.ts';

// Targets of hot backups are killed at the steps between the stream and a data directory: one run after the other into the same directory.

const timeout = 240_000;
let beds: BackupBed;
let base: string;

before(async () => {
  beds = await BackupBed.start(2);
  await beds.source.sql(`INSERT INTO shop.t VALUES (1, 'full')`);
  base = await beds.takeByTool('base');
  await beds.source.sql(`INSERT INTO shop.t VALUES (2, 'incremental')`);
});

after(async () => {
  await beds[Symbol.asyncDispose]();
});

type Kind = 'full' | 'incremental';

function wordsOf(kind: Kind): string[] {
  return ['--prepare', ...(kind === 'full' ? [] : ['--incremental', base]), ...beds.words];
}

/** Waits for a process of a host. */
async function waitForProcess(host: Host, matches: (process: ProcessInfo) => boolean): Promise<ProcessInfo> {
  let found: ProcessInfo | undefined;
  await waitUntil('the process runs', () => (found = host.processes().find(matches)) !== undefined, 30_000);
  return found as ProcessInfo;
}

const isPreparing = ({ argv }: ProcessInfo): boolean =>
  argv[0]?.endsWith('mariadb-backup') === true && argv.includes('--prepare');

function isAnew({ events }: BatonResult<CopyEvent>): boolean {
  return eventsOf(events, 'plan')[0]?.plan.targets[0]?.isAnew ?? false;
}

/** A point at which a target is killed: who, and where the agent is in its work then. */
type Point = 'agent that copies' | 'tool that prepares' | 'agent whose tool prepares' | 'agent that moves';

/** The points of one kind of backup, in the order in which one run after the other is killed. */
function pointsOf(kind: Kind): readonly Point[] {
  const ofAny = ['tool that prepares', 'agent whose tool prepares', 'agent that moves'] as const;
  return someOf(kind === 'full' ? ofAny : (['agent that copies', ...ofAny] as const), 2, kind);
}

/** Has an agent come to a point from which it does not go on by itself; the one that moves is killed there. */
function prepareAgent(host: Host, point: Point): void {
  if (point === 'agent that copies') {
    const slow = host.join('cp');
    writeFileSync(slow, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
    return beforeAgent(host.home, `PATH=${host.path}:$PATH; export PATH`);
  }
  const kill = '-e trace=renameat2 -P shop -e inject=renameat2:signal=KILL:when=1';
  beforeAgent(host.home, point === 'agent that moves' ? `exec strace -f -q -o /dev/null ${kill} baton "$@"` : ':');
}

/** Kills what a point says. A tool whose agent is killed stands still: it does not come to its end by itself. */
async function killAt(host: Host, point: Point): Promise<Fault | undefined> {
  if (point === 'agent that moves') return undefined;
  if (point === 'agent that copies') {
    await waitForProcess(host, ({ argv }) => argv.join(' ') === 'sleep 600');
    await killAgents(host);
    return undefined;
  }
  const { pid } = await waitForProcess(host, isPreparing);
  const stopped = await stopProcess(pid);
  await (point === 'tool that prepares' ? killProcess(pid) : killAgents(host));
  return stopped;
}

for (const kind of ['full', 'incremental'] as const) {
  // Proves: whatever of a target is killed while it copies a base, prepares, and moves the result to its place, nothing goes on, a base is as
  // it was, and the same command makes a new backup and says so; after the first move the backup is whole, and that is said.
  test(`a target is killed: ${kind}`, { timeout }, async () => {
    const { bed } = beds;
    const [, b] = bed.hosts as [Host, Host];
    const baseBefore = await fingerprintDirectory(base);
    const [target = ''] = makeDirectories([b], kind);
    const inTarget = (): string[] => readdirSync(b.join(kind));
    const words = ['--agent', makeAgent(bed), ...wordsOf(kind), target];
    let hasLeft = false;
    let hasMoved = false;
    for (const point of pointsOf(kind)) {
      prepareAgent(b, point);
      await using run = startCopy(bed, words);
      await using _stopped = await killAt(b, point);
      const result = await run.finished;
      assertExit(result, point === 'tool that prepares' ? 45 : 50);
      await assertNothingRuns(bed);
      assert.equal(isAnew(result), hasLeft, point);
      hasLeft = point !== 'tool that prepares';
      hasMoved = point === 'agent that moves';
      assert.equal(stagingIn(b.join(kind)).length, hasLeft ? 1 : 0, point);
      assert.equal(inTarget().length > 1, hasMoved, inTarget().join(' '));
    }
    beforeAgent(b.home, ':');
    const between = inTarget();
    const result = await runCopy(bed, words);
    assert.equal(isAnew(result), hasLeft && !hasMoved);
    if (hasMoved) assert.match(errorOf(result), /has the whole backup of an earlier run by now/);
    else backupsOf(result);
    assertExit(result, hasMoved ? 40 : 0);
    assert.ok(inTarget().length > between.length, between.join(' '));
    assert.deepEqual(stagingIn(b.join(kind)), []);
    assert.deepEqual(compareFingerprints(baseBefore, await fingerprintDirectory(base)), []);
    assert.equal(await beds.askCopy(b.join(kind), idsOf), '1,2');
  });
}

function errorOf(result: BatonResult<CopyEvent>): string {
  return summaryOf(result).targets[0]?.error?.message ?? '';
}
