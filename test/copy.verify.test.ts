import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Difference, VerifyEvent, VerifyResult } from '@batondb/copy/verify/events';
import { makeAwkwardTree } from '@batondb/testbed/awkward-tree';
import { compareFingerprints, fingerprintDirectory } from '@batondb/testbed/compare';
import { killAgents } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { readOnlyMount } from '@batondb/testbed/mounts';
import { requireRoot } from '@batondb/testbed/requirements';
import { type BatonResult, type BatonRun, runBaton, startBaton } from '@batondb/testbed/run-baton';
import { makeLargeFiles } from '@batondb/testbed/trees';
import { assertAllDone, assertNothingRuns, makeTargets, runCopy } from './copy-on-bed.ts';

// Comparing a tree with its copies on other hosts.

const mib = 1024 * 1024;
const verifyMsMax = 120_000;
/** Entries of a directory that no batch holds. */
const manyFiles = 10_000;

type Result = BatonResult<VerifyEvent>;

let bed: Bed;
let a: Host;
let b: Host;
let c: Host;

before(async () => {
  requireRoot('the test of comparing');
  bed = await startHosts({ count: 3, user: 'plain' });
  [a, b, c] = [bed.host('a'), bed.host('b'), bed.host('c')];
});

after(async () => {
  await bed[Symbol.asyncDispose]();
});

async function verify(...args: readonly string[]): Promise<Result> {
  return await runBaton<VerifyEvent>(['verify', '--priority', 'normal', ...args], { timeoutMs: verifyMsMax, bed });
}

function startVerify(...args: readonly string[]): BatonRun<VerifyEvent> {
  return startBaton<VerifyEvent>(['verify', '--priority', 'normal', ...args], { timeoutMs: verifyMsMax, bed });
}

function eventsOf<T extends VerifyEvent['type']>({ events }: Result, type: T): Extract<VerifyEvent, { type: T }>[] {
  return events.filter((event): event is Extract<VerifyEvent, { type: T }> => event.type === type);
}

/** The results by host. Fails, with what was said, unless the exit code is the expected one. */
function resultsOf(result: Result, code: number): Map<string, VerifyResult> {
  const telling = result.events.filter(({ type }) => type !== 'verify-progress').slice(-20);
  assert.equal(result.code, code, `${result.stderr}\n${telling.map((event) => JSON.stringify(event)).join('\n')}`);
  const [summary] = eventsOf(result, 'verify-summary');
  assert.ok(summary !== undefined);
  return new Map(summary.summary.targets.map((one) => [one.target.split(':')[0] ?? '', one]));
}

function statesOf(result: Result, code: number): Record<string, string> {
  return Object.fromEntries([...resultsOf(result, code)].map(([host, { state }]) => [host, state]));
}

/** The differences of one host. */
function differencesOf(result: Result, host: Host): Difference[] {
  return eventsOf(result, 'difference')
    .filter(({ target }) => target.startsWith(`${host.name}:`))
    .map(({ difference }) => difference);
}

function told(differences: readonly Difference[]): string[] {
  return differences.map(({ what, path }) => `${what} ${path}`);
}

/** An operand: a host's directory. */
const at = (host: Host, name = ''): string => `${host.name}:${name === '' ? host.path.slice(0, -1) : host.join(name)}`;

