// Proves: a Patroni cluster fails over, its permanent slot survives, and its histories can be made to diverge and to heal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHaproxy } from '../src/haproxy.ts';
import { startPatroni } from '../src/patroni.ts';
import { makeSandbox } from '../src/sandbox.ts';

const isSoak = process.env['BATON_SOAK'] === '1';

test('a leader dies, another comes, and a split leader loses what only it had', { timeout: 300_000 }, async () => {
  await using sandbox = makeSandbox();
  await using cluster = await startPatroni(sandbox);
  await using proxy = await startHaproxy(sandbox, cluster.nodes);
  const { database } = cluster;
  await proxy.psql('CREATE TABLE numbers (number int); INSERT INTO numbers VALUES (1)', { database });
  await cluster.untilHealthy();
  await cluster.untilSlotReady();

  const dead = await cluster.killLeader();
  assert.equal(dead.postgresPid, 0);
  assert.notEqual(await cluster.untilFailover(dead), dead);
  assert.equal(await cluster.psql('SELECT * FROM numbers'), '1');
  // What follows takes half a minute.
  if (!isSoak) return;

  await cluster.restartNode(dead);
  await cluster.untilSlotReady();
  const old = await cluster.leader();
  assert.notEqual(await cluster.switchover(), old);
  await cluster.untilHealthy();

  const split = await cluster.splitLeader({ expireLock: true });
  const next = await cluster.untilFailover(split.node);
  assert.equal(await split.node.psql('INSERT INTO numbers VALUES (2); SELECT pg_is_in_recovery()', { database }), 'f');
  await next.psql('INSERT INTO numbers VALUES (3)', { database });
  assert.equal(await next.psql("SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical'"), 'cdc_sync');
  await split.heal();
  assert.equal(await split.node.psql('SELECT * FROM numbers', { database }), '1\n3');
  assert.equal(await proxy.psql('SELECT * FROM numbers; SHOW port', { database }), `1\n3\n${next.port}`);
});
