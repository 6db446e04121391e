// Snapshots on their way to a node that joins.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode, type SqliteNode } from '../src/index.ts';
import { lockNodeDirectory } from '../src/node/lock.ts';
import { installSnapshot, receiveSnapshot, sendSnapshot } from '../src/snapshot/transfer.ts';
import { accounts, audit, balance, judge, openBank, transfer } from './bank.ts';
import { askStock } from './stock.ts';
import { openPair } from './support/snapshot-pair.ts';

const never = new AbortController().signal;
const options = { timeout: 300_000 };

/** Transfers from several clients, until it is stopped. */
function runBank(node: SqliteNode, seed: number): { stop(): Promise<number> } {
  const random = new Random(seed);
  let next = 1;
  let isStopping = false;
  const client = async (): Promise<void> => {
    while (!isStopping) await node.batch(transfer(next++, random));
  };
  const clients = [1, 2, 3, 4].map(() => client());
  return {
    async stop() {
      isStopping = true;
      await Promise.all(clients);
      return next - 1;
    },
  };
}

/** Receives one snapshot and puts it in place. */
async function join(node: SqliteNode, directory: string): Promise<void> {
  const { ours, theirs } = await openPair();
  const [, record] = await Promise.all([
    sendSnapshot(node.desk, ours, never),
    receiveSnapshot(theirs, directory, {}, never),
  ]);
  using _lock = lockNodeDirectory(directory);
  installSnapshot(directory, record);
}

// Proves: a snapshot is one state of all databases while writers go on, and what is received is a directory that a node opens (B1, B2).
test('a bank at work', options, async () => {
  await using sandbox = makeSandbox();
  const random = new Random(seedOfRun());
  const from = await openNode({ directory: sandbox.join('from') });
  await from.batch(openBank);
  await from.createDatabase('other', { pageBytes: 512 });
  await from.execute('CREATE TABLE t (a)', [], { database: 'other' });
  await from.execute("INSERT INTO t VALUES ('here')", [], { database: 'other', key: 'one-key' });
  const bank = runBank(from, random.integer(1, 2 ** 31));
  await new Promise((resolve) => setTimeout(resolve, 300));
  await join(from, sandbox.join('to'));
  assert.ok((await bank.stop()) > 0);

  await using to = await openNode({ directory: sandbox.join('to') });
  const position = to.position;
  assert.ok(position.index > 0 && position.index < from.position.index);
  const [ledger, found, integrity] = (
    await to.queryAll([{ sql: audit.ledger }, { sql: audit.accounts }, { sql: audit.integrity }])
  ).results.map(({ rows }) => rows);
  const ids = judge(ledger!, found!, integrity!, []);
  assert.deepEqual((await to.query('SELECT sum(balance) FROM account')).rows, [[accounts * balance]]);
  assert.deepEqual((await to.query('SELECT a FROM t', [], { database: 'other' })).rows, [['here']]);
  assert.equal((await to.receipt('one-key')).state, 'committed');
  assert.ok(ids.size > 0);
  await from.close();
  await to.execute('INSERT INTO ledger VALUES (1000000, 0, 1, 0, NULL)');
  await to.close();
  assert.deepEqual(askStock(sandbox.join('to', 'main.db'), audit.integrity), [['ok']]);
  assert.deepEqual(askStock(sandbox.join('to', 'other.db'), audit.integrity), [['ok']]);
});
