// Proves: what install puts on a node runs as the server's user in its service's sandbox, leaves standard output to the server, replaces nothing of
// others, is replaced only by what runs, and is taken away without a rest.
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import { waitUntil } from '@batondb/testbed/process-table';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { asServer, type Machine, startMachine } from './galera.machine.ts';

const timeout = 120_000;

type Installed = {
  readonly written: unknown;
  readonly keptRuntimes: unknown;
  readonly key: { readonly isNew: boolean; readonly fingerprint: string };
};

async function listing(machine: Machine): Promise<string[]> {
  const text = await machine.ask(['find', '/usr/local', '/etc/systemd/system', '/etc/mysql', '-not', '-type', 'd']);
  return text.split('\n').sort();
}

test('installed twice, used as a server uses it, and uninstalled', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using machine = await startMachine(sandbox);
  const before = await listing(machine);

  const first = await machine.baton('install');
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /wsrep_sst_baton runs as user mysql/);
  assert.match(first.stdout, /key \/etc\/mysql\/baton\.key, fingerprint [0-9a-f-]{19}, made now/);
  const modes = await machine.ask(['stat', '-c', '%a %U %G', '/etc/mysql/baton.key', '/usr/local/bin/wsrep_sst_baton']);
  assert.equal(modes, '640 root mysql\n755 root root\n');
  assert.equal(
    await machine.ask([
      'find',
      '/usr/local/lib/baton',
      '-not',
      '-user',
      'root',
      '-o',
      '-perm',
      '/022',
      '-not',
      '-type',
      'l',
    ]),
    '',
  );

  const called = await machine.run(asServer('wsrep_sst_baton'));
  assert.deepEqual([called.code, called.stdout], [22, '']);
  assert.match(called.stderr, /--role/);

  const key = await machine.ask(['cat', '/etc/mysql/baton.key']);
  const second = await machine.baton('install', '--json');
  assert.equal(second.code, 0, second.stderr);
  const { written, keptRuntimes, key: found } = JSON.parse(second.stdout) as Installed;
  assert.deepEqual([written, keptRuntimes, found.isNew], [[], [], false]);
  assert.equal(await machine.ask(['cat', '/etc/mysql/baton.key']), key);

  const shown = await machine.ask(['/usr/local/bin/baton', 'galera', 'key']);
  assert.equal(shown, `/etc/mysql/baton.key: fingerprint ${found.fingerprint}\n`);
  assert.equal(shown.includes(key.trim()), false);

  const gone = await machine.run(['/usr/local/bin/baton', 'galera', 'uninstall']);
  assert.equal(gone.code, 0, gone.stderr);
  assert.deepEqual(await listing(machine), [...before, '/etc/mysql/baton.key'].sort());
});

test('what somebody else has put there stops it before anything is written', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using machine = await startMachine(sandbox);
  await machine.ask(['sh', '-c', 'echo theirs > /usr/local/bin/wsrep_sst_baton']);
  const before = await listing(machine);
  const refused = await machine.baton('install');
  assert.equal(refused.code, 40);
  assert.match(refused.stderr, /\/usr\/local\/bin\/wsrep_sst_baton is there and is not what baton has installed/);
  assert.deepEqual(await listing(machine), before);
});

test('a runtime that does not run is never used, and the one before it stays', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using machine = await startMachine(sandbox);
  await machine.ask(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'none', '/usr/local/lib']);
  assert.equal((await machine.baton('install')).code, 0);
  const current = await machine.ask(['readlink', '/usr/local/lib/baton/current']);

  await machine.ask(['mount', '-o', 'remount,noexec', '/usr/local/lib']);
  const failed = await machine.baton('install');
  assert.equal(failed.code, 40);
  assert.match(failed.stderr, /self-test as user mysql, where its service may look ended with 126/);

  await machine.ask(['mount', '-o', 'remount,exec', '/usr/local/lib']);
  assert.equal(await machine.ask(['readlink', '/usr/local/lib/baton/current']), current);
  assert.match(await machine.ask(['/usr/local/bin/baton', '--version']), /^baton \d/);
});

test('what an administrator has changed is left where it is', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using machine = await startMachine(sandbox);
  assert.equal((await machine.baton('install')).code, 0);
  const unit = '/etc/systemd/system/mariadb.service.d/50-baton.conf';
  await machine.ask(['sh', '-c', `echo '# ours' >> ${unit}`]);
  const again = await machine.baton('install');
  assert.equal(again.code, 40);
  assert.ok(again.stderr.includes(unit), again.stderr);
  const gone = await machine.baton('uninstall', '--with-key', '--json');
  assert.equal(gone.code, 0, gone.stderr);
  assert.deepEqual((JSON.parse(gone.stdout) as { left: unknown }).left, [unit]);
  assert.match(await machine.ask(['cat', unit]), /# ours/);
  assert.equal(await machine.ask(['sh', '-c', 'ls /etc/mysql/baton.key /usr/local/lib/baton 2>/dev/null || true']), '');
});

test('what runs in a container is not what is installed here, whatever its name', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using container = makeSandbox();
  await using here = await startMachine(sandbox);
  await using there = await startMachine(container);
  for (const machine of [here, there]) assert.equal((await machine.baton('install')).code, 0);
  const mark = sandbox.join('runs');
  const script = `const { existsSync, writeFileSync } = require('node:fs');
    writeFileSync(process.argv[1], '');
    setInterval(() => existsSync(process.argv[1]) || process.exit(), 50);`;
  const running = there.run(['/usr/local/lib/baton/current/bin/node', '-e', script, mark]);
  await waitUntil('it runs', () => existsSync(mark));
  const refused = await there.baton('uninstall');
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /is running/);
  const gone = await here.baton('uninstall');
  assert.equal(gone.code, 0, gone.stderr);
  rmSync(mark);
  await running;
});

test('before a server starts, a node in order does not need the runtime', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using machine = await startMachine(sandbox);
  assert.equal((await machine.baton('install')).code, 0);
  const unit = await machine.ask(['cat', '/etc/systemd/system/mariadb.service.d/50-baton.conf']);
  const [, program = ''] = /^ExecStartPre=(\S+)/m.exec(unit) ?? [];
  await machine.ask(['rm', '/usr/local/lib/baton/current']);
  const data = sandbox.join('data');
  await machine.ask(['mkdir', '-p', `${data}/.sst`]);
  assert.equal((await machine.run([program, `--datadir=${sandbox.join('other')}`])).code, 0);
  assert.notEqual((await machine.run([program, `--datadir=${data}`])).code, 0);
});
