import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { ForgetResult } from '@batondb/copy';
import type { CopyEvent, Finding } from '@batondb/copy/events';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { readOnlyMount, smallFileSystem } from '@batondb/testbed/mounts';
import { waitUntil } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import { type BatonResult, runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { makeSmallFiles } from '@batondb/testbed/trees';
import {
  assertAllDone,
  assertExit,
  assertIdentical,
  assertNothingRuns,
  eventsOf,
  operatorBytes,
  runCopy,
  startCopy,
} from './copy-on-bed.ts';

// Hosts that have sshd, a shell and the coreutils, and neither Node nor baton: it brings itself along.

let bed: Bed;
let cache: Sandbox;
/** The operator's own cache, in which the bundle is packed once for all tests. */
let env: Readonly<Record<string, string>>;
let count = 0;

before(async () => {
  requireRoot('the test of hosts without baton');
  cache = makeSandbox();
  chmodSync(cache.path, 0o700);
  env = { XDG_CACHE_HOME: cache.path };
  bed = await startHosts({ count: 2, bare: ['a', 'b'], user: 'sudo' });
  // Outside of the bed, and only of its user: a killed test must not leave it.
  bed.record.add('directories', `/var/tmp/baton-${userId()}`);
  makeSmallFiles(bed.host('a').join('tree'), 20);
  mkdirSync(bed.host('b').join('in'));
});
after(async () => {
  await bed[Symbol.asyncDispose]();
  await cache[Symbol.asyncDispose]();
});

/** Copies a's tree under a new name, from this machine, so that only b needs an agent over ssh. */
async function copyToB(login = 'b', ...options: string[]): Promise<BatonResult<CopyEvent>> {
  return await runCopy(bed, ['--as', nextName(), ...options, bed.host('a').join('tree'), toB(login)], { env });
}

const toB = (login = 'b'): string => `${login}:${bed.host('b').join('in')}`;
const nextName = (): string => `copy-${++count}`;
const lastCopy = (): string => bed.host('b').join('in', `copy-${count}`);
const homeOfUser = (): string => `${bed.path}/.bed/home`;

async function forget(...hosts: string[]): Promise<{ code: number | null; results: readonly ForgetResult[] }> {
  type Forgotten = ForgetResult & { readonly type: 'forgotten' };
  const { code, events } = await runBaton<Forgotten>(['copy', 'forget', ...hosts], { bed });
  return { code, results: events };
}

/** What is below a directory (the first of it), except what the login had there before. */
function below(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('.bash'))
    .sort()
    .slice(0, 9);
}

function onlyFinding(result: BatonResult<CopyEvent>): Finding {
  assertExit(result, 30);
  const [finding, ...more] = eventsOf(result.events, 'findings').flatMap(({ findings }) => findings);
  assert.ok(finding !== undefined && more.length === 0, JSON.stringify([finding, ...more]));
  return finding;
}

