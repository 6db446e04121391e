import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { CopyEvent } from '@batondb/copy/events';
import { makeAwkwardTree } from '@batondb/testbed/awkward-tree';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeLargeFiles } from '@batondb/testbed/trees';
import {
  assertAllDone,
  assertExit,
  assertIdentical,
  eventsOf,
  hostBytes,
  isSoak,
  makeTargets,
  resultOf,
  runCopy,
  startCopy,
  summaryOf,
} from './copy-on-bed.ts';

// `baton copy --update`: an older copy is brought up to date, by what differs, and exchanged.

const mib = 1024 * 1024;
const pageBytes = 16 * 1024;
let bed: Bed;

before(async () => {
  requireRoot('the test of --update');
  bed = await startHosts({ count: 4 });
});
after(async () => {
  await bed[Symbol.asyncDispose]();
});

/** Overwrites so many pages of a file, anywhere in it. */
async function changePages(path: string, pages: number, random: Random): Promise<void> {
  await using file = await open(path, 'r+');
  const content = Buffer.alloc(pageBytes);
  const all = Math.floor(statSync(path).size / pageBytes);
  for (let page = 0; page < pages; page++) {
    random.fill(content);
    await file.write(content, 0, pageBytes, random.integer(0, all - 1) * pageBytes);
  }
}

function findingsOf(events: readonly CopyEvent[]): { code: string; message: string }[] {
  return eventsOf(events, 'findings').flatMap(({ findings }) =>
    findings.map(({ error: { code, message } }) => ({ code, message })),
  );
}

// Proves: of a directory of which 1 % has changed, page by page and anywhere, at most 3 % goes over the wire, both ways and with
// everything that is said; all of the first target's, also what it passes on to a second one, and to a third one that has no copy yet
// everything. All are identical, down to what the source does not have any more.
test('what differs is what is sent', async (t) => {
  const seed = seedOfRun();
  const random = new Random(seed).fork('update');
  const [a, b, c, d] = bed.hosts as [Host, Host, Host, Host];
  const source = a.join('data');
  const sizeMib = isSoak ? 1024 : 64;
  makeLargeFiles(source, { files: 4, bytesEach: (sizeMib / 4) * mib, compressible: 0.5 });
  await makeAwkwardTree(join(source, 'awkward'), { root: true });
  const targets = await makeTargets([b, c, d]);
  assertAllDone(await runCopy(bed, [`a:${source}`, ...targets.slice(0, 2)]), targets.slice(0, 2));

  for (const name of ['large-0', 'large-1', 'large-2', 'large-3']) {
    await changePages(join(source, name), Math.round((sizeMib / 4) * 64 * 0.01), random);
  }
  writeFileSync(join(source, 'new'), 'a file that was not there');
  rmSync(join(source, 'awkward', 'links'), { recursive: true });
  writeFileSync(join(c.join('in'), 'data', 'of this target alone'), 'which the source does not have');

  const before = await hostBytes(b);
  const summary = assertAllDone(await runCopy(bed, ['--update', `a:${source}`, ...targets.slice(0, 1)]), [targets[0]!]);
  const now = await hostBytes(b);
  const wireBytes = now.received - before.received + now.sent - before.sent;
  const share = wireBytes / summary.contentBytes;
  t.diagnostic(`seed ${seed}: ${wireBytes} bytes for ${summary.contentBytes}, ${(share * 100).toFixed(2)} %`);
  assert.ok(share <= 0.03, `${wireBytes} bytes went over the wire`);
  await assertIdentical(source, b.join('in', 'data'));

  // A relay that is up to date, one with an older copy, and one without.
  assertAllDone(await runCopy(bed, ['--update', `a:${source}`, ...targets]), targets);
  for (const host of [b, c, d]) {
    await assertIdentical(source, host.join('in', 'data'));
    assert.deepEqual(readdirSync(host.join('in')), ['data'], 'nothing of the older copy is left');
  }
});

// Proves: a file is brought up to date like a tree, also when it has become shorter, longer, or another one altogether.
test('a file', async () => {
  const [a, b] = [bed.host('a'), bed.host('b')];
  const source = a.join('file');
  const [target] = (await makeTargets([b])) as [string];
  for (const bytes of [3 * mib + 7, 2 * mib, 0, 5 * mib + 1]) {
    writeFileSync(source, Buffer.alloc(bytes, 'content of some length'));
    assertAllDone(await runCopy(bed, ['--update', `a:${source}`, target]), [target]);
    await assertIdentical(source, b.join('in', 'file'));
  }
});

