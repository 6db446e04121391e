import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { before, test } from 'node:test';
import { checkoutPath } from '@batondb/testbed/checkout';
import { type Bed, startHosts } from '@batondb/testbed/hosts';
import { killProcess, listProcesses, waitUntil } from '@batondb/testbed/process-table';
import { mustRun, runCommand } from '@batondb/testbed/processes';
import { registryDirectory } from '@batondb/testbed/registry';
import { mountsBelow, namespaceInode, sweep } from '@batondb/testbed/removal';
import { requireRoot } from '@batondb/testbed/requirements';

before(() => requireRoot('the test of the testbed'));

/** Everything of a bed that must be gone after it. */
function leftOf(bed: Pick<Bed, 'id' | 'path'>, inodes: readonly number[]): string[] {
  const left: string[] = [];
  if (existsSync(bed.path)) left.push(bed.path);
  if (existsSync(`/sys/class/net/${bed.id}`)) left.push(`link ${bed.id}`);
  left.push(...readdirSync('/run/netns').filter((name) => name.startsWith(bed.id)));
  left.push(
    ...listProcesses()
      .filter(({ namespaceInode: inode }) => inodes.includes(inode))
      .map(({ argv }) => argv.join(' ')),
  );
  left.push(...readdirSync(registryDirectory()).filter((name) => name.startsWith(bed.id)));
  if (readFileSync('/etc/passwd', 'utf8').includes(`\n${bed.id}u:`)) left.push(`user ${bed.id}u`);
  if (existsSync(`/etc/sudoers.d/${bed.id}u`)) left.push('sudoers file');
  return left.concat(mountsBelow(bed.path));
}

// Proves: four hosts answer by name and by both addresses in under 3 s, each with its own network, and leave nothing.
test('four hosts answer within three seconds and leave nothing', async () => {
  const begin = performance.now();
  let bed: Bed | undefined;
  const inodes: number[] = [];
  {
    await using started = await startHosts({ count: 4, linkMbit: 400 });
    bed = started;
    const durationMs = performance.now() - begin;
    assert.ok(durationMs < 3000, `up after ${durationMs} ms`);
    inodes.push(...started.hosts.map((host) => host.namespaceInode));
    assert.equal(new Set(inodes).size, 4);
    const answers = await Promise.all(
      ['a', 'b6', started.host('c').ipv4, started.host('d').ipv6].map((name) =>
        started.ssh(name, 'command -v baton; readlink /proc/self/ns/net'),
      ),
    );
    for (const [index, { stdout, stderr }] of answers.entries())
      assert.equal(stdout, `${checkoutPath}/baton\nnet:[${inodes[index]}]\n`, stderr);
    const inside = await started.host('a').exec(['ip', '-o', 'addr', 'show', 'eth0']);
    assert.match(inside.stdout, new RegExp(`inet ${started.host('a').ipv4}/24`));
    assert.equal(
      (await started.host('a').exec('pwd; command -v baton')).stdout,
      `${started.path}/a\n${checkoutPath}/baton\n`,
    );
  }
  assert.deepEqual(leftOf(bed, inodes), []);
});

// Proves: processes() lists what runs on its host, by any way it was started, and neither sshd nor other hosts' processes.
test('a host lists its own processes', async () => {
  await using bed = await startHosts();
  const [a, b] = [bed.host('a'), bed.host('b')];
  assert.deepEqual([...a.processes(), ...a.sshSessions()], []);
  const session = bed.ssh('a', 'exec sleep 97.25');
  const direct = a.exec(['sleep', '97.5']);
  await waitUntil('both run', () => a.processes().filter(({ argv }) => argv[0] === 'sleep').length === 2);
  assert.deepEqual(
    a
      .processes()
      .map(({ argv }) => argv.join(' '))
      .sort(),
    ['sleep 97.25', 'sleep 97.5'],
  );
  assert.ok(a.sshSessions().length > 0);
  assert.deepEqual(b.processes(), []);
  await assert.rejects(a.waitForNoProcess(100), /sleep 97\.5/);
  await a.killAll();
  await a.waitForNoProcess();
  assert.equal((await session).code, 255);
  assert.equal((await direct).signal, 'SIGKILL');
  assert.equal((await bed.ssh('a', 'echo again')).stdout, 'again\n');
});

// Proves: links have the speed asked for, and it can be changed while they are in use.
test('links are shaped', async () => {
  await using bed = await startHosts({ linkMbit: 80 });
  const copy = async (): Promise<number> => {
    const begin = performance.now();
    const result = await bed.ssh('b', 'cat > /dev/null', { input: Buffer.alloc(4_000_000, 1) });
    assert.equal(result.code, 0, result.stderr);
    return performance.now() - begin;
  };
  const slowMs = await copy();
  // 4 MB at 80 Mbit/s take 400 ms, less what the bucket holds.
  assert.ok(slowMs > 350, `4 MB went through in ${slowMs} ms`);
  await bed.host('b').setLinkMbit(16);
  const slowerMs = await copy();
  assert.ok(slowerMs > 1700, `4 MB went through in ${slowerMs} ms`);
  await bed.host('b').setLinkMbit(undefined);
  await copy();
  assert.doesNotMatch((await bed.host('b').exec('tc qdisc show dev eth0')).stdout, /tbf/);
});

