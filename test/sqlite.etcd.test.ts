// Proves: of two servers with one log in etcd one serves and the other one says that it waits; when the first is killed, the second serves everything that was
// acknowledged; and no directory of that log is ever opened as one with a log of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEtcd } from '@batondb/testbed/etcd';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { run, ServerProcess, succeed } from './sqlite-bed.ts';

const timeout = 120_000;

test('a standby takes over', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using etcd = await startEtcd(sandbox);
  const log = `etcd://${etcd.endpoints.join(',')}/baton/orders`;
  const words = (name: string): string[] => [sandbox.join(name), '--log', log, '--etcd-lease', '3s'];
  await using first = await ServerProcess.start(words('one'));
  await using second = await ServerProcess.start(words('two'));
  const rows = ['CREATE TABLE orders (a);', ...[1, 2, 3].map((a) => `INSERT INTO orders VALUES (${a});`)];
  await succeed(['shell', first.url], { input: rows.join('\n') });

  const waiting = await run(['shell', second.url], { input: 'SELECT count(*) FROM orders;' });
  assert.deepEqual([waiting.code === 0, /does not lead/.test(waiting.stderr)], [false, true], waiting.stderr);
  const ready = await fetch(new URL('/ready', second.url.replace('ws', 'http')));
  assert.deepEqual([ready.status, await ready.text()], [503, 'not ready: this node does not lead its log\n']);

  await first.kill();
  const isReady = async (): Promise<boolean> => (await fetch(new URL('/ready', second.url.replace('ws', 'http')))).ok;
  while (!(await isReady()));
  assert.equal(await succeed(['shell', second.url], { input: 'SELECT group_concat(a) FROM orders;' }), '1,2,3\n');

  const alone = await run(['shell', sandbox.join('one')], { input: 'SELECT 1' });
  assert.equal(alone.code, 50, alone.stderr);
  assert.ok(alone.stderr.includes(`hint: serve it with --log ${log}; or with --promote`), alone.stderr);
  assert.equal((await second.stop()).code, 0);
  const stopped = await run(['serve', sandbox.join('two'), '--listen', '127.0.0.1:0']);
  assert.ok(stopped.code !== 0 && stopped.stderr.includes(`belongs to the log at ${log}`), stopped.stderr);
});
