// Proves: systemd finds nothing wrong with the unit, whose command the command line takes; and a server tells its manager when it is ready, reloads, and stops.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '@batondb/testbed/processes';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { Manager } from './service-manager.ts';
import { baton, ServerProcess } from './sqlite-bed.ts';

const timeout = 60_000;
const unitPath = resolve(import.meta.dirname, '../systemd/baton-sqlite.service');

test('the unit', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const text = readFileSync(unitPath, 'utf8');
  const [, words] = /^ExecStart=\/usr\/local\/bin\/baton (.+)$/m.exec(text) ?? [];
  assert.equal(words, 'sqlite serve %S/baton/sqlite');
  const path = sandbox.join('baton-sqlite.service');
  writeFileSync(path, text.replace('/usr/local/bin/baton', baton));
  const { code, stdout, stderr } = await runCommand(['systemd-analyze', 'verify', '--man=no', path]);
  assert.deepEqual([code, stdout, stderr], [0, '', '']);
});

test('what the manager is told', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const path = sandbox.join('notify');
  await using manager = new Manager(path);
  await manager.hears(/bound\n/);
  await using server = ServerProcess.begin([sandbox.join('db')], { environment: { NOTIFY_SOCKET: path } });
  await manager.hears(/^READY=1\nSTATUS=serving\n/);
  server.child.kill('SIGHUP');
  await manager.hears(/^RELOADING=1\nMONOTONIC_USEC=\d+\nREADY=1\n/);
  server.child.kill('SIGTERM');
  await manager.hears(/^STOPPING=1\n/);
  assert.equal((await server.ended).code, 0);
});

// Proves: a server that nobody listens to serves all the same.
test('a manager that is gone', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const environment = { NOTIFY_SOCKET: sandbox.join('nobody') };
  await using server = ServerProcess.begin([sandbox.join('db')], { environment });
  await server.until((stderr) => stderr.includes('the service manager was not told READY=1'));
  assert.equal((await server.stop()).code, 0);
});