/** Has nothing else than the login's home to lie in, as long as the block lasts: /var/tmp/baton-UID is somebody else's. */
function closeOtherPlaces(uid: number): Disposable {
  const path = `/var/tmp/baton-${uid}`;
  mkdirSync(path, { mode: 0o777 });
  chmodSync(path, 0o777);
  return { [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

const userId = (): number => statSync(homeOfUser()).uid;

/** `--agent baton` takes no carried one; by default a carried one is taken where the installed one lacks its Node. */
async function assertOtherAgents(): Promise<void> {
  assert.equal(onlyFinding(await copyToB('b', '--agent', 'baton')).error.code, 'AGENT_MISSING');
  const installed = `${bed.path}/.bed/ssh/bare/baton`;
  writeFileSync(installed, '#!/usr/bin/env node\n', { mode: 0o755 });
  const passed = await copyToB();
  rmSync(installed);
  assertAllDone(passed, [toB()]);
  assert.deepEqual(eventsOf(passed.events, 'carrying'), []);
}

/** An agent that runs stays. */
async function assertInUse(): Promise<void> {
  const [a, b] = [bed.host('a'), bed.host('b')];
  await mustRun(['sh', '-c', 'head -c 20000000 /dev/urandom >"$1"', 'sh', a.join('big')]);
  await b.setLinkMbit(20);
  await using run = startCopy(bed, ['--as', nextName(), a.join('big'), toB()], { env });
  await run.untilProgress(0.01);
  const kept = await forget('b');
  assert.equal(kept.code, 40);
  assert.match(kept.results[0]?.agents[0]?.reason ?? '', /an agent runs from it/);
  run.kill('SIGINT');
  await run.finished;
  await b.setLinkMbit(undefined);
}

// Proves: a copy between two hosts without Node and without baton works, the second one uploads nothing, what stays is one
// directory that its owner alone can enter, and `forget` leaves nothing of it, except while it runs, and says so again when
// there is nothing; `--agent baton` forbids carrying, and an installed baton without its Node is passed over.
test('two hosts that have only sshd and a shell', async (t) => {
  const [a, b] = [bed.host('a'), bed.host('b')];
  const { stdout } = await bed.ssh('b', 'command -v node baton; echo none');
  assert.equal(stdout, 'none\n');
  const source = `a:${a.join('tree')}`;
  const startMs = performance.now();
  const first = await runCopy(bed, ['--as', nextName(), source, toB()], { env });
  const firstMs = performance.now() - startMs;
  assertAllDone(first, [toB()]);
  await assertIdentical(a.join('tree'), lastCopy());
  const carried = eventsOf(first.events, 'carried');
  assert.deepEqual(carried.map(({ host }) => host).sort(), ['a', 'b']);
  const path = carried.find(({ host }) => host === 'b')?.path ?? '';
  assert.match(path, new RegExp(`^${b.home}/\\.cache/baton/agents/[0-9.]+-[0-9a-f]{16}-x64$`));
  for (const each of [path, `${b.home}/.cache/baton/agents`]) assert.equal(statSync(each).mode & 0o7777, 0o700, each);
  const told = eventsOf(first.events, 'carrying').filter(({ host }) => host === 'b');
  assert.equal(told[0]?.sentBytes, 0);
  assert.equal(told.at(-1)?.sentBytes, told.at(-1)?.totalBytes);
  const before = await operatorBytes(bed);
  const secondStartMs = performance.now();
  const second = await runCopy(bed, ['--as', nextName(), source, toB()], { env });
  const secondMs = performance.now() - secondStartMs;
  t.diagnostic(`the first run took ${(firstMs / 1000).toFixed(1)} s, the second ${(secondMs / 1000).toFixed(1)} s`);
  assertAllDone(second, [toB()]);
  const { sent } = await operatorBytes(bed);
  assert.ok(sent - before.sent < 500_000, `${sent - before.sent} bytes were sent to the hosts`);
  assert.deepEqual(eventsOf(second.events, 'carrying'), []);
  await assertOtherAgents();
  await assertInUse();
  await assertNothingRuns(bed);
  const forgotten = await forget('a', 'root@b');
  assert.equal(forgotten.code, 0);
  assert.deepEqual(
    forgotten.results.map(({ host, agents }) => [host, agents.map(({ removed }) => removed)]),
    [
      ['a', [true]],
      ['root@b', [true]],
    ],
  );
  assert.deepEqual([...below(a.home), ...below(b.home)], []);
  const again = await forget('b');
  assert.deepEqual([again.code, again.results[0]?.agents], [0, []]);
});

// Proves: a bundle of which bytes were changed on the way is not unpacked, and nothing of it stays.
test('changed bytes are refused', async () => {
  const shell = cache.join('changing-ssh');
  const program = `#!${process.execPath}
const { spawn } = require('node:child_process');
const ssh = spawn('ssh', ['-F', ${JSON.stringify(bed.sshConfig)}, ...process.argv.slice(2)], { stdio: ['pipe', 'inherit', 'inherit'] });
let count = 0;
process.stdin.on('data', (chunk) => {
  if (count < 1e6 && count + chunk.length >= 1e6) chunk[chunk.length - 1] ^= 1;
  count += chunk.length;
  ssh.stdin.write(chunk);
});
process.stdin.on('end', () => ssh.stdin.end());
ssh.stdin.on('error', () => {});
ssh.on('exit', (code) => process.exit(code));
`;
  writeFileSync(shell, program, { mode: 0o755 });
  const args = ['copy', '--ssh', shell, '--as', nextName(), bed.host('a').join('tree'), toB()];
  const { error } = onlyFinding(await runBaton<CopyEvent>(args, { env }));
  assert.equal(error.code, 'DIGEST_MISMATCH');
  assert.match(error.message, /what arrived is not what was sent/);
  await bed.host('b').waitForNoProcess();
  assert.deepEqual(below(bed.host('b').home), []);
});

/** Starts a copy to b over a slow link, and returns when a part of the bundle has arrived there. */
async function startSlowCopy(b: Host): Promise<ReturnType<typeof startCopy>> {
  await b.setLinkMbit(40);
  const run = startCopy(bed, ['--as', nextName(), bed.host('a').join('tree'), toB()], { env });
  await run.untilType('carrying');
  const agents = `${b.home}/.cache/baton/agents`;
  await waitUntil('a part of the bundle is there', () => existsSync(agents) && bundleBytes(agents) > 1_000_000, 30_000);
  return run;
}

/** What a cache holds, apart from its mark. */
function entriesOf(agents: string): string[] {
  return readdirSync(agents)
    .filter((name) => name !== '.made')
    .sort();
}

function bundleBytes(agents: string): number {
  const name = readdirSync(agents).find((entry) => entry.startsWith('.new-'));
  const path = `${agents}/${name}/bundle`;
  return name !== undefined && existsSync(path) ? statSync(path).size : 0;
}

// Proves: an upload that ends in the middle, by the death of the command or of everything on the host, leaves nothing that is run
// and nothing that is in the way: the next copy carries anew, sweeps what the dead one left, and removes what nobody used for long.
test('killed in the middle of the upload', async () => {
  const b = bed.host('b');
  {
    await using run = await startSlowCopy(b);
    run.kill('SIGKILL');
    await run.waitForNoProcess();
    await b.waitForNoProcess();
    assert.deepEqual(below(b.home), []);
  }
  {
    await using run = await startSlowCopy(b);
    await b.killAll();
    const result = await run.finished;
    assert.equal(onlyFinding(result).error.code, 'UNREACHABLE');
  }
  // Processes die one after the other: a shell that saw its upload die may have removed it before its own turn came.
  const agents = `${b.home}/.cache/baton/agents`;
  const left = existsSync(agents) ? entriesOf(agents) : [];
  assert.ok(left.length <= 1 && left.every((name) => name.startsWith('.new-')), left.join());
  await b.setLinkMbit(undefined);
  const [unused, used] = ['0.0.1-0123456789abcdef-x64', '0.0.2-0123456789abcdef-x64'];
  for (const [name, days] of [
    [unused, 31],
    [used, 29],
  ] as const) {
    const path = `${agents}/${name}`;
    await mustRun(['sh', '-c', 'mkdir "$1" && touch -d "$2 days ago" "$1"', 'sh', path, String(days)]);
  }
  assertAllDone(await copyToB(), [toB()]);
  assert.match(entriesOf(agents).join(), /^0\.0\.2-0123456789abcdef-x64,[0-9.]+-[0-9a-f]{16}-x64$/);
  assert.equal((await forget('b')).code, 0);
  assert.deepEqual(below(b.home), []);
});

// Proves: an unprivileged login whose cache is mounted noexec is noticed before anything is sent: another directory is taken, and when
// there is none, the finding names each with its reason, as it does for a small, a read-only and an open one.
test('a cache that cannot have it', async () => {
  const home = homeOfUser();
  const login = `${bed.user}@b`;
  const store = `${home}/.cache`;
  await mustRun(['chmod', '777', bed.host('b').join('in')]);
  {
    await using _small = await smallFileSystem(bed, store, { kind: 'tmpfs' });
    await mustRun(['mount', '-o', 'remount,noexec', store]);
    await mustRun(['chown', `${bed.user}:`, store]);
    const elsewhere = await copyToB(login);
    assertAllDone(elsewhere, [toB(login)]);
    assert.match(
      eventsOf(elsewhere.events, 'carried')[0]?.path ?? '',
      new RegExp(`^/var/tmp/baton-${userId()}/agents/`),
    );
    assert.equal((await forget(login)).code, 0);
    assert.ok(!existsSync(`/var/tmp/baton-${userId()}`));
    using _closed = closeOtherPlaces(userId());
    const { error } = onlyFinding(await copyToB(login));
    assert.equal(error.code, 'UNSUPPORTED');
    assert.match(error.message, /home\/\.cache\/baton\/agents: .*noexec.*; \/var\/tmp\/baton-\d+\/agents: /);
    assert.match(error.hint ?? '', /XDG_CACHE_HOME/);
    await mustRun(['mount', '-o', 'remount,exec', store]);
    const full = onlyFinding(await copyToB(login)).error;
    assert.deepEqual([full.code, /KiB are needed and \d+ are free/.test(full.message)], ['NO_SPACE', true]);
    assert.deepEqual(below(store), []);
  }
  using _closed = closeOtherPlaces(userId());
  {
    await using _readOnly = await readOnlyMount(bed, store);
    const { error } = onlyFinding(await copyToB(login));
    assert.deepEqual([error.code, /Read-only file system/.test(error.message)], ['READ_ONLY', true]);
  }
  await mustRun(['install', '-d', '-o', bed.user ?? '', '-m', '777', `${store}/baton`]);
  const { error } = onlyFinding(await copyToB(login));
  assert.deepEqual([error.code, /others can write to \S*\/\.cache\/baton/.test(error.message)], ['NOT_TRUSTED', true]);
  rmSync(store, { recursive: true });
});

// Proves: two copies that begin at once, by logins that share a home, both find a whole agent; under sudo it is root's process from the
// user's own cache, which the user alone removes; and one that others could write to is not run.
test('two at once, and sudo', async () => {
  const login = `${bed.user}@b`;
  const source = `${bed.user}@a:${bed.host('a').join('tree')}`;
  await mustRun(['chown', '-R', '12345:54321', bed.host('a').join('tree')]);
  const run = await runCopy(bed, ['--sudo', '--as', nextName(), source, toB(login)], { env });
  assertAllDone(run, [toB(login)]);
  await assertIdentical(bed.host('a').join('tree'), lastCopy());
  const agents = `${homeOfUser()}/.cache/baton/agents`;
  const [name = '', ...more] = entriesOf(agents);
  assert.deepEqual(more, []);
  const { stdout } = await mustRun(['sh', '-c', 'ls -lnR "$1" | grep -c " 0  *0 "; true', 'sh', agents]);
  assert.equal(stdout.trim(), '0', 'nothing there is root’s');
  chmodSync(`${agents}/${name}`, 0o777);
  using _closed = closeOtherPlaces(userId());
  const { error } = onlyFinding(await copyToB(login, '--sudo'));
  assert.deepEqual([error.code, error.message.includes(name)], ['NOT_TRUSTED', true]);
  chmodSync(`${agents}/${name}`, 0o700);
  const forgotten = await forget(login);
  assert.deepEqual(
    forgotten.results[0]?.agents.map(({ removed }) => removed),
    [true],
  );
  assert.ok(!existsSync(`${homeOfUser()}/.cache`));
});
