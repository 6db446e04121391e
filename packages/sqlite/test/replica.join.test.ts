// How a follower begins: by a snapshot, by the log alone, or not at all.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { openNode, type SqliteNode } from '../src/index.ts';
import { listReplaced, restoreBackup } from '../src/snapshot/restore.ts';
import { accounts, audit, balance, judge, openBank, transfer } from './bank.ts';
import { askStock } from './stock.ts';
import { caughtUp, type Served, serveNode, smallNode, until } from './support/replicas.ts';

const timeout = 120_000;

async function judgeBank(node: SqliteNode): Promise<number> {
  const rows = async (sql: string): Promise<readonly (readonly unknown[])[]> => (await node.query(sql)).rows;
  return judge(await rows(audit.ledger), await rows(audit.accounts), await rows(audit.integrity), []).size;
}

async function work(node: SqliteNode, random: Random, from: number, count: number): Promise<void> {
  for (let id = from; id < from + count; id++) await node.batch(transfer(id, random));
}

/** A leader whose log does not reach back to its first entry. */
async function serveOldLeader(directory: string, random: Random): Promise<Served> {
  const leader = await serveNode({ directory, retainBytes: 0 });
  await leader.node.batch(openBank);
  await work(leader.node, random, 1, 200);
  await leader.node.checkpoint();
  return leader;
}

// Proves: a follower joins by a snapshot while money moves, sees no state with a wrong total at any time, and ends with the same bytes in its
// files as the leader (R1, R4).
test('joining while a bank works', { timeout }, async (t) => {
  t.diagnostic(`BATON_SEED=${seedOfRun()}`);
  const random = new Random(seedOfRun());
  await using sandbox = makeSandbox();
  const directories = ['leader', 'follower'].map((name) => sandbox.join(name));
  {
    await using leader = await serveOldLeader(directories[0]!, random);
    let isDone = false;
    const working = (async () => {
      for (let id = 1000; !isDone; id++) await leader.node.batch(transfer(id, random));
    })();
    await using follower = await serveNode({ directory: directories[1]!, follow: { url: leader.url } });
    await until('the follower can be read', () => follower.node.position.index > 0);
    for (let look = 0; look < 50; look++) {
      const { rows } = await follower.node.query('SELECT sum(balance) FROM account');
      assert.equal(rows[0]![0], accounts * balance);
    }
    isDone = true;
    await working;
    await caughtUp(follower.node, leader.node);
    assert.ok((await judgeBank(follower.node)) >= 200);
    assert.deepEqual((await follower.node.status()).databases, (await leader.node.status()).databases);
  }
  const [ours, theirs] = directories.map((directory) => readFileSync(`${directory}/main.db`));
  assert.ok(ours!.equals(theirs!), 'the files differ');
});

// Proves: a follower that was away for longer than the log reaches back takes a new snapshot by itself (R4).
test('history lost', { timeout }, async () => {
  const random = new Random(seedOfRun());
  await using sandbox = makeSandbox();
  await using leader = await serveOldLeader(sandbox.join('leader'), random);
  const follow = { directory: sandbox.join('follower'), follow: { url: leader.url } };
  {
    await using follower = await serveNode(follow);
    await until('the follower has joined', () => follower.node.position.index > 0);
  }
  await work(leader.node, random, 2000, 300);
  await leader.node.checkpoint();
  await work(leader.node, random, 3000, 10);
  await using follower = await serveNode(follow);
  await caughtUp(follower.node, leader.node);
  assert.equal(await judgeBank(follower.node), 510);
});

// Proves: databases that are made, dropped and replaced at the leader are so at the follower; a name means what it means at the leader.
test('names travel', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using leader = await serveNode({ directory: sandbox.join('leader') });
  await using follower = await serveNode({ directory: sandbox.join('follower'), follow: { url: leader.url } });
  const read = async (database: string): Promise<unknown> =>
    (await follower.node.query('SELECT x FROM t', [], { database })).rows;
  for (const text of ['first', 'second']) {
    await leader.node.createDatabase('shop');
    await leader.node.batch([{ sql: 'CREATE TABLE t (x)' }, { sql: 'INSERT INTO t VALUES (?)', args: [text] }], {
      database: 'shop',
    });
    await caughtUp(follower.node, leader.node);
    assert.deepEqual(await read('shop'), [[text]]);
    await leader.node.dropDatabase('shop');
    await caughtUp(follower.node, leader.node);
    await assert.rejects(read('shop'), { code: 'NOT_FOUND' });
  }
  for (const text of ['imported', 'replaced']) {
    const path = sandbox.join(`${text}.db`);
    askStock(path, `CREATE TABLE t (x); INSERT INTO t VALUES ('${text}')`);
    await leader.node.importFile(path, 'shop', { replaces: text === 'replaced' });
    await caughtUp(follower.node, leader.node);
    assert.deepEqual(await read('shop'), [[text]]);
  }
});

