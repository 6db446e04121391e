import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { compareFingerprints, type Fingerprint, fingerprintDirectory } from '@batondb/testbed/compare';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { requireRoot } from '@batondb/testbed/requirements';
import { type BatonResult, runBaton } from '@batondb/testbed/run-baton';
import { makeLargeFiles } from '@batondb/testbed/trees';
import { assertAllDone, assertExit, assertIdentical, assertNothingRuns, runCopy, startCopy } from './copy-on-bed.ts';

// `baton copy clean` removes what abandoned copies left, on this machine and elsewhere, and nothing else.

const mib = 1024 * 1024;

/** What `--json` says of each thing that was found. */
type Cleaned = {
  readonly type: 'cleaned';
  readonly path: string;
  readonly source: string;
  readonly bytes: number;
  readonly removed: boolean;
  readonly reason?: string;
};

before(() => requireRoot('the test of cleaning up'));

/** Sources `tree` and `other` on a, and a target directory on b with things that are nobody's leftovers. */
async function prepare(bed: Bed): Promise<{ directory: string; fingerprint: Fingerprint }> {
  for (const [seed, name] of ['tree', 'other'].entries())
    makeLargeFiles(bed.host('a').join(name), { files: 2, bytesEach: 8 * mib, compressible: 0, seed });
  const directory = bed.host('b').join('in');
  for (const name of ['of others', '.baton-notes', '.baton-0123456789abcdef.partial.old', '.baton-XYZ.partial']) {
    mkdirSync(join(directory, name), { recursive: true });
    writeFileSync(join(directory, name, 'file'), 'untouched');
  }
  return { directory, fingerprint: await fingerprintDirectory(directory) };
}

/** Leaves what a killed copy of a source on a leaves. */
async function abandon(bed: Bed, name: string, directory: string): Promise<void> {
  await using run = startCopy(bed, ['--bwlimit', '6MB', `a:${bed.host('a').join(name)}`, `b:${directory}`]);
  await run.untilProgress(0.2);
  run.kill('SIGKILL');
  await run.finished;
  await Promise.all([run.waitForNoProcess(), assertNothingRuns(bed)]);
}

const clean = (bed: Bed, ...words: readonly string[]): Promise<BatonResult<Cleaned>> =>
  runBaton<Cleaned>(['copy', 'clean', ...words], { bed });

const stagings = (directory: string): string[] =>
  readdirSync(directory).filter((name) => /^\.baton-[0-9a-f]{16}\.(partial|published)$/.test(name));

async function assertUntouched(directory: string, fingerprint: Fingerprint): Promise<void> {
  const now = await fingerprintDirectory(directory);
  assert.deepEqual(compareFingerprints(fingerprint, now, stagings(directory)), []);
}

// Proves: a dry run lists and changes nothing; a clean removes what abandoned copies left, and nothing that looks like it.
test('what abandoned copies left, here and elsewhere', async () => {
  await using bed = await startHosts({ count: 2 });
  const { directory, fingerprint } = await prepare(bed);
  await abandon(bed, 'tree', directory);
  await abandon(bed, 'other', directory);
  // A copy that was killed in its last step leaves this.
  symlinkSync(`1 2 ${'a'.repeat(64)} ${'b'.repeat(64)}`, join(directory, '.baton-fedcba9876543210.published'));
  const before = await fingerprintDirectory(directory);

  const listed = await clean(bed, '--dry-run', `b:${directory}`);
  assert.equal(listed.code, 0, listed.stderr);
  assert.deepEqual(compareFingerprints(before, await fingerprintDirectory(directory)), []);
  const bySource = listed.events.toSorted((one, two) => two.source.localeCompare(one.source));
  assert.deepEqual(
    bySource.map(({ type, source, removed }) => [type, source, removed]),
    [
      ['cleaned', `a:${bed.host('a').join('tree')}`, false],
      ['cleaned', `a:${bed.host('a').join('other')}`, false],
      ['cleaned', '?', false],
    ],
  );
  for (const { bytes, source } of bySource) assert.ok(source === '?' || (bytes >= mib && bytes < 16 * mib), `${bytes}`);

  const people = await runBaton(['copy', 'clean', '--dry-run', directory], { json: false });
  assert.equal(people.code, 0);
  assert.match(
    people.stdout,
    /^found {4}\S+\/in\/\.baton-[0-9a-f]{16}\.partial {2}\S+ MiB of a:\S+\/other, begun \S+ s ago$/m,
  );
  assert.match(people.stdout, /^dry run: nothing was removed$/m);

  const cleaned = await clean(bed, `b:${directory}`);
  assert.equal(cleaned.code, 0, cleaned.stderr);
  assert.deepEqual(
    cleaned.events.map(({ removed }) => removed),
    [true, true, true],
  );
  assert.deepEqual(stagings(directory), []);
  await assertUntouched(directory, fingerprint);

  const nothing = await runBaton(['copy', 'clean', directory], { json: false });
  assert.deepEqual([nothing.code, nothing.stdout], [0, 'nothing is left of any copy there\n']);
  await assertNothingRuns(bed);
});

// Proves: a copy at work keeps its own and is not harmed; what is abandoned beside it goes; the exit code says that something
// was left.
test('beside a copy at work', async () => {
  await using bed = await startHosts({ count: 2 });
  const { directory, fingerprint } = await prepare(bed);
  await abandon(bed, 'other', directory);
  const tree = bed.host('a').join('tree');
  await using run = startCopy(bed, ['--bwlimit', '1MB', `a:${tree}`, `b:${directory}`]);
  await run.untilProgress(0.1);
  assert.equal(stagings(directory).length, 2);
  const cleaned = await clean(bed, `b:${directory}`);
  assert.equal(cleaned.code, 40, cleaned.stderr);
  const told = cleaned.events.map(({ removed, reason }) => `${removed}: ${reason}`).toSorted();
  assert.deepEqual(told, ['false: a copy is at work on it', 'true: undefined']);
  assert.equal(stagings(directory).length, 1);
  assertAllDone(await run.finished, [`b:${directory}`]);
  await assertIdentical(tree, join(directory, 'tree'));
  const now = await fingerprintDirectory(directory);
  assert.deepEqual(compareFingerprints(fingerprint, now, ['tree']), []);
});

// Proves: what somebody else owns is left and told, and a directory that is not there is a refusal.
test('what cannot be cleaned', async () => {
  await using bed = await startHosts({ count: 2 });
  const { directory, fingerprint } = await prepare(bed);
  await abandon(bed, 'tree', directory);
  const [name = ''] = stagings(directory);
  chownSync(join(directory, name), 12_345, 0);
  const refused = await clean(bed, `b:${directory}`);
  assert.equal(refused.code, 40, refused.stderr);
  assert.match(refused.events[0]?.reason ?? '', /belongs to user 12345/);
  assert.ok(statSync(join(directory, name, 'journal')).isFile());
  await assertUntouched(directory, fingerprint);
  const missing = await runBaton(['copy', 'clean', `b:${directory}/missing`], { bed, json: false });
  assert.equal(missing.code, 30);
  assert.match(missing.stderr, /missing: does not exist/);
  // Without the killed copy's right owner the same command is refused, and with it, continues.
  const args = [`a:${bed.host('a').join('tree')}`, `b:${directory}`];
  assertExit(await runCopy(bed, args), 30);
  chownSync(join(directory, name), 0, 0);
  assertAllDone(await runCopy(bed, args), [`b:${directory}`]);
});
