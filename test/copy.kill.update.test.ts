import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { stagingName } from '@batondb/core/transfer/staging-names';
import { compareTrees } from '@batondb/testbed/compare';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { type BatonResult, runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles } from '@batondb/testbed/trees';
import { assertExit, assertIdentical, isSoak, someOf } from './copy-on-bed.ts';
import { type Kill, killsMax, makeRemoteShell, writingCalls } from './killing-shell.ts';

// A target's agent is killed at the steps by which a copy takes the place of an older one (killing-shell.ts).

/** What the source was, and what it is. */
type Versions = { readonly source: string; readonly older: string };

const mib = 1024 * 1024;

async function makeVersions(sandbox: Sandbox): Promise<Versions> {
  const [source, older] = [sandbox.join('source'), sandbox.join('older')];
  makeLargeFiles(older, { files: 1, bytesEach: 2 * mib, compressible: 0 });
  mkdirSync(join(older, 'gone'));
  writeFileSync(join(older, 'gone', 'file'), 'not at the source any more');
  writeFileSync(join(older, 'file'), 'content', { mode: 0o600 });
  symlinkSync('file', join(older, 'link'));
  await mustRun(['cp', '-a', older, source]);
  rmSync(join(source, 'gone'), { recursive: true });
  writeFileSync(join(source, 'file'), 'other content');
  writeFileSync(join(source, 'new'), 'new');
  return { source, older };
}

/** From the commit record to the end of the staging directory, which holds the older copy then. */
function exchangeSteps(target: string, { source }: Versions): Kill[] {
  const staging = stagingName({ source, name: Buffer.from('source') }).toString();
  return [
    { call: 'renameat2', nth: 1, path: 'one' },
    { call: 'fsync', nth: 1, path: join(target, staging, 'journal') },
    { call: 'renameat2', nth: 1, path: 'tree' },
    { call: 'fsync', nth: 1, path: target },
    { call: 'symlinkat', nth: 1, path: staging.replace('partial', 'published') },
    { call: 'unlinkat', nth: 1, path: 'gone' },
    { call: 'unlinkat', nth: 1, path: 'tree' },
    { call: 'unlinkat', nth: 1, path: 'journal' },
    { call: 'unlinkat', nth: 1, path: staging },
  ];
}

async function makeTarget(sandbox: Sandbox, { older }: Versions): Promise<string> {
  const target = sandbox.join(randomUUID());
  mkdirSync(target);
  await mustRun(['cp', '-a', older, join(target, 'source')]);
  return target;
}

function update(sandbox: Sandbox, { source }: Versions, target: string, kill?: Kill): Promise<BatonResult<CopyEvent>> {
  const shell = makeRemoteShell(sandbox, kill);
  return runBaton<CopyEvent>(['copy', '--update', source, `there:${target}`, '--ssh', shell]);
}

/** Fails the test unless the final name has the older copy or the new one, whole. True for the new one. */
async function isNew({ source, older }: Versions, target: string): Promise<boolean> {
  const copy = join(target, 'source');
  if ((await compareTrees(older, copy)).length === 0) return false;
  await assertIdentical(source, copy);
  return true;
}

async function assertUpdated(versions: Versions, target: string): Promise<void> {
  assert.ok(await isNew(versions, target));
  assert.deepEqual(readdirSync(target), ['source'], 'nothing of the older copy is left');
}

/** Runs an update that is killed, and then the same command. False when the update was over before. */
async function tryKill(sandbox: Sandbox, versions: Versions, choose: (target: string) => Kill): Promise<boolean> {
  const target = await makeTarget(sandbox, versions);
  const kill = choose(target);
  try {
    const broken = await update(sandbox, versions, target, kill);
    const wasNew = await isNew(versions, target);
    if (broken.code === 0) {
      assert.ok(wasNew);
      return false;
    }
    assertExit(broken, 50);
    const { ino } = statSync(join(target, 'source'));
    assertExit(await update(sandbox, versions, target), 0);
    await assertUpdated(versions, target);
    if (wasNew) assert.equal(statSync(join(target, 'source')).ino, ino, 'a copy that is complete is not made again');
    return true;
  } catch (error) {
    throw new Error(`${JSON.stringify(kill)}: ${(error as Error).message}`, { cause: error });
  }
}

// Proves (T6): at every step of the exchange the final name has the older copy or the new one, whole, and the same command ends with the
// new one and nothing else.
test('killed at each step of an exchange', async () => {
  await using sandbox = makeSandbox();
  const versions = await makeVersions(sandbox);
  const steps = exchangeSteps('', versions).map((_, step) => step);
  for (const step of someOf(steps, 3, 'exchange')) {
    const choose = (target: string): Kill => exchangeSteps(target, versions)[step] as Kill;
    assert.ok(await tryKill(sandbox, versions, choose), `step ${step} was never reached`);
  }
});

// Proves: the same for whichever call that writes.
test('killed at each call that writes during an update', async (t) => {
  await using sandbox = makeSandbox();
  const versions = await makeVersions(sandbox);
  const seed = seedOfRun();
  const random = new Random(seed).fork('calls');
  const calls = isSoak ? writingCalls : [random.pick(writingCalls)];
  let kills = 0;
  for (const call of calls) {
    for (let nth = 1; nth <= killsMax && (await tryKill(sandbox, versions, () => ({ call, nth }))); nth++) kills++;
  }
  t.diagnostic(`seed ${seed}: ${kills} kills at ${calls.join(', ')}`);
});

// Proves (T9): after an exchange that was killed before the older copy was removed, that is never taken for a part of a new one: not when
// the source has changed since, and not when somebody has moved the new copy away.
test('an update after an exchange that was killed', async () => {
  await using sandbox = makeSandbox();
  const versions = await makeVersions(sandbox);
  for (const isMoved of [false, true]) {
    const target = await makeTarget(sandbox, versions);
    assertExit(await update(sandbox, versions, target, exchangeSteps(target, versions)[3]), 50);
    assert.ok(await isNew(versions, target));
    if (isMoved) renameSync(join(target, 'source'), sandbox.join('moved away'));
    else writeFileSync(join(versions.source, 'new'), 'newer');
    assertExit(await update(sandbox, versions, target), 0);
    await assertUpdated(versions, target);
  }
});
