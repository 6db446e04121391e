// kill -9 of a leader and of followers under load.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@batondb/testbed/ports';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import type { SqliteNode } from '../src/index.ts';
import { audit, judge, openBank, transfer } from './bank.ts';
import { isSoak } from './property.ts';
import { startDoomed } from './support/doomed.ts';
import { caughtUp, serveNode, until } from './support/replicas.ts';

const rounds = isSoak ? 60 : 3;
const timeout = isSoak ? 3_600_000 : 180_000;

async function judgeBank(node: SqliteNode, acknowledged: readonly number[]): Promise<void> {
  const rows = async (sql: string): Promise<readonly (readonly unknown[])[]> => (await node.query(sql)).rows;
  judge(await rows(audit.ledger), await rows(audit.accounts), await rows(audit.integrity), acknowledged);
}

// Proves: a follower that is killed at any moment goes on from its last checkpoint, or by a new snapshot; afterwards its files have the leader's
// bytes (R1, R5).
test('a follower is killed', { timeout }, async (t) => {
  t.diagnostic(`BATON_SEED=${seedOfRun()}`);
  const random = new Random(seedOfRun());
  await using sandbox = makeSandbox();
  const directories = [sandbox.join('leader'), sandbox.join('follower')];
  {
    await using leader = await serveNode({ directory: directories[0]!, retainBytes: 2_097_152 });
    await leader.node.batch(openBank);
    let isDone = false;
    const working = (async () => {
      for (let id = 1; !isDone; id++) await leader.node.batch(transfer(id, random));
    })();
    for (let round = 0; round < rounds; round++) {
      const doomed = await startDoomed('replica-process.ts', [directories[1]!, leader.url]);
      await delay(random.integer(0, 800));
      await doomed.kill();
    }
    isDone = true;
    await working;
    await using follower = await serveNode({ directory: directories[1]!, follow: { url: leader.url } });
    await caughtUp(follower.node, leader.node);
    await judgeBank(follower.node, []);
    assert.deepEqual((await follower.node.status()).databases, (await leader.node.status()).databases);
  }
  const [ours, theirs] = directories.map((directory) => readFileSync(`${directory}/main.db`));
  assert.ok(ours!.equals(theirs!), 'the files differ');
});

// Proves: a follower that was killed and is promoted has at least what it said to its leader that it has (R7).
test('a killed follower is promoted', { timeout }, async (t) => {
  t.diagnostic(`BATON_SEED=${seedOfRun()}`);
  const random = new Random(seedOfRun());
  await using sandbox = makeSandbox();
  const directory = sandbox.join('follower');
  await using leader = await serveNode({ directory: sandbox.join('leader') });
  await leader.node.batch(openBank);
  const doomed = await startDoomed('replica-process.ts', [directory, leader.url]);
  for (let id = 1; id <= 200; id++) await leader.node.batch(transfer(id, random));
  let told = 0;
  await until('the follower says it has everything', async () => {
    told = (await leader.node.status()).followers[0]?.position.index ?? 0;
    return told === leader.node.position.index;
  });
  await doomed.kill();
  await using promoted = await serveNode({ directory, promote: true });
  assert.ok(promoted.node.position.index > told);
  await judgeBank(
    promoted.node,
    Array.from({ length: 200 }, (_, index) => index + 1),
  );
});

// Proves: what a leader has acknowledged before it was killed is at its follower once that has caught up, and nothing that the leader lost (R1).
test('a leader is killed', { timeout }, async (t) => {
  t.diagnostic(`BATON_SEED=${seedOfRun()}`);
  const random = new Random(seedOfRun());
  await using sandbox = makeSandbox();
  const listen = `127.0.0.1:${await freePort()}`;
  const directory = sandbox.join('leader');
  const acknowledged: number[] = [];
  const start = (first: number) =>
    startDoomed('replica-leader-process.ts', [directory, listen, String(random.word()), String(first)]);
  let leader = await start(1);
  await using follower = await serveNode({ directory: sandbox.join('follower'), follow: { url: `http://${listen}` } });
  for (let round = 0; round < rounds; round++) {
    await delay(random.integer(100, 700));
    await leader.kill();
    acknowledged.push(...leader.lines.map(Number));
    leader = await start((round + 1) * 1_000_000);
  }
  await leader.kill();
  acknowledged.push(...leader.lines.map(Number));
  await using last = await serveNode({ directory }, { listen });
  await caughtUp(follower.node, last.node);
  await until('the follower is connected', () => follower.node.position.epoch === last.node.position.epoch);
  await judgeBank(follower.node, acknowledged);
  assert.deepEqual((await follower.node.status()).databases, (await last.node.status()).databases);
});
