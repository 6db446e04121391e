// Snapshots on their way to a node that joins.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode, type SqliteNode } from '../src/index.ts';
import type { StateRecord } from '../src/machine/state-record.ts';
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

/** Receives one snapshot, over a connection that breaks after so many bytes. */
async function tryJoin(node: SqliteNode, directory: string, cutAfterBytes: number): Promise<StateRecord> {
  const { ours, theirs, socket } = await openPair();
  const watch = setInterval(() => {
    if (theirs.bytesReceived > cutAfterBytes) socket.destroy();
  }, 1);
  try {
    const sending = sendSnapshot(node.desk, ours, never);
    const [received] = await Promise.all([receiveSnapshot(theirs, directory, {}, never), sending]);
    return received;
  } finally {
    clearInterval(watch);
  }
}

// Proves: what broke off goes on where it ended, with the same snapshot, though writers went on meanwhile (B3).
test('a connection that breaks', options, async () => {
  await using sandbox = makeSandbox();
  await using node = await openNode({ directory: sandbox.join('from'), readers: 1 });
  await node.execute('CREATE TABLE t (a, noise BLOB)');
  for (let row = 0; row < 24; row++) await node.execute('INSERT INTO t VALUES (?, randomblob(1000000))', [row]);
  const broken = tryJoin(node, sandbox.join('to'), 8_000_000);
  await assert.rejects(broken, (error) => error instanceof BatonError && error.code === 'CONNECTION_LOST');
  const before = node.position;
  await node.execute('DELETE FROM t WHERE a < 3');
  const { ours, theirs } = await openPair();
  const sending = sendSnapshot(node.desk, ours, never);
  const record = await receiveSnapshot(theirs, sandbox.join('to'), {}, never);
  assert.deepEqual(await sending, before);
  assert.deepEqual(record.position, before);
  assert.ok(theirs.bytesReceived < 20_000_000, `${theirs.bytesReceived} bytes came again`);
});

// Proves: databases that come, go, or get another name while a snapshot is held are in it as they were (B1).
test('databases that are dropped meanwhile', options, async () => {
  await using sandbox = makeSandbox();
  await using node = await openNode({ directory: sandbox.join('from'), readers: 1 });
  for (const name of ['kept', 'dropped']) {
    await node.createDatabase(name);
    await node.execute('CREATE TABLE t AS SELECT ? AS a', [name], { database: name });
  }
  await using snapshot = await node.snapshot();
  await node.dropDatabase('dropped');
  await node.createDatabase('made');
  await node.execute("UPDATE t SET a = 'changed'", [], { database: 'kept' });
  await node.checkpoint();
  mkdirSync(sandbox.join('files'));
  await snapshot.writeFiles(sandbox.join('files'));
  assert.deepEqual(readdirSync(sandbox.join('files')).sort(), ['dropped.db', 'kept.db', 'state']);
  for (const name of ['kept', 'dropped'])
    assert.deepEqual(askStock(sandbox.join('files', `${name}.db`), 'SELECT a FROM t'), [[name]]);
});

// Proves: a snapshot keeps what it needs however old it is, and when there is no room otherwise it ends with an error that says so.
test('a snapshot in the way', options, async () => {
  await using sandbox = makeSandbox();
  const small = { readers: 1, indexPages: 1024, snapshotMsMax: 100, checkpointBytes: 1_048_576 };
  await using node = await openNode({ directory: sandbox.join('from'), ...small });
  await node.execute('CREATE TABLE t (a)');
  await using snapshot = await node.snapshot();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.ok((await snapshot.digest('main')).bytes > 0);
  for (let row = 0; row < 20; row++) await node.execute('INSERT INTO t VALUES (randomblob(300000))');
  const lost = (error: unknown): boolean =>
    error instanceof BatonError && error.code === 'HISTORY_LOST' && error.retryable;
  await assert.rejects(snapshot.digest('main'), lost);
  await using again = await node.snapshot();
  assert.ok((await again.digest('main')).bytes > 6_000_000);
});
