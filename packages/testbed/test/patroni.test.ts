// Proves: a Patroni cluster fails over, its permanent slot survives, and its histories can be made to diverge and to heal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHaproxy } from '../src/haproxy.ts';
import { startPatroni } from '../src/patroni.ts';
import { makeSandbox } from '../src/sandbox.ts';

test('a leader dies, another comes, and a split leader loses what only it had', { timeout: 180_000 }, async () => {
  await using sandbox = makeSandbox();
  await using cluster = await startPatroni(sandbox);
  await using proxy = await startHaproxy(sandbox, cluster.nodes);
  const { database } = cluster;
  await proxy.psql('CREATE TABLE numbers (number int)', { database });
  await cluster.untilHealthy();
  await cluster.untilSlotReady();

  const split = await cluster.splitLeader({ expireLock: true });
  const next = await cluster.untilFailover(split.node);
  assert.equal(await split.node.psql('INSERT INTO numbers VALUES (1); SELECT pg_is_in_recovery()', { database }), 'f');
  await next.psql('INSERT INTO numbers VALUES (2)', { database });
  assert.equal(await next.psql("SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical'"), 'cdc_sync');
  await split.heal();
  assert.equal(await split.node.psql('SELECT * FROM numbers', { database }), '2');
  assert.equal(await proxy.psql('SELECT * FROM numbers; SHOW port', { database }), `2\n${next.port}`);

  const dead = await cluster.killLeader();
  assert.equal(dead, next);
  assert.equal(dead.postgresPid, 0);
  assert.notEqual(await cluster.untilFailover(dead), dead);
  assert.equal(await cluster.psql('SELECT * FROM numbers'), '2');
});
