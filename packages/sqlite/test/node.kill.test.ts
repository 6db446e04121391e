// A process with a node, killed under load.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode, type SqliteNode } from '../src/index.ts';
import { audit, judge } from './bank.ts';
import { isSoak } from './property.ts';
import { askStock } from './stock.ts';

const rounds = isSoak ? 200 : 4;
const timeout = isSoak ? 3_600_000 : 120_000;
const program = fileURLToPath(new URL('./bank-process.ts', import.meta.url));

/** Runs the bank for a while, kills it, and returns what it acknowledged. */
async function runAndKill(directory: string, seed: number, firstId: number, liveMs: number): Promise<number[]> {
  const args = [
    '--conditions=batondb-source',
    '--disable-warning=ExperimentalWarning',
    program,
    directory,
    String(seed),
    String(firstId),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const acknowledged: number[] = [];
  const lines = createInterface({ input: child.stdout });
  const exited = once(child, 'exit');
  let timer: NodeJS.Timeout | undefined;
  for await (const line of lines) {
    if (line === 'ready') timer = setTimeout(() => child.kill('SIGKILL'), liveMs);
    else acknowledged.push(Number(line));
  }
  clearTimeout(timer);
  const [, signal] = (await exited) as [number | null, string | null];
  assert.equal(signal, 'SIGKILL', 'the process ended by itself');
  return acknowledged;
}

async function judgeNode(node: SqliteNode, acknowledged: readonly number[]): Promise<Set<number>> {
  const rows = async (sql: string): Promise<readonly (readonly unknown[])[]> => (await node.query(sql)).rows;
  return judge(await rows(audit.ledger), await rows(audit.accounts), await rows(audit.integrity), acknowledged);
}

// Proves: after kill -9 at any moment under load every acknowledged transaction is there and no other is half there, its receipt says so, and no
// file of the database's name stands there (N2, D1); after a clean stop stock sqlite3 finds the same.
test('kill -9 under load', { timeout }, async (t) => {
  const seed = seedOfRun();
  t.diagnostic(`BATON_SEED=${seed}`);
  const random = new Random(seed);
  await using sandbox = makeSandbox();
  const directory = sandbox.join('node');
  const acknowledged: number[] = [];
  let nextId = 1;
  for (let round = 0; round < rounds; round++) {
    acknowledged.push(...(await runAndKill(directory, random.word(), nextId, random.integer(0, 600))));
    assert.equal(existsSync(`${directory}/main.db`), false);
    const node = await openNode({ directory, readers: 1 });
    const ids = await judgeNode(node, acknowledged);
    for (const id of acknowledged.slice(-3)) assert.equal((await node.receipt(`transfer ${id}`)).state, 'committed');
    nextId = Math.max(0, ...ids) + 1;
    await node.close();
    const ask = (sql: string): unknown[][] => askStock(`${directory}/main.db`, sql);
    assert.deepEqual(judge(ask(audit.ledger), ask(audit.accounts), ask(audit.integrity), acknowledged), ids);
  }
  assert.ok(acknowledged.length > rounds, 'the bank did hardly anything');
});