// Proves: what `baton copy` has copied is the same, whatever is in it, with the same operands; and looking changes nothing on any
// host, not even a time of access.
test('a copied tree is the same on two hosts, and stays untouched', async () => {
  await makeAwkwardTree(a.join('odd'), { root: true });
  const targets = await makeTargets([b, c]);
  assertAllDone(await runCopy(bed, [at(a, 'odd'), ...targets]), targets);
  const roots = [a.join('odd'), b.join('in'), c.join('in')];
  const before = await Promise.all(roots.map((root) => fingerprintDirectory(root)));
  const longAgo = '2001-02-03 04:05:06.789 UTC';
  const looked = ['odd/owners', 'odd/owners/someone', 'odd/links/file'];
  for (const host of [b, c]) {
    const made = await host.exec(['touch', '-a', '-d', longAgo, ...looked], { cwd: host.join('in') });
    assert.equal(made.code, 0, made.stderr);
  }
  const result = await verify(at(a, 'odd'), ...targets);
  assert.deepEqual(statesOf(result, 0), { b: 'same', c: 'same' });
  assert.deepEqual(eventsOf(result, 'difference'), []);
  for (const host of [b, c]) {
    const { stdout } = await host.exec(['stat', '-c', '%x', ...looked], { cwd: host.join('in') });
    assert.deepEqual(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.slice(0, 4)),
      ['2001', '2001', '2001'],
    );
  }
  const afterwards = await Promise.all(roots.map((root) => fingerprintDirectory(root)));
  for (const [index, fingerprint] of before.entries()) {
    // touch -a is seen in the time of change, and it was the test that did it.
    const names = ['second-name', 'third-name', 'elsewhere/fourth-name'].map((name) => `odd/links/${name}`);
    const ours = index === 0 ? [] : [...looked, ...names];
    assert.deepEqual(compareFingerprints(fingerprint, afterwards[index] ?? new Map(), ours), []);
  }
  await assertNothingRuns(bed);
});

// Proves: every kind of difference is named by path, with both values or the units, and nothing else is; what is to be ignored is not
// told; a file alone is compared as a tree is.
test('everything that can differ', async () => {
  const script = `set -e
    mkdir -p tree/gone/below tree/sub; cd tree
    head -c 3500000 /dev/urandom > big; echo same > same; : > was-empty; echo short > short
    echo 1 > mode; echo 1 > owner; echo 1 > times; echo 1 > xattrs; echo 1 > kind; echo 1 > gone/below/file
    ln -s one link; ln -s two same-link; mknod device c 1 3; echo linked > name-1; ln name-1 name-2
    head -c 8000000 /dev/urandom > holes; fallocate -p -o 1048576 -l 4194304 holes; echo old > socketless`;
  assert.equal((await a.exec(script)).code, 0);
  const copied = await a.exec([
    'sh',
    '-c',
    `cp -a tree ${b.join('tree')}; cp -a --sparse=never tree ${c.join('tree')}`,
  ]);
  assert.equal(copied.code, 0, copied.stderr);
  const change = `set -e; cd tree
    flip() { printf '\\377' | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; touch -r ${a.join('tree')}/"$1" "$1"; }
    printf '\\1\\2\\3\\4\\5\\6' | dd of=big bs=1 seek=2097152 conv=notrunc status=none; printf '\\2\\3\\4\\5' | dd of=big bs=1 seek=3499996 conv=notrunc status=none
    touch -r ${a.join('tree')}/big big; flip holes 3000000
    echo longer than it was > short; touch -r ${a.join('tree')}/short short; echo x > was-empty; touch -r ${a.join('tree')}/was-empty was-empty
    chmod 4711 mode; chown 12:34 owner; touch -d '2020-01-01 00:00:00.000000001 UTC' times; setfattr -n user.note -v x xattrs
    rm kind; mkdir kind; echo below > kind/below; rm -r gone; mkdir extra; echo 1 > extra/1; echo 2 > extra/2
    ln -sfn other link; touch -h -r ${a.join('tree')}/link link; rm device; mknod device c 1 5; touch -r ${a.join('tree')}/device device
    cp -a name-2 apart; mv apart name-2
    perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un("socket")) or die $!'
    mkdir .baton-0123456789abcdef.partial; touch -r ${a.join('tree')} .`;
  const changed = await b.exec(change);
  assert.equal(changed.code, 0, changed.stderr);
  const result = await verify(at(a, 'tree'), at(b), at(c));
  assert.deepEqual(statesOf(result, 25), { b: 'different', c: 'same' }, 'holes are zeros');
  const differences = differencesOf(result, b);
  assert.deepEqual(told(differences), [
    'content big',
    'device device',
    'extra extra',
    'missing gone',
    'content holes',
    'kind kind',
    'link link',
    'mode mode',
    'hardlinks name-2',
    'owner owner',
    'size short',
    'times times',
    'size was-empty',
    'xattrs xattrs',
  ]);
  const byPath = new Map(differences.map((difference) => [difference.path, difference]));
  assert.deepEqual(byPath.get('big')?.units, {
    first: [
      { offset: 2 * mib, length: mib },
      { offset: 3 * mib, length: 3_500_000 - 3 * mib },
    ],
    total: 2,
  });
  assert.deepEqual(byPath.get('holes')?.units, { first: [{ offset: 2 * mib, length: mib }], total: 1 });
  assert.deepEqual([byPath.get('gone')?.entries, byPath.get('extra')?.entries], [3, 3]);
  const pairs = ['mode', 'owner', 'kind', 'link', 'device', 'short', 'was-empty'].map((path) => {
    const { source, target } = byPath.get(path) ?? {};
    return `${path} ${source} ${target}`;
  });
  assert.deepEqual(pairs, [
    'mode 0644 4711',
    'owner 0:0 12:34',
    'kind file directory',
    'link one other',
    'device 1:3 1:5',
    'short 6 19',
    'was-empty 0 2',
  ]);
  assert.equal(byPath.get('times')?.target, '2020-01-01T00:00:00.000000001Z');
  const less = await verify(
    '--ignore',
    'extra,mode,owner',
    '--ignore',
    'times,xattrs,hardlinks',
    '--quick',
    at(a, 'tree'),
    at(b),
  );
  assert.deepEqual(statesOf(less, 25), { b: 'different' });
  assert.deepEqual(told(differencesOf(less, b)), [
    'device device',
    'missing gone',
    'kind kind',
    'link link',
    'size short',
    'size was-empty',
  ]);
  const excluded = ['holes', 'big', 'device', 'extra', '/gone/', 'kind', 'link', 'mode', 'name-2', 'owner'];
  const rest = [...excluded, 'short', 'times', 'was-empty', 'xattrs', '.*'].flatMap((name) => ['--exclude', name]);
  assert.deepEqual(statesOf(await verify(...rest, at(a, 'tree'), at(b)), 0), { b: 'same' });
  // A file alone, and what a person sees of it.
  const file = await runBaton(['verify', at(a, 'tree/big'), at(b, 'tree')], {
    timeoutMs: verifyMsMax,
    bed,
    json: false,
  });
  assert.equal(file.code, 25, file.stderr);
  assert.match(file.stdout, /^content +b:\S+: \.: 2 units differ \(1\.00 MiB at 2097152, 346 KiB at 3145728\)$/m);
  assert.match(file.stdout, /^different +b:\S+\/big {2}1 difference$/m);
});

