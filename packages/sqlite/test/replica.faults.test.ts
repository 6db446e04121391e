// What goes wrong between a leader and its follower: connections that break and stall, histories that went apart, circles.
import assert from 'node:assert/strict';
import { cpSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type GateMode, startGate } from '@batondb/testbed/gate';
import { freePort } from '@batondb/testbed/ports';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { formatPosition } from '../src/index.ts';
import { openBank, transfer } from './bank.ts';
import { isSoak } from './property.ts';
import { caughtUp, serveNode, until } from './support/replicas.ts';

const timeout = isSoak ? 1_200_000 : 180_000;
const breaks = isSoak ? 200 : 8;

// Proves: whatever a network does, a follower goes on from where it is, and ends with the leader's state (R1, R4).
test('connections that break and stall', { timeout }, async (t) => {
  t.diagnostic(`BATON_SEED=${seedOfRun()}`);
  const random = new Random(seedOfRun());
  await using sandbox = makeSandbox();
  await using leader = await serveNode({ directory: sandbox.join('leader') });
  await leader.node.batch(openBank);
  await using gate = await startGate(new URL(leader.url).host);
  const url = `http://${gate.endpoint}`;
  await using follower = await serveNode({ directory: sandbox.join('follower'), follow: { url } });
  let isDone = false;
  const working = (async () => {
    for (let id = 1; !isDone; id++) await leader.node.batch(transfer(id, random));
  })();
  for (let count = 0; count < breaks; count++) {
    gate.set(random.pick<GateMode>(['no-answers', 'no-requests', 'shut']));
    await delay(random.integer(0, 60));
    gate.set('open');
    await delay(random.integer(0, 250));
  }
  isDone = true;
  await working;
  await caughtUp(follower.node, leader.node);
  assert.deepEqual((await follower.node.status()).databases, (await leader.node.status()).databases);
});

// Proves: a follower of a leader that was put back to an older state notices, never mixes the two, takes the leader's state, and keeps what it
// had (R2, R4); also when both are at the same position, and when what follows touches other databases.
test('a leader that was put back', { timeout }, async (t) => {
  t.diagnostic(`BATON_SEED=${seedOfRun()}`);
  await using sandbox = makeSandbox();
  const [first, older, copy] = [sandbox.join('leader'), sandbox.join('older'), sandbox.join('follower')];
  {
    await using leader = await serveNode({ directory: first });
    await leader.node.createDatabase('other');
    for (const database of ['main', 'other']) await leader.node.execute('CREATE TABLE t (x)', [], { database });
  }
  cpSync(first, older, { recursive: true });
  for (const extra of [0, 1]) {
    const directory = `${copy}-${extra}`;
    {
      await using leader = await serveNode({ directory: first });
      await using follower = await serveNode({ directory, follow: { url: leader.url } });
      await leader.node.execute("INSERT INTO t VALUES ('old')");
      await caughtUp(follower.node, leader.node);
    }
    await using restored = await serveNode({ directory: older });
    // The very same position; or one more, which says nothing of what is different.
    await restored.node.execute("INSERT INTO t VALUES ('new')");
    if (extra > 0) await restored.node.execute("INSERT INTO t VALUES ('new')", [], { database: 'other' });
    t.diagnostic(`the leader is at ${formatPosition(restored.node.position)} now`);
    await using follower = await serveNode({ directory, follow: { url: restored.url } });
    await until('the states are the same', async () => {
      const [ours, theirs] = [await restored.node.status(), await follower.node.status()];
      return JSON.stringify(theirs.databases) === JSON.stringify(ours.databases);
    });
    assert.equal(readdirSync(`${directory}/.baton`).filter((name) => name.startsWith('old-')).length, 1);
  }
});

// Proves: a follower can be followed; who follows itself, or one that follows it, is refused, and a follower without its leader begins no circle (R6).
test('chains and circles', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using leader = await serveNode({ directory: sandbox.join('leader') });
  await using second = await serveNode({ directory: sandbox.join('second'), follow: { url: leader.url } });
  await using third = await serveNode({ directory: sandbox.join('third'), follow: { url: second.url } });
  await leader.node.execute('CREATE TABLE t (x)');
  await caughtUp(third.node, leader.node);
  const clients = third.node.clients();
  const never = new AbortController().signal;
  const session = await clients.open({ database: 'main', isReadOnly: false, resultBytesMax: 1000 }, never);
  await session.sequence('INSERT INTO t VALUES (1)', {}, never);
  await caughtUp(third.node, leader.node);
  assert.deepEqual((await third.node.query('SELECT x FROM t')).rows, [[1]]);
  await session.close();
  const status = await second.node.clients().status(never);
  assert.equal((status['followers'] as readonly unknown[]).length, 1);

  const port = await freePort();
  const there = { url: `http://127.0.0.1:${port}` };
  await using one = await serveNode({ directory: sandbox.join('one'), follow: there });
  const other = { directory: sandbox.join('other'), follow: { url: one.url } };
  await using behind = await serveNode(other, { listen: `127.0.0.1:${port}` });
  for (const { node } of [one, behind]) {
    await until('the circle is noticed', async () => {
      const { leader: told } = (await node.clients().status(never)) as { leader: { failure?: string } };
      return /follows itself/.test(told.failure ?? '');
    });
  }
});
