import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { compareFingerprints, fingerprintDirectory } from '@batondb/testbed/compare';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { requireRoot } from '@batondb/testbed/requirements';
import { type BatonResult, runBaton, startBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import { assertExit, assertIdentical, eventsOf, isSoak, resultOf, someOf, summaryOf } from './copy-on-bed.ts';

// What a killed copy left is damaged, taken over or in use when the same command comes again.

const mib = 1024 * 1024;
let sandbox: Sandbox;
let source: string;
/** Name of the staging directory of the copy of `source`, and a directory that has one of a killed copy. */
let staging: string;
let broken: string;

before(async () => {
  requireRoot('the test of staging directories of others');
  sandbox = makeSandbox();
  source = sandbox.join('source');
  makeSmallFiles(join(source, 'a'), 150, { bytes: 2000 });
  makeLargeFiles(join(source, 'b'), { files: 4, bytesEach: 5 * mib, compressible: 0 });
  broken = sandbox.join('broken');
  mkdirSync(broken);
  await using run = startBaton<CopyEvent>(['copy', '--bwlimit', '8MB', source, broken]);
  await run.untilProgress(0.3);
  run.kill('SIGKILL');
  await run.finished;
  await run.waitForNoProcess();
  const [name, ...more] = readdirSync(broken);
  assert.ok(name !== undefined && more.length === 0, 'the killed copy left its staging directory, and nothing else');
  staging = name;
});

after(async () => {
  await sandbox[Symbol.asyncDispose]();
});

let targets = 0;

/** A target directory with what the killed copy left. */
async function makeBroken(): Promise<string> {
  const target = sandbox.join(`target-${targets++}`);
  await mustRun(['cp', '-a', broken, target]);
  return target;
}

const copyTo = (target: string): Promise<BatonResult<CopyEvent>> => runBaton<CopyEvent>(['copy', source, target]);

async function assertComplete(target: string): Promise<void> {
  assert.deepEqual(readdirSync(target), ['source']);
  await assertIdentical(source, join(target, 'source'));
}

function flipByte(path: string, offset: number): void {
  const file = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  assert.equal(readSync(file, byte, 0, 1, offset), 1);
  writeSync(file, Buffer.of((byte[0] ?? 0) ^ 0x40), 0, 1, offset);
}

// Proves (P12, T9): a journal that is cut off anywhere, or damaged anywhere, costs at most a new copy, never a wrong one.
test('a damaged journal', async (t) => {
  const journalOf = (target: string): string => join(target, staging, 'journal');
  const journalBytes = statSync(journalOf(broken)).size;
  const random = new Random(seedOfRun()).fork('journal');
  // The byte after the first six says which release wrote it.
  const offsets = Array.from({ length: isSoak ? 40 : 4 }, () => random.integer(7, journalBytes - 1));
  const garbage = Buffer.alloc(journalBytes);
  random.fill(garbage);
  const damages: [string, (path: string) => void][] = [
    ['empty', (path) => truncateSync(path, 0)],
    ['garbage', (path) => writeFileSync(path, garbage)],
    ...offsets.map((offset): [string, (path: string) => void] => [`flip ${offset}`, (path) => flipByte(path, offset)]),
  ];
  for (let at = 1000; at < journalBytes; at += isSoak ? 1000 : 3000)
    damages.push([`cut ${at}`, (path) => truncateSync(path, at)]);
  const chosen = someOf(damages, 4, 'damages');
  for (const [what, damage] of chosen) {
    const target = await makeBroken();
    damage(journalOf(target));
    const result = await copyTo(target);
    assert.equal(result.code, 0, `${what} of ${journalBytes}: ${result.stderr}`);
    await assertComplete(target);
    await mustRun(['rm', '-r', target]);
  }
  t.diagnostic(`a journal of ${journalBytes} bytes: ${chosen.map(([what]) => what).join(', ')}`);
});

// Proves (T2): staged data that is not what was received is found, named by its unit, path and place, and fetched again;
// nothing else is.
test('a flipped byte in staged data', async () => {
  const target = await makeBroken();
  flipByte(join(target, staging, 'tree', 'b', 'large-0'), mib + 17);
  flipByte(join(target, staging, 'tree', 'a', '0', '0', 'file-3'), 5);
  const result = await copyTo(target);
  assertExit(result, 0);
  const damaged = eventsOf(result.events, 'unit-damaged');
  const large = damaged.find(({ path }) => path === 'source/b/large-0');
  assert.deepEqual([large?.offset, large?.length, large?.target], [mib, mib, target]);
  assert.ok(damaged.some(({ path }) => path.startsWith('source/a/')));
  assert.equal(damaged.length, 2);
  const [resumed] = eventsOf(result.events, 'resumed');
  const { contentBytes, wireBytes } = resultOf(summaryOf(result), target);
  assert.ok(wireBytes < contentBytes - (resumed?.keptBytes ?? 0) + 2 * mib, `${wireBytes} bytes went over the wire`);
  await assertComplete(target);
});

/** What is refused before the copy, with nothing changed in the target directory. */
async function assertRefused(target: string, code: string, message: RegExp): Promise<void> {
  const fingerprint = await fingerprintDirectory(target);
  const result = await copyTo(target);
  assertExit(result, 30);
  const [findings] = eventsOf(result.events, 'findings');
  assert.deepEqual(
    findings?.findings.map(({ error }) => error.code),
    [code],
  );
  assert.match(findings?.findings[0]?.error.message ?? '', message);
  assert.deepEqual(compareFingerprints(fingerprint, await fingerprintDirectory(target)), []);
}

// Proves (T8): in a directory that all can write to, a staging directory that somebody else may have made is no trap.
test('a staging directory that is not ours', async () => {
  const [foreign, open, trap, victim] = [
    await makeBroken(),
    await makeBroken(),
    sandbox.join('trap'),
    sandbox.join('victim'),
  ];
  chownSync(join(foreign, staging), 12_345, 0);
  await assertRefused(foreign, 'NO_PERMISSION', /belongs to user 12345 with mode 700/);
  chmodSync(join(open, staging), 0o777);
  await assertRefused(open, 'NO_PERMISSION', /belongs to user 0 with mode 777/);
  for (const path of [trap, victim]) mkdirSync(path);
  writeFileSync(join(victim, 'file'), 'untouched');
  const fingerprint = await fingerprintDirectory(victim);
  symlinkSync(victim, join(trap, staging));
  await assertRefused(trap, 'NO_PERMISSION', /partial is not a directory/);
  assert.deepEqual(compareFingerprints(fingerprint, await fingerprintDirectory(victim)), []);
});

/** The text by which a note says that a thing is the published copy. */
function noteFor(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev} ${ino} ${'1'.repeat(64)} ${'2'.repeat(64)}`;
}

// Proves (T6): that a copy is published is only believed if we said it ourselves, of the very thing that has the name.
test('a note that lies', async () => {
  const note = staging.replace('partial', 'published');
  const [foreign, stale, ours] = [sandbox.join('foreign'), sandbox.join('stale'), sandbox.join('ours')];
  for (const path of [foreign, stale, ours]) mkdirSync(join(path, 'source'), { recursive: true });
  symlinkSync(noteFor(join(foreign, 'source')), join(foreign, note));
  lchownSync(join(foreign, note), 12_345, 0);
  await assertRefused(foreign, 'EXISTS', /exists already/);
  // The same, made by us, is believed: it says that the copy is of another manifest.
  symlinkSync(noteFor(join(ours, 'source')), join(ours, note));
  const believed = await copyTo(ours);
  assertExit(believed, 40);
  assert.match(believed.stdout, /was completed by an earlier run/);
  assert.deepEqual(readdirSync(ours), ['source']);
  symlinkSync(noteFor(stale), join(stale, note));
  await assertRefused(stale, 'EXISTS', /exists already/);
  renameSync(join(stale, 'source'), sandbox.join('moved away'));
  assertExit(await copyTo(stale), 0);
  await assertComplete(stale);
});

// Proves (T8): while a copy is at work the same command is refused, and harms nothing.
test('the same copy at work', async () => {
  const target = sandbox.join('busy');
  mkdirSync(target);
  await using run = startBaton<CopyEvent>(['copy', '--bwlimit', '2MB', source, target]);
  await run.untilProgress(0.05);
  const second = await copyTo(target);
  assertExit(second, 30);
  assert.deepEqual(
    eventsOf(second.events, 'findings').flatMap(({ findings }) => findings.map(({ error }) => error.code)),
    ['BUSY'],
  );
  assert.match(second.stderr, /another copy is at work/);
  assertExit(await run.finished, 0);
  await assertComplete(target);
});

// Proves (T8): of commands that start at the same moment one makes the copy, and the others are refused or fail without harm.
test('the same command several times at once', async () => {
  for (let round = 0; round < (isSoak ? 10 : 2); round++) {
    const target = round % 2 === 0 ? await makeBroken() : sandbox.join(`at-once-${round}`);
    mkdirSync(target, { recursive: true });
    const results = await Promise.all([1, 2, 3].map(() => copyTo(target)));
    const codes = results.map(({ code }) => code);
    assert.equal(codes.filter((code) => code === 0).length, 1, `exit codes ${codes.join(', ')}`);
    assert.ok(
      codes.every((code) => [0, 30, 40].includes(code ?? -1)),
      `exit codes ${codes.join(', ')}`,
    );
    await assertComplete(target);
  }
});
