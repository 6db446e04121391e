import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { stagingName } from '@batondb/core/transfer/staging-names';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { type BatonResult, runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles } from '@batondb/testbed/trees';
import { assertExit, assertIdentical, isSoak, someOf } from './copy-on-bed.ts';
import { TargetDirectory } from './copy-remains.ts';
import { type Kill, killsMax, makeRemoteShell, writingCalls } from './killing-shell.ts';

// A target's agent is killed at the steps by which a copy gets its final name (killing-shell.ts).

/** From the commit record to the end of the staging directory. */
function publishingSteps(target: string, source: string): Kill[] {
  const staging = stagingName({ source, name: Buffer.from('source') }).toString();
  const note = staging.replace('partial', 'published');
  return [
    { call: 'fsync', nth: 1, path: join(target, staging, 'journal') },
    { call: 'renameat2', nth: 1, path: 'tree' },
    { call: 'fsync', nth: 1, path: target },
    { call: 'symlinkat', nth: 1, path: note },
    { call: 'unlinkat', nth: 1, path: 'journal' },
    { call: 'unlinkat', nth: 1, path: staging },
  ];
}

/** The removal of the last trace. A note is also removed at the start, and before a new one is made. */
function lastStep(source: string): Kill {
  const note = stagingName({ source, name: Buffer.from('source') })
    .toString()
    .replace('partial', 'published');
  return { call: 'unlinkat', nth: 3, path: note };
}

const mib = 1024 * 1024;

/** A source with one of every thing that is finished in a way of its own. */
function makeTree(path: string): void {
  makeLargeFiles(path, { files: 1, bytesEach: 2 * mib, compressible: 0 });
  mkdirSync(join(path, 'directory'));
  writeFileSync(join(path, 'directory', 'file'), 'content', { mode: 0o600 });
  symlinkSync('directory/file', join(path, 'link'));
}

function makeFile(path: string): void {
  writeFileSync(path, Buffer.alloc(mib + 1, 'content'));
}

/** Runs a copy that is killed, and then the same command. False when the copy was over before. */
async function runIntoKill(sandbox: Sandbox, source: string, target: TargetDirectory, kill: Kill): Promise<boolean> {
  const run = (shell: string): Promise<BatonResult<CopyEvent>> =>
    runBaton<CopyEvent>(['copy', source, `there:${target.path}`, '--ssh', shell]);
  const broken = await run(makeRemoteShell(sandbox, kill));
  if (broken.code === 0) {
    // Killed after the copy was done: what is left is the note of that, at the most.
    await target.assertSafe();
    assert.ok(target.isDone);
    const left = target.staging();
    assert.ok(left.length === 0 || (left.length === 1 && left[0]?.endsWith('.published')), left.join(' '));
    return false;
  }
  assertExit(broken, 50);
  await target.assertSafe();
  const inode = target.isDone ? statSync(target.copy).ino : undefined;
  assertExit(await run(makeRemoteShell(sandbox, undefined)), 0);
  await target.assertComplete();
  if (inode !== undefined) assert.equal(statSync(target.copy).ino, inode, 'a copy that is complete is not made again');
  return true;
}

/** The same, in a target directory of its own; a failure says where it was killed. */
async function tryKill(sandbox: Sandbox, source: string, choose: (target: TargetDirectory) => Kill): Promise<boolean> {
  const target = await TargetDirectory.make(sandbox.join(randomUUID()), source);
  const kill = choose(target);
  try {
    return await runIntoKill(sandbox, source, target, kill);
  } catch (error) {
    throw new Error(`${JSON.stringify(kill)}: ${(error as Error).message}`, { cause: error });
  }
}

const sources = [
  ['tree', makeTree],
  ['file', makeFile],
] as const;

for (const [kind, make] of sources) {
  // Proves (T6): at every step of publishing the final name is free or has the whole copy, and the same command ends with
  // success and with that very copy.
  test(`killed at each step of publishing a ${kind}`, async () => {
    await using sandbox = makeSandbox();
    const source = sandbox.join('source');
    make(source);
    for (const step of someOf([0, 1, 2, 3, 4, 5], 2, kind)) {
      const choose = (target: TargetDirectory): Kill => publishingSteps(target.path, source)[step] as Kill;
      assert.ok(await tryKill(sandbox, source, choose), `step ${step} was never reached`);
    }
  });
}

// Proves (T6): a copy that is complete is a success also when its agent is killed before it has removed the last trace, and the same
// command finds it, and removes that.
test('killed before the last trace is removed', async () => {
  await using sandbox = makeSandbox();
  const source = sandbox.join('source');
  makeTree(source);
  const target = await TargetDirectory.make(sandbox.join('target'), source);
  const run = (shell: string): Promise<BatonResult<CopyEvent>> =>
    runBaton<CopyEvent>(['copy', source, `there:${target.path}`, '--ssh', shell]);
  assertExit(await run(makeRemoteShell(sandbox, lastStep(source))), 0);
  assert.equal(target.staging().length, 1, 'the note is still there');
  const inode = statSync(target.copy).ino;
  assertExit(await run(makeRemoteShell(sandbox, undefined)), 0);
  assert.equal(statSync(target.copy).ino, inode);
  await target.assertComplete();
});

// Proves (T6): a copy that was complete when its agent was killed is not passed off as one of the source that has changed since.
test('the source changes after a copy was published', async () => {
  await using sandbox = makeSandbox();
  const source = sandbox.join('source');
  makeTree(source);
  const expected = sandbox.join('expected');
  await mustRun(['cp', '-a', source, expected]);
  for (const step of someOf([2, 3, 4, 5], 1, 'changes')) {
    const target = sandbox.join(`target-${step}`);
    mkdirSync(target);
    const kill = publishingSteps(target, source)[step];
    const run = (shell: string): Promise<BatonResult<CopyEvent>> =>
      runBaton<CopyEvent>(['copy', source, `there:${target}`, '--ssh', shell]);
    assertExit(await run(makeRemoteShell(sandbox, kill)), 50);
    writeFileSync(join(source, 'directory', 'file'), 'changed');
    const rerun = await run(makeRemoteShell(sandbox, undefined));
    assertExit(rerun, 40);
    assert.match(
      rerun.stdout,
      /"code":"EXISTS","message":"[^"]* was completed by an earlier run, and the source is not/,
    );
    await assertIdentical(expected, join(target, 'source'));
    assert.deepEqual(readdirSync(target), ['source'], 'nothing but the copy is left');
    await mustRun(['cp', '-a', join(expected, 'directory', 'file'), join(source, 'directory', 'file')]);
  }
});

// Proves: whichever call of a target that writes was its last, the same command completes the copy.
test('killed at each call that writes', async (t) => {
  await using sandbox = makeSandbox();
  const source = sandbox.join('source');
  makeTree(source);
  const seed = seedOfRun();
  const random = new Random(seed).fork('calls');
  const calls = isSoak ? writingCalls : [random.pick(writingCalls)];
  let kills = 0;
  for (const call of calls) {
    for (let nth = 1; nth <= killsMax && (await tryKill(sandbox, source, () => ({ call, nth }))); nth++) kills++;
  }
  t.diagnostic(`seed ${seed}: ${kills} kills at ${calls.join(', ')}`);
});