// Proves: hosts can have an unknown key, a changed key, refuse the login, or lie behind a jump host that is really needed.
test('ssh can be unusual', async () => {
  await using bed = await startHosts({
    count: 5,
    unknownHostKeys: ['a'],
    changedHostKeys: ['b'],
    refuseLogin: ['c'],
    jump: { d: 'e' },
  });
  const [a, b, c, d, direct] = await Promise.all([
    ...['a', 'b', 'c', 'd'].map((name) => bed.ssh(name, 'echo $SSH_CONNECTION')),
    runCommand([
      'ssh',
      '-F',
      bed.sshConfig,
      '-o',
      'BatchMode=yes',
      '-o',
      'ProxyJump=none',
      '-o',
      'ConnectTimeout=1',
      'd',
      'true',
    ]),
  ]);
  assert.match(a?.stderr ?? '', /Host key verification failed/);
  assert.match(b?.stderr ?? '', /REMOTE HOST IDENTIFICATION HAS CHANGED/);
  assert.match(c?.stderr ?? '', /Permission denied/);
  assert.match(d?.stdout ?? '', new RegExp(`^${bed.host('e').ipv4} `), d?.stderr);
  assert.match(direct?.stderr ?? '', /timed out/i);
});

// Proves: the added user logs in, becomes root by sudo only when asked for, finds baton there, and is removed with the bed.
test('a user without privileges', async () => {
  let gone: Bed | undefined;
  {
    await using bed = await startHosts({ count: 1, user: 'sudo' });
    gone = bed;
    const { stdout, stderr } = await bed.ssh(
      `${bed.user}@a`,
      'id -un; sudo -n id -un; sudo -n sh -c "command -v baton"',
    );
    assert.equal(stdout, `${bed.user}\nroot\n${checkoutPath}/baton\n`, stderr);
    await using plain = await startHosts({ count: 1, user: 'plain' });
    const refused = await plain.ssh(`${plain.user}@a`, 'id -un; sudo -n id');
    assert.equal(refused.stdout, `${plain.user}\n`);
    assert.match(refused.stderr, /password is required/);
  }
  assert.deepEqual(leftOf(gone, []), []);
});

const abandon = `
import { startHosts } from '@batondb/testbed/hosts';
import { smallFileSystem } from '@batondb/testbed/mounts';
const bed = await startHosts({ count: 2, user: 'sudo' });
await smallFileSystem(bed.host('a'), bed.host('a').join('small'));
void bed.host('b').exec(['sleep', '600']);
console.log(JSON.stringify({ id: bed.id, path: bed.path, inodes: bed.hosts.map((host) => host.namespaceInode), files: bed.record.record.files }));
setInterval(() => {}, 1000);
`;

// Proves: what a test that was killed -9 left (namespaces, links, mounts, processes, user, files) is swept, and only that.
test('a killed test is swept', async () => {
  await using living = await startHosts({ count: 1 });
  const child = spawn(process.execPath, ['--conditions=batondb-source', '--input-type=module', '-e', abandon], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // The output ends with the child too, so that a child that fails fails the test at once.
  let line = '';
  for await (line of createInterface({ input: child.stdout })) break;
  assert.notEqual(line, '', 'the child ended before it had a bed');
  const bed = JSON.parse(line) as { id: string; path: string; inodes: number[]; files: string[] };
  await waitUntil('its process runs', () => listProcesses(bed.inodes[1]).some(({ argv }) => argv.includes('600')));
  assert.equal(mountsBelow(bed.path).length, 1);
  assert.deepEqual(bed.files.map(existsSync), [true, true], 'the sudoers file and the image of the file system');
  assert.ok(leftOf(bed, bed.inodes).length > 8, leftOf(bed, bed.inodes).join('\n'));
  await killProcess(child.pid ?? 0);
  // The bed of a test that runs beside this one may have begun to sweep it already.
  await sweep();
  await waitUntil('nothing is left', () => leftOf(bed, bed.inodes).length === 0);
  assert.deepEqual(bed.files.map(existsSync), [false, false]);
  assert.equal((await living.ssh('a', 'echo lives')).stdout, 'lives\n');
  assert.notEqual(namespaceInode(living.host('a').namespace), undefined);
});

// Proves: without root a bed is refused with the reason and the next step, rather than skipped or broken halfway.
test('without root a bed says what it needs', async () => {
  const script = `import('@batondb/testbed/hosts').then(({ startHosts }) => startHosts()).catch((error) => console.log(error.code, error.message, error.hint))`;
  const argv = [
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    process.execPath,
    '--conditions=batondb-source',
    '-e',
    script,
  ];
  const { stdout } = await mustRun(argv, { cwd: import.meta.dirname });
  assert.match(
    stdout,
    /^NO_PERMISSION a bed of hosts .* needs root, and this process runs as uid 65534 run the tests as root/,
  );
});
