// Proves: the Debian package puts on a node what install does, runs there as the server's user, and is taken away without a rest.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkoutPath } from '@batondb/testbed/checkout';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { asServer, startMachine } from './galera.machine.ts';

const timeout = 120_000;
const script = join(checkoutPath, 'scripts/galera-deb.ts');
const ownSystem = `
mkdir "$1"
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/dpkg" "$1/log"
cp -a /var/lib/dpkg/. "$1/dpkg"
mount --bind "$1/dpkg" /var/lib/dpkg
mount --bind "$1/log" /var/log
mount -t overlay -o lowerdir=/usr,upperdir="$1/upper",workdir="$1/work" none /usr`;

test('a Debian package puts the same on a node, and takes it away', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using machine = await startMachine(sandbox);
  const built = await machine.run([process.execPath, '--conditions=batondb-source', script, '--out', sandbox.path]);
  assert.equal(built.code, 0, built.stderr);
  const file = built.stdout.trim();
  // An own /usr, and dpkg's own list of what is there.
  await machine.ask(['sh', '-ec', ownSystem, 'sh', sandbox.join('layers')]);

  const installed = await machine.run(['dpkg', '--install', file]);
  assert.equal(installed.code, 0, installed.stderr);
  assert.match(installed.stdout, /baton\.key: fingerprint [0-9a-f-]{19}, made now/);
  const called = await machine.run(asServer('wsrep_sst_baton'));
  assert.deepEqual([called.code, called.stdout], [22, '']);
  const again = await machine.run(['dpkg', '--install', file]);
  assert.match(again.stdout, /baton\.key: fingerprint [0-9a-f-]{19}\n/);

  await machine.ask(['dpkg', '--remove', 'baton-galera']);
  assert.equal(
    await machine.ask(['sh', '-c', 'ls -d /usr/lib/baton /usr/bin/wsrep_sst_baton* 2>/dev/null || true']),
    '',
  );
  assert.match(await machine.ask(['stat', '-c', '%a %U %G', '/etc/mysql/baton.key']), /^640 root mysql$/m);
  await machine.ask(['dpkg', '--purge', 'baton-galera']);
  assert.equal((await machine.run(['test', '-e', '/etc/mysql/baton.key'])).code, 1);
});
