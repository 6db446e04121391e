import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { before, test } from 'node:test';
import type { CopyEvent, Finding } from '@batondb/copy/events';
import { makeAwkwardTree } from '@batondb/testbed/awkward-tree';
import { checkoutPath, hostPath } from '@batondb/testbed/checkout';
import { compareTrees } from '@batondb/testbed/compare';
import type { Host } from '@batondb/testbed/host';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { mustRun, runCommand } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import { type BatonResult, runBaton } from '@batondb/testbed/run-baton';
import { makeSmallFiles } from '@batondb/testbed/trees';
import { assertAllDone, assertExit, assertIdentical, assertNothingRuns, eventsOf, runCopy } from './copy-on-bed.ts';

// Ways to reach hosts, and the users that copy there.

before(() => requireRoot('the test of remote hosts'));

/** A host's directory without the slash at its end, as results name it. */
const directoryOf = (host: Host): string => host.path.slice(0, -1);

/** A tree of 40 files on a host. */
function makeTree(host: Host): string {
  makeSmallFiles(host.join('tree'), 40);
  return host.join('tree');
}

function findingsOf(result: BatonResult<CopyEvent>): Finding[] {
  return eventsOf(result.events, 'findings').flatMap(({ findings }) => findings);
}

/** Makes a directory that belongs to the bed's user, on a host. */
async function makeUsersDirectory(bed: Bed, path: string): Promise<string> {
  await mustRun(['install', '-d', '-o', bed.user ?? '', '-g', bed.user ?? '', path]);
  return path;
}

// Proves: names, users, keys, addresses and jump hosts of the ssh configuration work as they do for ssh, also for IPv6 in brackets, and
// relative paths start in the login directory.
test('as ssh reaches them', async () => {
  await using bed = await startHosts({ names: ['a', 'b', 'inner'], jump: { inner: 'a' }, user: 'plain' });
  const [a, b, inner] = [bed.host('a'), bed.host('b'), bed.host('inner')];
  const tree = makeTree(a);
  const home = await makeUsersDirectory(bed, `${bed.path}/.bed/home/relative`);
  const cases: readonly (readonly [string, string, string])[] = [
    ['alias', `b:${directoryOf(b)}`, b.path],
    ['alias6', `b6:${directoryOf(b)}`, b.path],
    ['address', `root@${b.ipv4}:${directoryOf(b)}`, b.path],
    ['brackets', `[${b.ipv6}]:${directoryOf(b)}`, b.path],
    ['user-brackets', `root@[${b.ipv6}]:${directoryOf(b)}`, b.path],
    ['jump', `inner:${directoryOf(inner)}`, inner.path],
    ['relative', `${bed.user}@b:relative`, `${home}/`],
  ];
  for (const [name, target, directory] of cases) {
    const result = await runCopy(bed, ['--as', name, `a:${tree}`, target]);
    assertAllDone(result, [target]);
    assert.deepEqual(await compareTrees(tree, directory + name, { owner: name !== 'relative' }), [], name);
  }
  // A host behind a jump host reaches its login's other end, and not this machine: that is found before a byte moves.
  mkdirSync(`${bed.path}/here`);
  const back = await runCopy(bed, ['--as', 'back', `inner:${inner.join('jump')}`, `${bed.path}/here`]);
  assertExit(back, 30);
  assert.deepEqual(
    findingsOf(back).map(({ host, error }) => [host, error.code]),
    [['inner', 'HOP_UNREACHABLE']],
  );
  await assertNothingRuns(bed);
});