// Proves: a follower's directory is not led by mistake; promoted, it has a future of its own, in which others can follow it (R2, R7).
test('promotion', { timeout }, async () => {
  const random = new Random(seedOfRun());
  await using sandbox = makeSandbox();
  const [first, second] = [sandbox.join('first'), sandbox.join('second')];
  {
    await using leader = await serveNode({ directory: first });
    await leader.node.batch(openBank);
    await using follower = await serveNode({ directory: second, follow: { url: leader.url } });
    await work(leader.node, random, 1, 20);
    await caughtUp(follower.node, leader.node);
  }
  await assert.rejects(openNode({ ...smallNode, directory: second }), { code: 'REFUSED' });
  await using promoted = await serveNode({ directory: second, promote: true });
  await work(promoted.node, random, 100, 5);
  assert.equal(await judgeBank(promoted.node), 25);
  // The leader that was follows the one that is: it has nothing that the other one has not.
  await using former = await serveNode({ directory: first, follow: { url: promoted.url } });
  await caughtUp(former.node, promoted.node);
  assert.equal(await judgeBank(former.node), 25);
});

// Proves: the followers of a leader that was restored from an older backup take a snapshot of it by themselves, and never mix what was and what is; what
// they had is kept. So does one that was away, and one that follows a follower (R3, R4).
test('a leader that was restored', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const [first, second, third] = ['first', 'second', 'third'].map((name) => sandbox.join(name));
  const backupTo = { directory: sandbox.join('backups'), everyMs: 3_600_000, keep: 9 };
  let leader = await serveNode({ directory: first!, backupTo });
  const { url } = leader;
  await leader.node.execute('CREATE TABLE t (x)');
  const { path } = await leader.node.backup();
  await using follower = await serveNode({ directory: second!, follow: { url } });
  {
    await using away = await serveNode({ directory: third!, follow: { url: follower.url } });
    await leader.node.execute("INSERT INTO t VALUES ('of the old history')");
    await caughtUp(follower.node, leader.node);
    await caughtUp(away.node, leader.node);
  }
  const { logId } = await leader.node.status();
  await leader[Symbol.asyncDispose]();
  await restoreBackup(path, first!, new AbortController().signal);
  leader = await serveNode({ directory: first! }, { listen: new URL(url).host });
  await using _leader = leader;
  // As long as the old history, and further: positions alone would not tell them apart.
  for (let count = 0; count < 5; count++) await leader.node.execute("INSERT INTO t VALUES ('of the new history')");
  assert.deepEqual((await leader.node.status()).origins, [logId]);
  await using away = await serveNode({ directory: third!, follow: { url: follower.url } });
  for (const { node } of [follower, away]) {
    await until('it has the new history', async () => (await node.status()).logId !== logId);
    await caughtUp(node, leader.node);
    const { rows } = await node.query('SELECT DISTINCT x FROM t');
    assert.deepEqual(rows, [['of the new history']]);
    assert.deepEqual((await node.status()).databases, (await leader.node.status()).databases);
    assert.equal(listReplaced(node.directory).length, 1);
  }
});

// Proves: a directory that has led and has what its new leader has not is never replaced by itself, and another log's is never followed (R3, R7).
test('what is never followed', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const [one, other] = [sandbox.join('one'), sandbox.join('other')];
  await using leader = await serveNode({ directory: one });
  await leader.node.execute('CREATE TABLE t (x)');
  {
    await using stranger = await openNode({ ...smallNode, directory: other });
    await stranger.execute('CREATE TABLE t (x)');
  }
  await assert.rejects(openNode({ ...smallNode, directory: other, follow: { url: leader.url } }), { code: 'REFUSED' });
  await assert.rejects(openNode({ ...smallNode, directory: sandbox.join('third'), follow: { url: 'ftp://nowhere' } }), {
    code: 'USAGE',
  });
  await using again = await openNode({ ...smallNode, directory: other });
  assert.deepEqual((await again.query('SELECT count(*) FROM t')).rows, [[0]]);
});
