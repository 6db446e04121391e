// Proves: systemd finds nothing wrong with the unit, whose command the command line takes; and a sync tells its manager that it runs, though its source is not
// there yet, and that it stops.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { freePort } from '@batondb/testbed/ports';
import { runCommand } from '@batondb/testbed/processes';
import { startBaton } from '@batondb/testbed/run-baton';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { Manager } from './service-manager.ts';

const timeout = 60_000;
const baton = resolve(import.meta.dirname, '../baton');
const unitPath = resolve(import.meta.dirname, '../systemd/baton-sync@.service');

test('the unit', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const text = readFileSync(unitPath, 'utf8');
  const [, words] = /^ExecStart=\/usr\/local\/bin\/baton (.+)$/m.exec(text) ?? [];
  assert.equal(words, 'sync --config %d/config.yaml');
  const path = sandbox.join('baton-sync@app.service');
  writeFileSync(path, text.replace('\nExecStart=/usr/local/bin/baton', `\nExecStart=${baton}`));
  const { code, stdout, stderr } = await runCommand(['systemd-analyze', 'verify', '--man=no', path]);
  assert.deepEqual([code, stdout, stderr], [0, '', '']);
});

test('what the manager is told', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const path = sandbox.join('notify');
  await using manager = new Manager(path);
  await manager.hears(/bound\n/);
  const config = sandbox.join('config.yaml');
  const source = `postgres://nobody@127.0.0.1:${await freePort()}/app`;
  writeFileSync(config, `from: ${source}\nto: sqlite:${sandbox.join('replica.db')}\nlisten: none\n`, { mode: 0o600 });
  await using run = startBaton(['sync', '--config', config], { json: false, env: { NOTIFY_SOCKET: path } });
  await manager.hears(/^READY=1\n/);
  await manager.hears(/STATUS=connecting: .*\n/);
  await manager.hears(/STATUS=retrying: .*\n/);
  run.kill('SIGTERM');
  await manager.hears(/STOPPING=1\n/);
  const { code, stderr } = await run.finished;
  assert.equal(code, 0, stderr);
});
