import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
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
import { assertExit, isSoak, someOf } from './copy-on-bed.ts';
import { type Kill, killsMax, makeRemoteShell, writingCalls } from './killing-shell.ts';

// A target's agent that unpacks an archive is killed at one system call after the other, (killing-shell.ts).

/** An archive and what is in it. */
type Packed = { readonly archive: string; readonly tree: string; readonly names: readonly string[] };

async function makePacked(sandbox: Sandbox): Promise<Packed> {
  const tree = sandbox.join('tree');
  makeLargeFiles(tree, { files: 1, bytesEach: 1024 * 1024 + 1, compressible: 0.5 });
  mkdirSync(join(tree, 'directory', 'inner'), { recursive: true });
  writeFileSync(join(tree, 'directory', 'file'), 'content', { mode: 0o600 });
  writeFileSync(join(tree, 'single'), 'content');
  linkSync(join(tree, 'directory', 'file'), join(tree, 'directory', 'inner', 'second'));
  symlinkSync('directory/file', join(tree, 'turn'));
  const archive = sandbox.join('packed.tar.gz');
  await mustRun(['tar', '-C', sandbox.path, '--format=posix', '-czf', archive, 'tree']);
  return { archive, tree, names: readdirSync(tree).sort() };
}

/** From the first thing that is unpacked to the last trace. */
function stepsOf(target: string, archive: string): Kill[] {
  const staging = stagingName({ source: archive, name: Buffer.from('packed.tar.gz'), unpacks: true }).toString();
  return [
    { call: 'mkdirat', nth: 1, path: 'unpacked' },
    { call: 'symlinkat', nth: 1, path: 'turn' },
    { call: 'utimensat', nth: 1, path: 'directory' },
    // The C library's own choice where there are no flags.
    { call: 'renameat', nth: 1, path: 'moves' },
    { call: 'renameat2', nth: 1, path: 'directory' },
    { call: 'renameat2', nth: 1, path: 'single' },
    { call: 'renameat2', nth: 1, path: 'turn' },
    { call: 'fsync', nth: 1, path: target },
    { call: 'symlinkat', nth: 1, path: staging.replace('partial', 'published') },
    { call: 'unlinkat', nth: 1, path: 'moves' },
    { call: 'unlinkat', nth: 1, path: 'tree' },
    { call: 'unlinkat', nth: 1, path: staging },
  ];
}

function stagingIn(directory: string): string[] {
  return readdirSync(directory).filter((name) => /^\.baton-[0-9a-f]{16}\.(partial|published)$/.test(name));
}

/** Fails the test unless everything in the target directory is whole: an entry of the archive's top, or staging. */
async function assertSafe(target: string, { tree, names }: Packed): Promise<void> {
  for (const name of readdirSync(target)) {
    if (stagingIn(target).includes(name)) continue;
    assert.ok(names.includes(name), `${name} is not of the archive`);
    assert.deepEqual(await compareTrees(join(tree, name), join(target, name)), []);
  }
}

async function assertComplete(target: string, packed: Packed): Promise<void> {
  assert.deepEqual(readdirSync(target).sort(), packed.names);
  await assertSafe(target, packed);
}

/** Runs a copy that is killed, and then the same command. False when the agent came to its end unharmed. */
async function tryKill(sandbox: Sandbox, packed: Packed, choose: (target: string) => Kill): Promise<boolean> {
  const target = sandbox.join(randomUUID());
  mkdirSync(target);
  const kill = choose(target);
  const run = (how: Kill | undefined): Promise<BatonResult<CopyEvent>> => {
    const shell = makeRemoteShell(sandbox, how);
    return runBaton<CopyEvent>(['copy', '--type', 'decompress', packed.archive, `there:${target}`, '--ssh', shell]);
  };
  try {
    const broken = await run(kill);
    await assertSafe(target, packed);
    const isUnharmed = broken.code === 0 && stagingIn(target).length === 0;
    if (isUnharmed) {
      await assertComplete(target, packed);
      return false;
    }
    // What is done when the agent ends is done: only its last traces are left.
    assert.ok(broken.code === 50 || broken.code === 0, `exit code ${broken.code}: ${broken.stderr}`);
    if (broken.code === 0) assert.ok(packed.names.every((name) => readdirSync(target).includes(name)));
    assertExit(await run(undefined), 0);
    await assertComplete(target, packed);
    return true;
  } catch (error) {
    throw new Error(`${JSON.stringify(kill)}: ${(error as Error).message}`, { cause: error });
  }
}

// Proves (U1, U2): whichever step of unpacking was the last, what is in the target directory is whole, and the same command completes it.
test('killed at each step of unpacking', async () => {
  await using sandbox = makeSandbox();
  const packed = await makePacked(sandbox);
  const steps = stepsOf('', packed.archive).map((_, step) => step);
  for (const step of someOf(steps, 3, 'unpack')) {
    const choose = (target: string): Kill => stepsOf(target, packed.archive)[step] as Kill;
    assert.ok(await tryKill(sandbox, packed, choose), `step ${step} was never reached`);
  }
});

// Proves: the same for whichever call that writes.
test('killed at each call that writes while an archive is unpacked', async (t) => {
  await using sandbox = makeSandbox();
  const packed = await makePacked(sandbox);
  const seed = seedOfRun();
  const random = new Random(seed).fork('calls');
  const calls = isSoak ? writingCalls : [random.pick(writingCalls)];
  let kills = 0;
  for (const call of calls) {
    for (let nth = 1; nth <= killsMax && (await tryKill(sandbox, packed, () => ({ call, nth }))); nth++) kills++;
  }
  t.diagnostic(`seed ${seed}: ${kills} kills at ${calls.join(', ')}`);
});

// Proves: an archive that has changed since it was unpacked by a run that was killed is not passed off as the one that is there.
test('the archive changes after it was unpacked', async () => {
  await using sandbox = makeSandbox();
  const packed = await makePacked(sandbox);
  const target = sandbox.join('target');
  mkdirSync(target);
  const run = (how: Kill | undefined): Promise<BatonResult<CopyEvent>> => {
    const shell = makeRemoteShell(sandbox, how);
    return runBaton<CopyEvent>(['copy', '--type', 'decompress', packed.archive, `there:${target}`, '--ssh', shell]);
  };
  assertExit(await run({ call: 'renameat2', nth: 1, path: 'single' }), 50);
  await mustRun(['touch', packed.archive]);
  const rerun = await run(undefined);
  assertExit(rerun, 40);
  assert.match(rerun.stdout, /"code":"EXISTS","message":"[^"]*target was completed by an earlier run, and the source/);
  await assertComplete(target, packed);
});