// Proves: a directory of any size is compared without holding it, on all hosts at the same time, and each has its own result.
test('a huge directory', async () => {
  mkdirSync(a.join('huge'));
  for (let index = 0; index < manyFiles; index++) writeFileSync(a.join('huge', `file-${index}`), `content ${index}\n`);
  for (const host of [b, c]) assert.equal((await host.exec(['cp', '-a', a.join('huge'), 'huge'])).code, 0);
  const change = `cd huge; printf C | dd of=file-7777 bs=1 conv=notrunc status=none; touch -r ${a.join('huge')}/file-7777 file-7777`;
  assert.equal((await c.exec(change)).code, 0);
  const result = await verify(at(a, 'huge'), at(b), at(c));
  assert.deepEqual(statesOf(result, 25), { b: 'same', c: 'different' });
  assert.deepEqual(differencesOf(result, c), [
    { what: 'content', path: 'file-7777', units: { first: [{ offset: 0, length: 13 }], total: 1 } },
  ]);
  const [summary] = eventsOf(result, 'verify-summary');
  assert.deepEqual([summary?.summary.entries, summary?.summary.files], [manyFiles + 1, manyFiles]);
});

// Proves: a target or source that dies in the middle is a failure with its host and reason, never the same; the other targets are
// compared to their end; Ctrl-C ends everything everywhere.
test('hosts that die, and Ctrl-C', async () => {
  // Slow enough to be in the middle: the names of the huge directory alone are a few MiB.
  await b.setLinkMbit(4);
  await using target = startVerify(at(a, 'huge'), at(b), at(c));
  await target.untilType('comparison');
  await killAgents(b);
  const ended = resultsOf(await target.finished, 50);
  assert.deepEqual([ended.get('b')?.state, ended.get('c')?.state], ['failed', 'different']);
  assert.deepEqual([ended.get('b')?.error?.code, ended.get('b')?.error?.host], ['CONNECTION_LOST', 'b']);
  await using source = startVerify(at(a, 'huge'), at(b), at(c));
  await source.untilType('comparison');
  await killAgents(a);
  const lost = resultsOf(await source.finished, 50);
  assert.deepEqual(
    [...lost.values()].map(({ state, error }) => `${state} ${error?.code} ${error?.host}`),
    ['failed CONNECTION_LOST a', 'failed CONNECTION_LOST a'],
  );
  await using interrupted = startVerify(at(a, 'huge'), at(b), at(c));
  await interrupted.untilType('comparison');
  interrupted.kill('SIGINT');
  assert.equal((await interrupted.finished).code, 130);
  await assertNothingRuns(bed);
  await b.setLinkMbit(undefined);
});

