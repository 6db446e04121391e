import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Host } from '@batondb/testbed/host';
import { startHosts } from '@batondb/testbed/hosts';
import { startMariadb, startReplication, waitUntilCaughtUp } from '@batondb/testbed/mariadb';
import { mustRun } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { assertAllDone, assertExit, assertNothingRuns, eventsOf, makeTargets, runCopy } from './copy-on-bed.ts';

// Proves: an agent that was carried does what takes more than itself: its watchdog, a process of its own, stops replication and starts it
// again, the backup is taken and unpacked by the host's tools, and a thread of its own unpacks an archive; all on hosts without Node.
test('carried agents back up, stop replication and unpack', async () => {
  requireRoot('the test of carried agents');
  await using sandbox = makeSandbox();
  chmodSync(sandbox.path, 0o700);
  await using bed = await startHosts({ count: 2, bare: ['a', 'b'] });
  for (const tool of ['mariadb', 'mariadb-backup', 'mbstream'])
    symlinkSync(`/usr/bin/${tool}`, `${bed.path}/.bed/ssh/bare/${tool}`);
  await using source = await startMariadb(sandbox, { name: 'source' });
  await using replica = await startMariadb(sandbox, { name: 'replica' });
  await startReplication(replica, { source });
  await waitUntilCaughtUp(replica, source);
  const [, b] = bed.hosts as [Host, Host];
  const targets = await makeTargets([b]);
  const options = { env: { XDG_CACHE_HOME: sandbox.path } };
  const args = ['--type', 'mariadb', '--stop-replica', `a:${replica.socketPath}`, ...targets];
  const backup = await runCopy(bed, args, options);
  assertAllDone(backup, targets);
  assert.equal(eventsOf(backup.events, 'carried').length, 2);
  assert.ok(existsSync(b.join('in/ibdata1')));
  assert.deepEqual(
    eventsOf(backup.events, 'replication').map(({ state }) => state),
    ['stopped', 'started'],
  );
  const [status = []] = await replica.sql('SHOW ALL SLAVES STATUS');
  assert.equal(status.filter((field) => field === 'Yes').length, 2);
  mkdirSync(sandbox.join('tree'));
  writeFileSync(sandbox.join('tree/file'), 'content');
  await mustRun(['tar', '-C', sandbox.path, '-czf', sandbox.join('tree.tar.gz'), 'tree']);
  mkdirSync(b.join('unpacked'));
  const archive = ['--type', 'decompress', sandbox.join('tree.tar.gz'), `b:${b.join('unpacked')}`];
  assertExit(await runCopy(bed, archive, options), 0);
  assert.ok(existsSync(b.join('unpacked/file')));
  await assertNothingRuns(bed);
});
