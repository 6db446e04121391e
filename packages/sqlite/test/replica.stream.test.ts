// A follower of a leader: both are nodes of this process with their threads, servers and files.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openBank, transfer } from './bank.ts';
import { caughtUp, serveNode } from './support/replicas.ts';

const timeout = 120_000;

// Proves: what the leader's log has accepted can be read at its followers, whose states have the leader's checksums (R1).
test('a follower has what the leader has', { timeout }, async (t) => {
  t.diagnostic(`BATON_SEED=${seedOfRun()}`);
  const random = new Random(seedOfRun());
  await using sandbox = makeSandbox();
  await using leader = await serveNode({ directory: sandbox.join('leader') });
  await using follower = await serveNode({ directory: sandbox.join('follower'), follow: { url: leader.url } });
  await leader.node.batch(openBank);
  for (let id = 1; id <= 300; id++) await leader.node.batch(transfer(id, random));
  await caughtUp(follower.node, leader.node);
  const [ours, theirs] = [await leader.node.status(), await follower.node.status()];
  assert.deepEqual(theirs.databases, ours.databases);
  assert.equal(theirs.role, 'follower');
  const { rows } = await follower.node.query('SELECT count(*) FROM ledger');
  assert.deepEqual(rows, [[300]]);
});
