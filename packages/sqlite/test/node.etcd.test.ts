// Nodes that share a log in etcd: one leads, others wait, and what was acknowledged is there whoever leads.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { etcdLog, openShared, until, untilLeading, valueOf } from './support/etcd-nodes.ts';

const timeout = 60_000;
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
  const log = etcdLog(etcd, 'takeover', { leaseSeconds: 60 });
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
