// Proves: clusters start and transfer their state by a stock method under a write load, nodes come back, comparers see what differs, and nothing is left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareNodes, startGalera, startGaleraLoad } from '../src/galera.ts';
import { processStart } from '../src/process-table.ts';
import { makeSandbox } from '../src/sandbox.ts';
import { assertSweptAfterKill } from './killed-run.ts';

const timeout = 180_000;

test('a second node gets the state, comes back after a restart, and is equal', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using cluster = await startGalera(sandbox, { nodes: 2, running: 1, method: 'rsync' });
  const [first, second] = [cluster.node(1), cluster.node(2)];
  await using load = await startGaleraLoad(first);
  await second.start();
  await second.untilSynced();
  assert.equal(await first.status('wsrep_cluster_size'), '2');
  await second.restart();
  await load.stop();
  assert.ok(load.accepted > 20);
  await cluster.untilEqual();
  assert.deepEqual(await compareNodes(first, second), []);

  await first.sql('SET SESSION wsrep_on = 0; UPDATE load_test.accepted SET times = 99 WHERE id = 7');
  const [difference, ...more] = await compareNodes(first, second);
  assert.deepEqual(more, []);
  assert.match(difference ?? '', /^load_test\.accepted: n1 has .*\(7,99,.*, and n2 has|^load_test\.accepted: n1 has/);

  const { pid } = second;
  await second.kill();
  assert.equal(processStart(pid), undefined);
  assert.deepEqual(second.childProcesses(), []);
});

test('a killed test leaves nothing behind after a sweep', { timeout }, async () => {
  await assertSweptAfterKill('galera', "startGalera(sandbox, { nodes: 1, method: 'rsync' })");
});