// Proves: a remote shell of one's own works by the documented contract: its words, destination and one script; and what it says when it
// fails is shown.
test('another remote shell', async () => {
  await using bed = await startHosts({ count: 2 });
  const [a, b] = [bed.host('a'), bed.host('b')];
  const tree = makeTree(a);
  const place = `${bed.path}/with blank`;
  mkdirSync(place);
  const lines = [a, b].map(
    (host) => `  ${host.name}) space=${host.namespace};;\n  ops@${host.name}) space=${host.namespace};;`,
  );
  const shell = [
    '#!/bin/sh',
    'printf "%s|" "$#" "$@" >> "${0%/*}/log"; echo >> "${0%/*}/log"',
    'case "$2" in',
    ...lines,
    '  *) echo "no container $2" >&2; exit 3;;',
    'esac',
    `cd ${bed.path}; PATH=${hostPath}; export PATH`,
    'exec nsenter --net=/run/netns/$space sh -c "$3"',
  ];
  writeFileSync(`${place}/into host`, `${shell.join('\n')}\n`, { mode: 0o755 });
  const ssh = `"${place}/into host" --in`;
  const run = async (...operands: string[]): Promise<BatonResult<CopyEvent>> =>
    await runBaton<CopyEvent>(['copy', '--ssh', ssh, ...operands], { timeoutMs: 120_000 });
  assertAllDone(await run('--agent', 'baton', `a:${tree}`, 'ops@b:b'), ['ops@b:b']);
  await assertIdentical(tree, b.join('tree'));
  const calls = readFileSync(`${place}/log`, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .sort((x, y) => (x < y ? -1 : 1));
  assert.deepEqual(calls, ['3|--in|a|exec baton agent|', '3|--in|ops@b|exec baton agent|']);
  const failed = await run(`a:${tree}`, 'elsewhere:/srv');
  assertExit(failed, 30);
  const [finding] = findingsOf(failed);
  assert.deepEqual([finding?.host, finding?.error.code], ['elsewhere', 'UNREACHABLE']);
  assert.match(
    finding?.error.message ?? '',
    /into host ended with exit code 3 before the agent answered, and said: no container elsewhere/,
  );
});

// Proves: under sudo -n the agents of all hosts, or of the one that is named, are root's, and owners are kept.
test('with sudo', async () => {
  await using bed = await startHosts({ count: 2, user: 'sudo' });
  const [a, b] = [bed.host('a'), bed.host('b')];
  const tree = makeTree(a);
  await mustRun(['chown', '-R', '12345:54321', tree]);
  chmodSync(tree, 0o700);
  const [source, target] = [`${bed.user}@a:${tree}`, `${bed.user}@b:${directoryOf(b)}`];
  const refused = await runCopy(bed, ['--sudo-on', 'b', source, target]);
  assertExit(refused, 30);
  assert.deepEqual(
    findingsOf(refused).map(({ error }) => error.code),
    ['NO_PERMISSION'],
    'only b is root',
  );
  assertAllDone(await runCopy(bed, ['--sudo', source, target]), [target]);
  await assertIdentical(tree, b.join('tree'));
  assertAllDone(await runCopy(bed, ['--sudo-on', 'b', '--as', 'one', `a:${tree}`, target]), [target]);
  await assertIdentical(tree, b.join('one'));
  await assertNothingRuns(bed);
});

// Proves: without the right to, sudo's refusal is a finding with the line for sudoers, and nothing waits for a password.
test('without the right to sudo', async () => {
  await using bed = await startHosts({ count: 2, user: 'plain' });
  const tree = makeTree(bed.host('a'));
  const result = await runCopy(bed, ['--sudo-on', 'b', `a:${tree}`, `${bed.user}@b:${directoryOf(bed.host('b'))}`]);
  assertExit(result, 30);
  const [finding, ...more] = findingsOf(result);
  assert.deepEqual([finding?.error.code, more], ['NO_PERMISSION', []]);
  assert.match(finding?.error.message ?? '', /sudo (asks for a password|refused)/);
  assert.match(finding?.error.hint ?? '', new RegExp(`${bed.user} ALL=\\(root\\) NOPASSWD: `));
});

// Proves: what a login prints before the agent speaks is skipped; too much of it, and an agent that is not there, are findings that
// say where to look.
test('noisy logins and missing agents', async () => {
  await using bed = await startHosts({ count: 2 });
  const [a, b] = [bed.host('a'), bed.host('b')];
  const tree = makeTree(a);
  const target = `b:${directoryOf(b)}`;
  writeFileSync(
    `${b.home}/.bashrc`,
    'echo "Welcome! BATON AGENT"; printf "\\nBATON\\n\\377\\000"; head -c 60000 /dev/urandom; echo warning >&2\n',
  );
  assertAllDone(await runCopy(bed, [`a:${tree}`, target]), [target]);
  await assertIdentical(tree, b.join('tree'));
  writeFileSync(`${b.home}/.bashrc`, 'yes "much to say" | head -c 200000\n');
  const flooded = await runCopy(bed, ['--as', 'more', `a:${tree}`, target]);
  assertExit(flooded, 30);
  const [flood] = findingsOf(flooded);
  assert.equal(flood?.host, 'b');
  assert.match(flood.error.message, /printed 65536 bytes that are not baton's: "much to say/);
  assert.match(flood.error.hint ?? '', /shell profile/);
  writeFileSync(`${b.home}/.bashrc`, '');
  for (const [agent, message] of [
    ['/no/such/baton', /no \/no\/such\/baton was found there/],
    [bed.sshConfig, /cannot be executed there: .*Permission denied/],
  ] as const) {
    const result = await runCopy(bed, ['--agent', agent, '--as', 'more', `a:${tree}`, target]);
    assertExit(result, 30);
    const found = findingsOf(result);
    assert.deepEqual(
      found.map(({ host }) => host).sort((x, y) => (x < y ? -1 : 1)),
      ['a', 'b'],
    );
    for (const { error } of found) {
      assert.equal(error.code, 'AGENT_MISSING');
      assert.match(error.message, message);
    }
  }
  await assertNothingRuns(bed);
});

// Proves: a target without privileges keeps what it may keep; the rest is said once a kind with its count and an example, and nobody
// is lent another's rights.
test('an unprivileged target', async () => {
  await using bed = await startHosts({ count: 2, user: 'plain' });
  const [a, b] = [bed.host('a'), bed.host('b')];
  const tree = makeTree(a);
  const script = `set -e; cd ${tree}
    cp /bin/true setuid; chmod 4755 setuid; cp /bin/true setgid; chmod 2755 setgid; mkdir -m 3777 shared
    cp /bin/true capable; setcap cap_net_raw+ep capable
    echo one > noted; setfattr -n user.note -v kept noted; setfattr -n trusted.note -v lost noted
    echo two > listed; setfacl -m u:12345:rw listed
    mknod null c 1 3; ln null null-too; mkfifo fifo; ln -s nowhere link; echo three > theirs; chown 12345:54321 theirs
    touch -d '2001-02-03 04:05:06.000000007 UTC' theirs`;
  await mustRun(['sh', '-c', script], { env: { PATH: hostPath } });
  const directory = await makeUsersDirectory(bed, b.join('users'));
  const target = `${bed.user}@b:${directory}`;
  const result = await runCopy(bed, [`a:${tree}`, target]);
  assertAllDone(result, [target]);
  const lost = new Map(eventsOf(result.events, 'not-kept').map(({ notKept }) => [notKept.what, notKept]));
  assert.equal(lost.size, eventsOf(result.events, 'not-kept').length, 'each kind is said once');
  assert.deepEqual(
    ['setuid', 'capability', 'xattr', 'device'].map((what) => [
      what,
      lost.get(what as 'setuid')?.count,
      lost.get(what as 'setuid')?.reason,
    ]),
    [
      ['setuid', 3, 'EPERM'],
      ['capability', 1, 'EPERM'],
      ['xattr', 1, 'EPERM'],
      ['device', 2, 'EPERM'],
    ],
  );
  const { stdout } = await mustRun(['sh', '-c', 'find "$1" ! -name "null*" | wc -l', 'sh', tree]);
  assert.equal(lost.get('owner')?.count, Number(stdout));
  assert.match(lost.get('capability')?.example ?? '', /tree\/capable/);
  const copy = `${directory}/tree`;
  const user = statSync(directory).uid;
  for (const name of ['setuid', 'setgid', 'shared']) {
    assert.equal(statSync(`${copy}/${name}`).mode & 0o6000, 0, name);
    assert.equal(statSync(`${copy}/${name}`).uid, user);
  }
  const differences = await compareTrees(tree, copy, { owner: false, ignoreXattrs: /^(trusted|security)\./ });
  const shown = differences
    .map((line) =>
      line
        .split(':', 2)
        .join(':')
        .replace(/ [^ ]+ ≠ .*/, ''),
    )
    .sort((x, y) => (x < y ? -1 : 1));
  const expected = ['null-too', 'null'].map((name) => `${name}: missing in ${copy}`);
  assert.deepEqual(shown, [...expected, 'setgid: mode', 'setuid: mode', 'shared: mode']);
});

// Proves: a user without privileges copies a tree of their own on this machine, whatever is in it, without any loss; what the user
// cannot read is refused before a byte moves.
test('an unprivileged local user', async () => {
  await using bed = await startHosts({ count: 1, user: 'plain' });
  const user = bed.user ?? '';
  const home = await makeUsersDirectory(bed, `${bed.path}/.bed/home/own`);
  await makeAwkwardTree(`${home}/tree`, { root: false });
  await mustRun([
    'sh',
    '-c',
    'chown -hR "$1:" "$2"; chmod -R u+rwX "$2"; chmod 6750 "$2/modes/file-644"; mkdir "$2/../to"; chown "$1:" "$2/../to"',
    'sh',
    user,
    `${home}/tree`,
  ]);
  const copyAs = async (...words: string[]): Promise<{ code: number | null; said: string }> => {
    const argv = ['runuser', '-u', user, '--', `${checkoutPath}/baton`, 'copy', ...words];
    const { code, stdout, stderr } = await runCommand(argv, {
      cwd: home,
      env: { PATH: hostPath, HOME: home },
      timeoutMs: 120_000,
    });
    return { code, said: `${stdout}${stderr}` };
  };
  const done = await copyAs('tree', 'to');
  assert.equal(done.code, 0, done.said);
  assert.doesNotMatch(done.said, /not kept/);
  await assertIdentical(`${home}/tree`, `${home}/to/tree`);
  await mustRun(['chmod', '000', `${home}/tree/modes/file-644`]);
  const refused = await copyAs('tree', 'to', '--as', 'again');
  assert.equal(refused.code, 30, refused.said);
  assert.match(refused.said, /1 file of the source cannot be read, the first is \S*modes\/file-644/);
  assert.ok(!existsSync(`${home}/to/again`));
});