// Proves: a copy on a read-only file system is compared; a path that is not there is a finding on every host that lacks it, and nothing
// is compared.
test('read-only file systems, and nothing there', async () => {
  assert.equal((await b.exec(['cp', '-a', a.join('tree'), 'readonly'])).code, 0);
  await using _mounted = await readOnlyMount(b, b.join('readonly'));
  assert.deepEqual(statesOf(await verify('--as', 'readonly', at(a, 'tree'), at(b)), 0), { b: 'same' });
  const result = await verify('--as', 'nowhere', at(a, 'tree'), at(b), at(c));
  assert.equal(result.code, 30);
  const findings = eventsOf(result, 'findings').flatMap((event) => event.findings);
  assert.deepEqual(findings.map(({ host, error }) => `${host} ${error.code}`).toSorted(), [
    'b NOT_FOUND',
    'c NOT_FOUND',
  ]);
  assert.match(findings[0]?.error.hint ?? '', /directory that the copy lies in/);
});

// Proves: what a user may not read is named, is not taken for missing, and makes the result incomplete.
test('without the right to read', async () => {
  const script = `set -e; mkdir -p rights/closed rights/open; cd rights; echo 1 > closed/file; echo 2 > secret; echo 3 > open/file; chmod 755 . open`;
  assert.equal((await a.exec(script)).code, 0);
  const close = `cp -a ${a.join('rights')} . && chmod 700 rights/closed && chmod 600 rights/secret`;
  assert.equal((await b.exec(close)).code, 0);
  const user = `${bed.user}@b:${b.path.slice(0, -1)}`;
  const result = await verify('--ignore', 'mode', at(a, 'rights'), user);
  const [ended] = resultsOf(result, 20).values();
  assert.deepEqual([ended?.state, ended?.differences, ended?.unknown], ['incomplete', 0, 2]);
  assert.deepEqual(
    eventsOf(result, 'difference').map(({ difference }) => difference),
    [
      { what: 'unreadable', path: 'closed', side: 'target' },
      { what: 'unreadable', path: 'secret', side: 'target' },
    ],
  );
});

// Proves: a file that is written to while it is read is told as such, and not as one that differs.
test('a file that changes meanwhile', async () => {
  makeLargeFiles(a.join('live'), { files: 1, bytesEach: 64 * mib });
  assert.equal((await b.exec(['cp', '-a', a.join('live'), '.'])).code, 0);
  const writer = `i=0; while [ ! -e stop ] && [ $i -lt 2000000 ]; do printf x >> live/large-0; i=$((i+1)); done`;
  const writing = b.exec(writer);
  const result = await verify(at(a, 'live'), at(b));
  writeFileSync(b.join('stop'), '');
  await writing;
  assert.deepEqual(statesOf(result, 20), { b: 'incomplete' });
  assert.deepEqual(differencesOf(result, b), [{ what: 'changed-meanwhile', path: 'large-0', side: 'target' }]);
});