// Proves: what cannot be exchanged is found before a byte moves, and stays as it is: a symlink, another kind of thing, something
// mounted in it, a program that writes to it. So is what can be combined with nothing.
test('what is not brought up to date', async () => {
  const [a, b] = [bed.host('a'), bed.host('b')];
  const source = a.join('tree');
  makeLargeFiles(source, { files: 1, bytesEach: 1000, compressible: 1 });
  const [target] = (await makeTargets([b])) as [string];
  const copy = b.join('in', 'tree');
  const update = async (): Promise<{ code: string; message: string }> => {
    const result = await runCopy(bed, ['--update', `a:${source}`, target]);
    assertExit(result, 30);
    const [finding, ...more] = findingsOf(result.events);
    assert.ok(finding !== undefined && more.length === 0, result.stderr);
    return finding;
  };

  symlinkSync('elsewhere', copy);
  assert.deepEqual((await update()).code, 'UNSUPPORTED');
  rmSync(copy);

  writeFileSync(copy, 'a file');
  assert.match((await update()).message, /tree is a file, and the source is a directory/);
  rmSync(copy);

  mkdirSync(join(copy, 'disk'), { recursive: true });
  await b.exec(['mount', '-t', 'tmpfs', 'tmpfs', join(copy, 'disk')]);
  await b.exec(['touch', join(copy, 'disk', 'precious')]);
  assert.match((await update()).message, /replaced as a whole, and something is mounted at .*\/in\/tree\/disk$/);
  await b.exec(['test', '-e', join(copy, 'disk', 'precious')]);
  await b.exec(['umount', join(copy, 'disk')]);

  writeFileSync(join(copy, 'log'), '');
  {
    using writer = startWriter(join(copy, 'log'));
    const finding = await update();
    assert.equal(finding.code, 'IN_USE');
    assert.match(
      finding.message,
      new RegExp(`^sleep \\(process ${writer.process.pid}\\) has .*/log open for writing$`),
    );
  }
  assert.deepEqual(stagingIn(b), [], 'nothing was begun');
  assertAllDone(await runCopy(bed, ['--update', `a:${source}`, target]), [target]);

  for (const words of [
    ['--update', '--type', 'decompress', `a:${source}.tar`, target],
    ['--update', '--exec', 'true', 'a:name', target],
  ]) {
    assertExit(await runCopy(bed, words), 2);
  }
});

function stagingIn(host: Host): string[] {
  return readdirSync(host.join('in')).filter((name) => name.startsWith('.baton-'));
}

type Writer = Disposable & { readonly process: ChildProcess };

/** A program that has a file open for writing, and does nothing. */
function startWriter(path: string): Writer {
  const child = spawn('sh', ['-c', 'exec sleep 60 >>"$1"', 'sh', path]);
  return { process: child, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

// Proves: what appears in the place of the older copy while the new one is made is not taken away, nor is the older one when it is
// moved aside; the new one waits under its staged name until somebody has decided.
test('another takes the place of the older copy meanwhile', async () => {
  const [a, b] = [bed.host('a'), bed.host('b')];
  const source = a.join('slow');
  makeLargeFiles(source, { files: 1, bytesEach: 12 * mib, compressible: 0 });
  const [target] = (await makeTargets([b])) as [string];
  const copy = b.join('in', 'slow');
  mkdirSync(copy);
  writeFileSync(join(copy, 'older'), 'older');
  await using run = startCopy(bed, ['--update', '--bwlimit', '2MB', `a:${source}`, target]);
  await run.untilProgress(0.1);
  cpSync(copy, `${copy} aside`, { recursive: true });
  rmSync(copy, { recursive: true });
  mkdirSync(copy);
  writeFileSync(join(copy, 'of another'), 'precious');
  const result = await run.finished;
  assertExit(result, 40);
  assert.equal(resultOf(summaryOf(result), target).error?.code, 'EXISTS');
  assert.deepEqual(readdirSync(copy), ['of another']);
  await mustRun(['rm', '-r', copy]);
  const rerun = assertAllDone(await runCopy(bed, ['--update', `a:${source}`, target]), [target]);
  assert.ok(resultOf(rerun, target).wireBytes < mib, 'it was complete but for its name');
  await assertIdentical(source, copy);
});
