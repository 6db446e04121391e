import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { killProcess } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { runBaton, startBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import { assertExit, eventsOf, isSoak } from './copy-on-bed.ts';
import { TargetDirectory } from './copy-remains.ts';

// What is edited at the source between a kill and the rerun is copied as it is then, and never as a mixture of two versions.

const mib = 1024 * 1024;
const unhurried = ['--bwlimit', '20MB'];

/** New content of the same size, with the time of the old one: only its change time tells. */
async function overwriteUnseen(path: string, random: Random): Promise<void> {
  const before = join(dirname(path), `.${random.word()}`);
  await mustRun(['cp', '-p', path, before]);
  const content = Buffer.alloc(statSync(path).size);
  random.fill(content);
  const file = openSync(path, 'r+');
  writeSync(file, content);
  await mustRun(['touch', '-r', before, path]);
  rmSync(before);
  assert.equal(statSync(path).size, content.length);
}

/** A directory that a staged tree must not be led into. */
function makeTrap(path: string): string {
  const trap = join(dirname(dirname(path)), 'trap');
  mkdirSync(trap, { recursive: true });
  writeFileSync(join(trap, 'large-0'), 'of somebody else');
  return trap;
}

/** A name that nothing has: the same for the same tree. */
function freeName(path: string): string {
  return existsSync(path) ? freeName(`${path} again`) : path;
}

/** What happens to a file; `other` is another file of the tree. */
const edits: Readonly<Record<string, (path: string, other: string, random: Random) => void | Promise<void>>> = {
  unseen: (path, _other, random) => overwriteUnseen(path, random),
  append: (path) => appendFileSync(path, 'more'),
  truncate: (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  remove: (path) => rmSync(path),
  rename: (path) => renameSync(path, `${path} renamed`),
  takePlace: (path, other) => renameSync(other, path),
  link: (path) => linkSync(path, freeName(`${path} linked`)),
  becomeDirectory: (path) => {
    rmSync(path);
    mkdirSync(path);
    writeFileSync(join(path, 'inside'), 'inside');
  },
  becomeSymlink: (path) => {
    rmSync(path);
    symlinkSync(makeTrap(path), path);
  },
  becomeHole: (path) => {
    const { size } = statSync(path);
    truncateSync(path, 0);
    truncateSync(path, size);
  },
  mode: async (path) => void (await mustRun(['chmod', '604', path])),
};

/** A tree of directories with large files, which have several units each, and small ones, which share units. */
function makeTree(path: string, seed: number): string[] {
  const directories = ['one', 'two', 'three'].map((name) => join(path, name));
  for (const [index, directory] of directories.entries()) {
    makeLargeFiles(directory, { files: 4, bytesEach: 4 * mib, compressible: 0, seed: seed + index });
    makeSmallFiles(join(directory, 'small'), 40, { seed: seed + index });
  }
  return directories;
}

const filesOf = (directories: readonly string[]): string[] =>
  directories.flatMap((directory) => [0, 1, 2, 3].map((index) => join(directory, `large-${index}`)));

/** Starts a copy and ends it by kill -9 of the command or of an agent, at a share of its data. */
async function runIntoKill(source: string, target: TargetDirectory, fraction: number, random: Random): Promise<void> {
  await using run = startBaton<CopyEvent>(['copy', ...unhurried, source, target.path]);
  const killsAgent = random.fraction() < 0.5;
  await Promise.race([run.untilProgress(fraction).catch(() => undefined), run.finished]);
  const agents = run.processes().filter(({ argv }) => argv.at(-1) === 'agent');
  if (killsAgent && agents.length > 0) await killProcess(random.pick(agents).pid);
  else run.kill('SIGKILL');
  await run.finished;
  await run.waitForNoProcess();
}

/** Edits some of the files, each in a way of its own. Returns what was done, for the message of a failure. */
async function edit(directories: readonly string[], random: Random): Promise<string> {
  const done: string[] = [];
  const files = filesOf(directories).filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
  for (let count = random.integer(1, 4); count > 0; count--) {
    const [path] = files.splice(random.integer(0, files.length - 1), 1);
    const [other] = files.splice(random.integer(0, files.length - 1), 1);
    if (path === undefined || other === undefined) break;
    const what = random.pick(Object.keys(edits));
    await edits[what]?.(path, other, random);
    done.push(`${what} ${path.split('/').slice(-2).join('/')}`);
  }
  return done.join(', ');
}

/** A tree that was received but for its last file, which nobody edits, when its copy was killed. */
async function makeBrokenCopy(
  sandbox: Sandbox,
): Promise<{ source: string; directories: string[]; target: TargetDirectory }> {
  const source = sandbox.join('source');
  const directories = makeTree(source, 1);
  makeLargeFiles(join(source, 'zz-last'), { files: 1, bytesEach: 32 * mib, compressible: 0 });
  const target = await TargetDirectory.make(sandbox.join('target'), source);
  await runIntoKill(source, target, 0.62, new Random(seedOfRun()).fork('one kill'));
  assert.ok(!target.isDone, 'it was killed before its end');
  return { source, directories, target };
}

async function completeCopy(source: string, target: TargetDirectory): Promise<void> {
  await target.assertSafe();
  const rerun = await runBaton<CopyEvent>(['copy', source, target.path]);
  assertExit(rerun, 0);
  const [resumed] = eventsOf(rerun.events, 'resumed');
  assert.ok((resumed?.keptBytes ?? 0) > 4 * mib, `${resumed?.keptBytes} bytes are kept`);
  assert.ok((resumed?.discardedFiles ?? 0) > 4, `${resumed?.discardedFiles} files are discarded`);
  assert.deepEqual(eventsOf(rerun.events, 'unit-damaged'), []);
  await target.assertComplete();
}

// Proves (T4): of what was edited since the kill nothing old is in the copy, also when only the change time tells; what
// was not edited is kept.
test('files edited between kill and rerun, each in a way of its own', async () => {
  await using sandbox = makeSandbox();
  const { source, directories, target } = await makeBrokenCopy(sandbox);
  const random = new Random(seedOfRun()).fork('files');
  const files = filesOf(directories);
  for (const [what, change] of Object.entries(edits)) {
    const path = files.shift();
    assert.ok(path !== undefined, `a file is left for ${what}`);
    await change(path, what === 'takePlace' ? (files.shift() ?? '') : '', random);
  }
  await completeCopy(source, target);
});

// Proves: the same when a directory goes another way, as a whole.
test('directories edited between kill and rerun', async () => {
  await using sandbox = makeSandbox();
  const { source, directories, target } = await makeBrokenCopy(sandbox);
  const [one = '', two = '', three = ''] = directories;
  const trap = makeTrap(join(one, 'large-0'));
  rmSync(one, { recursive: true });
  symlinkSync(trap, one);
  renameSync(two, `${two} renamed`);
  renameSync(join(three, 'small'), join(source, 'small'));
  mkdirSync(join(source, 'added'));
  writeFileSync(join(source, 'added', 'file'), 'added');
  await completeCopy(source, target);
});

// Proves: the same, whatever is edited, and when the rerun is killed again, also while it looks at what it has.
test('random edits between several kills', async (t) => {
  const seed = seedOfRun();
  const random = new Random(seed).fork('edits');
  for (let round = 0; round < (isSoak ? 30 : 2); round++) {
    const done: string[] = [];
    try {
      await playRound(random, done);
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}: ${done.join('; ')}: ${(error as Error).message}`, {
        cause: error,
      });
    }
    t.diagnostic(`seed ${seed}, round ${round}: ${done.join('; ')}`);
  }
});

async function playRound(random: Random, done: string[]): Promise<void> {
  await using sandbox: Sandbox = makeSandbox();
  const source = sandbox.join('source');
  const directories = makeTree(source, random.word());
  const target = await TargetDirectory.make(sandbox.join('target'), source);
  for (let kills = random.integer(1, 3); kills > 0 && !target.isDone; kills--) {
    await runIntoKill(source, target, random.fraction(), random);
    if (target.isDone) break;
    done.push(await edit(directories, random));
    await target.assertSafe();
  }
  if (!target.isDone) assertExit(await runBaton<CopyEvent>(['copy', source, target.path]), 0);
  await target.assertComplete();
}
