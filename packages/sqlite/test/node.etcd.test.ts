// Nodes that share a log in etcd: one leads, others wait, and what was acknowledged is there whoever leads.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { startGate } from '@batondb/testbed/gate';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { openNode, parsePosition } from '../src/index.ts';
import { reachOf } from '../src/log/etcd-history.ts';
import { planEtcdLog } from '../src/log/etcd-settings.ts';
import { isSoak } from './property.ts';
import { etcdLog, openShared, until, untilLeading, valueOf } from './support/etcd-nodes.ts';

const timeout = 120_000;
let sandbox: Sandbox;
let etcd: EtcdCluster;

before(async () => {
  sandbox = makeSandbox();
  etcd = await startEtcd(sandbox);
});

after(async () => {
  await etcd[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

// Proves: a second node waits, applies what the first one writes, refuses reads and writes meanwhile, and takes over at once when the first one ends in
// order; what was written before is there (E4, E5).
test('a node waits and takes over', { timeout }, async () => {
  // Longer than anybody waits below.
  const log = etcdLog(etcd, 'takeover', { leaseSeconds: 90 });
  const first = await openShared(sandbox.join('takeover-1'), log);
  await first.execute('CREATE TABLE t (v)');
  await using second = await openShared(sandbox.join('takeover-2'), log);
  assert.equal((await second.status()).role, 'standby');
  const { position } = await first.execute('INSERT INTO t VALUES (1)');
  await until('the second node has it', () => second.position.index >= position.index);
  await assert.rejects(second.query('SELECT * FROM t'), { code: 'UNAVAILABLE', retryable: true });
  await assert.rejects(second.execute('INSERT INTO t VALUES (9)'), { code: 'REFUSED', retryable: true });
  assert.deepEqual((await first.status()).databases, (await second.status()).databases);
  await first.close();
  await untilLeading(second);
  assert.equal(await valueOf(second, 'SELECT count(*) FROM t'), 1);
  await second.execute('INSERT INTO t VALUES (2)');
  await using third = await openShared(sandbox.join('takeover-1'), log);
  assert.equal((await third.status()).role, 'standby');
  await until('the third node has it', () => third.position.index >= second.position.index);
  assert.deepEqual((await third.status()).databases, (await second.status()).databases);
});

// Proves: what a leader has acknowledged is there when it is killed at any moment and another node takes over, and nothing is half there (N2, E2).
test('kill -9 of leaders', { timeout: 240_000 }, async (t) => {
  t.diagnostic(`BATON_SEED=${seedOfRun()}`);
  const random = new Random(seedOfRun());
  const log = etcdLog(etcd, 'kill');
  const acknowledged: string[] = [];
  const rounds = isSoak ? 30 : 2;
  for (let round = 1; round <= rounds; round++) {
    await using writer = startWriter(sandbox.join(`kill-${round % 3}`), log.url, `r${round}`, acknowledged);
    const wanted = acknowledged.length + random.integer(20, 120);
    await until('enough is acknowledged', () => acknowledged.length >= wanted, 30_000);
    await setTimeout(random.integer(0, 10));
    await writer.kill();
  }
  await using node = await openShared(sandbox.join('kill-last'), log);
  await untilLeading(node);
  const { rows } = await node.query('SELECT v FROM t');
  const there = new Set(rows.map(([value]) => value));
  assert.deepEqual(
    acknowledged.filter((value) => !there.has(value)),
    [],
  );
  assert.ok(there.size <= acknowledged.length + rounds, 'one each may have been committed and not acknowledged');
  assert.equal(await valueOf(node, 'PRAGMA integrity_check'), 'ok');
});

// Proves: a leader that etcd does not hear answers no read once its lease may have ended; it drops what was open, follows who leads now, and leads again when
// that one ends, without a restart (E4, E5, M4).
test('a leader that is cut off', { timeout }, async () => {
  await using gate = await startGate(etcd.endpoints[0]!);
  const log = etcdLog(etcd, 'cut');
  await using first = await openShared(sandbox.join('cut-1'), etcdLog([gate.endpoint], 'cut', { leaseSeconds: 5 }));
  await first.execute('CREATE TABLE t (v)');
  using reader = await first.reader();
  const second = await openShared(sandbox.join('cut-2'), log);
  const transaction = await first.transaction();
  await transaction.execute("INSERT INTO t VALUES ('open')");
  gate.set('shut');
  await untilLeading(second);
  // From here on the first one's state is old: not one read of it may be answered.
  await second.execute("INSERT INTO t VALUES ('second')");
  await assert.rejects(first.query('SELECT * FROM t'), { code: 'UNAVAILABLE' });
  assert.throws(() => reader.query('SELECT * FROM t'), { code: 'UNAVAILABLE' });
  await assert.rejects(first.query('SELECT * FROM nothing'), { code: 'UNAVAILABLE' });
  assert.throws(() => reader.query('SELECT * FROM nothing'), { code: 'UNAVAILABLE' });
  await assert.rejects(first.describe('SELECT * FROM nothing'), { code: 'UNAVAILABLE' });
  await assert.rejects(first.receipt('unknown'), { code: 'UNAVAILABLE' });
  gate.set('open');
  await until('the first node has what the second wrote', () => first.position.index >= second.position.index);
  await assert.rejects(transaction.commit(), { code: 'REFUSED', retryable: true });
  await transaction[Symbol.asyncDispose]();
  await second.close();
  await untilLeading(first);
  assert.deepEqual((await first.query('SELECT v FROM t')).rows, [['second']]);
  await first.execute("INSERT INTO t VALUES ('first')");
});

// Proves: a write that etcd was given and did not answer ends as what it is, with the receipt that goes with it: committed, or absent (E3, M5, M6).
test('unknown outcomes of writes', { timeout }, async () => {
  await using gate = await startGate(etcd.endpoints[0]!);
  await using node = await openShared(
    sandbox.join('unknown'),
    etcdLog([gate.endpoint], 'unknown-writes', { leaseSeconds: 8 }),
  );
  await node.execute('CREATE TABLE t (v)');
  for (const mode of ['no-answers', 'no-requests'] as const) {
    gate.set(mode);
    const writing = node.execute('INSERT INTO t VALUES (?)', [mode], { key: mode }).then(
      () => 'committed',
      (error: { code: string }) => error.code,
    );
    await setTimeout(4_500);
    gate.set('open');
    assert.equal(await writing, mode === 'no-answers' ? 'committed' : 'REFUSED', mode);
    await untilLeading(node);
    assert.equal((await node.receipt(mode)).state, mode === 'no-answers' ? 'committed' : 'absent');
  }
  assert.deepEqual((await node.query('SELECT v FROM t')).rows, [['no-answers']]);
});

// Proves: without etcd nothing is written and nothing is read, and both go on by themselves when it is back; a node that starts without it says so.
test('etcd stops and starts', { timeout }, async () => {
  await using cluster = await startEtcd(sandbox, { name: 'stops' });
  const log = etcdLog(cluster, 'stops', { leaseSeconds: 5 });
  await using node = await openShared(sandbox.join('stops'), log);
  await node.execute('CREATE TABLE t (v)');
  await cluster.stop();
  await assert.rejects(openShared(sandbox.join('stops-2'), log), { code: 'UNREACHABLE', retryable: true });
  await assert.rejects(node.execute('INSERT INTO t VALUES (1)'), { retryable: true });
  await until('reads end with the lease', () =>
    node.query('SELECT * FROM t').then(
      () => false,
      (error: { code: string }) => error.code === 'UNAVAILABLE',
    ),
  );
  await cluster.start();
  await until('it goes on', () =>
    node.execute('INSERT INTO t VALUES (2)').then(
      () => true,
      () => false,
    ),
  );
  await until('reads go on', () =>
    node.query('SELECT * FROM t').then(
      ({ rows }) => rows.length === 1,
      () => false,
    ),
  );
});

// Proves: of three members one may end, the one that leads included, and writing goes on.
test('a member of three ends', { timeout }, async () => {
  await using cluster = await startEtcd(sandbox, { name: 'three', members: 3 });
  await using node = await openShared(sandbox.join('three'), etcdLog(cluster, 'three'));
  await node.execute('CREATE TABLE t (v PRIMARY KEY)');
  let count = 0;
  for (const member of cluster.members) {
    await member.kill();
    await until('a write is acknowledged', () =>
      node.execute('INSERT INTO t VALUES (?)', [count]).then(
        () => true,
        () => false,
      ),
    );
    count += 1;
    await member.start();
    await cluster.untilHealthy();
  }
  assert.ok((await valueOf(node, 'SELECT count(*) FROM t')) === count);
});

// Proves: a transaction that is larger than an entry of etcd arrives whole, and a node that is too far behind, or has another history, says so.
test('large transactions, trimmed logs and other directories', { timeout }, async () => {
  const log = etcdLog(etcd, 'large', { etcdRetainBytes: 1_048_576 });
  const first = await openShared(sandbox.join('large-1'), log);
  await first.execute('CREATE TABLE t (v)');
  const large =
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO t SELECT randomblob(3000) FROM n';
  await first.execute(large);
  await using second = await openShared(sandbox.join('large-2'), log);
  await until('the second node has it', () => second.position.index >= first.position.index);
  assert.deepEqual((await second.status()).databases, (await first.status()).databases);
  await first.checkpoint();
  await first.close();
  await untilLeading(second);
  assert.equal(await valueOf(second, 'PRAGMA integrity_check'), 'ok');
  await assert.rejects(openShared(sandbox.join('large-3'), log), { code: 'HISTORY_LOST' });
  await assert.rejects(openShared(sandbox.join('large-1'), etcdLog(etcd, 'other')), { code: 'DIVERGED' });
  await assert.rejects(openNode({ directory: sandbox.join('large-1') }), { code: 'REFUSED', message: /etcd:/ });
  await using promoted = await openNode({ directory: sandbox.join('large-1'), promote: true });
  assert.equal(await valueOf(promoted, 'SELECT count(*) FROM t'), 3000);
});

// Proves: with backups the log in etcd keeps what is in none of them, and lets go of the rest; a second node that begins with an empty directory takes a backup and
// goes on from there by the same log. Without a backup it is told what to do, and without a log nothing is restored (E11).
test('a second node from a backup', { timeout }, async () => {
  const log = etcdLog(etcd, 'seeded', { etcdRetainBytes: 0 });
  const trimmed = async (): Promise<number> => (await reachOf(planEtcdLog(log)))!.trimmed;
  const more = {
    backupTo: { directory: sandbox.join('seeded-backups'), everyMs: 3_600_000, keep: 9 },
    restoreIfEmpty: true,
  };
  const first = await openShared(sandbox.join('seeded-1'), log, more);
  await first.execute('CREATE TABLE t (v)');
  const write = async (count: number): Promise<void> => {
    for (let one = 0; one < count; one++) await first.execute('INSERT INTO t VALUES (randomblob(1200000))');
    await first.checkpoint();
  };
  await write(4);
  assert.equal(await trimmed(), 0, 'nothing of it is in a backup');
  const { manifest } = await first.backup();
  await write(3);
  const through = await trimmed();
  assert.ok(through > 0 && through < parsePosition(manifest.position).index, `trimmed through ${through}`);
  await assert.rejects(openShared(sandbox.join('seeded-2'), log), { code: 'HISTORY_LOST', hint: /--backup-to/ });
  const elsewhere = etcdLog(etcd, 'seeded-elsewhere');
  await assert.rejects(openShared(sandbox.join('seeded-3'), elsewhere, more), { code: 'DIVERGED' });
  assert.ok(!existsSync(sandbox.join('seeded-3', 'main.db')));
  await using second = await openShared(sandbox.join('seeded-3'), log, more);
  await until('the second node has it', () => second.position.index >= first.position.index);
  const status = await second.status();
  assert.equal(status.restored?.position, manifest.position);
  assert.deepEqual([status.logId, status.databases], [(await first.status()).logId, (await first.status()).databases]);
  await first.close();
  await untilLeading(second);
  await second.execute('DELETE FROM t');
  assert.equal(await valueOf(second, 'PRAGMA integrity_check'), 'ok');
});

// Proves: a node that waits and was cut off for longer than the log reaches back says so, and what to do, instead of waiting for ever.
test('a node that is left behind', { timeout }, async () => {
  await using gate = await startGate(etcd.endpoints[0]!);
  const log = etcdLog(etcd, 'behind', { etcdRetainBytes: 0 });
  await using first = await openShared(sandbox.join('behind-1'), log);
  await first.execute('CREATE TABLE t (v)');
  await using second = await openShared(sandbox.join('behind-2'), etcdLog([gate.endpoint], 'behind'));
  await until('the second node has it', () => second.position.index >= first.position.index);
  gate.set('shut');
  for (let one = 0; one < 4; one++) await first.execute('INSERT INTO t VALUES (randomblob(1200000))');
  await first.checkpoint();
  gate.set('open');
  await until('it is told', async () => /begins after entry/.test((await second.status()).failure ?? ''));
  assert.match((await second.status()).failure!, /empty its directory, then start it with backups \(--backup-to DIR\)/);
  await assert.rejects(second.execute('DELETE FROM t'), { code: 'HISTORY_LOST', retryable: false });
});

/** A process that writes for as long as it leads. */
function startWriter(
  directory: string,
  url: string,
  name: string,
  acknowledged: string[],
): AsyncDisposable & { kill(): Promise<void> } {
  const program = fileURLToPath(new URL('etcd-node-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=batondb-source', program, directory, url, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  sandbox.record.addProcess(child.pid!);
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => line !== 'open' && acknowledged.push(line));
  const ended = once(lines, 'close');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return { kill, [Symbol.asyncDispose]: kill };
}
