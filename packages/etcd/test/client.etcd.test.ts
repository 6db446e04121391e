// The client against a real etcd.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { startGate } from '@batondb/testbed/gate';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { EtcdClient } from '../src/client.ts';
import { withPrefix } from '../src/messages.ts';
import { testFences } from '../src/self-test.ts';

let sandbox: Sandbox;
let etcd: EtcdCluster;

before(async () => {
  sandbox = makeSandbox();
  etcd = await startEtcd(sandbox, { more: ['--max-txn-ops=128'] });
});

after(async () => {
  await etcd[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

function clientOf(endpoints: readonly string[], more: { readonly requestMs?: number } = {}): EtcdClient {
  return new EtcdClient({ endpoints, ...more });
}

// Proves: transactions compare, write, delete and read at one revision, with keys and values that are any bytes.
test('transactions and ranges', async () => {
  using client = clientOf(etcd.endpoints);
  const value = Buffer.from([0, 255, 1, 254]);
  const made = await client.txn({
    when: [{ key: 't/a', version: 0 }],
    do: [{ put: 't/a', value }, { put: 't/b', value: 'two' }, { range: withPrefix('t/') }],
  });
  assert.equal(made.succeeded, true);
  assert.deepEqual(
    made.results[2]?.kvs.map(({ key, createRevision, version }) => [key.toString(), createRevision, version]),
    [
      ['t/a', made.revision, 1],
      ['t/b', made.revision, 1],
    ],
  );
  const again = await client.txn({
    when: [{ key: 't/a', version: 0 }],
    do: [{ put: 't/a', value: 'other' }],
    otherwise: [{ range: { key: 't/a' } }, { delete: 't/b' }],
  });
  assert.equal(again.succeeded, false);
  assert.deepEqual(again.results[0]?.kvs[0]?.value, value);
  assert.equal(again.results[1]?.count, 1);
  const last = await client.range({ ...withPrefix('t/'), order: 'descending', limit: 1, keysOnly: true });
  assert.deepEqual([last.count, last.kvs[0]?.key.toString(), last.kvs[0]?.value.length], [1, 't/a', 0]);
});

// Proves: an etcd that compares is told from one that does not (T3).
test('the self-test', async () => {
  using client = clientOf(etcd.endpoints);
  const lease = await client.grantLease(5);
  await testFences(client, 'self/', lease.id);
  assert.equal((await client.range({ ...withPrefix('self/'), countOnly: true })).count, 0);
  await client.revokeLease(lease.id);
});

// Proves: a watch misses nothing from its first batch on, and says when what it asks for was compacted.
test('watches', async () => {
  using client = clientOf(etcd.endpoints);
  const ended = new AbortController();
  const events: string[] = [];
  for await (const batch of client.watch(withPrefix('w/'), ended.signal)) {
    if (batch.events.length === 0) {
      await client.txn({ when: [], do: [{ put: 'w/1', value: 'one' }] });
      await client.txn({ when: [], do: [{ delete: 'w/1' }] });
    }
    for (const { type, kv } of batch.events) events.push(`${type} ${kv.key.toString()} ${kv.value.toString()}`);
    if (events.length === 2) ended.abort();
  }
  assert.deepEqual(events, ['put w/1 one', 'delete w/1 ']);
  const { revision } = await client.range({ key: 'w/1' });
  await client.compact(revision);
  const old = client.watch({ key: 'w/1', fromRevision: 1 }, new AbortController().signal);
  await assert.rejects(
    async () => {
      for await (const _ of old);
    },
    { code: 'HISTORY_LOST' },
  );
});

// Proves: a lease takes its keys with it, is kept alive, and says when it has ended.
test('leases', async () => {
  using client = clientOf(etcd.endpoints);
  const lease = await client.grantLease(2);
  await client.txn({ when: [], do: [{ put: 'l/1', value: '', lease: lease.id }] });
  assert.equal((await client.keepAlive(lease.id, 2000))?.ttlSeconds, lease.ttlSeconds);
  await client.revokeLease(lease.id);
  await client.revokeLease(lease.id);
  assert.equal(await client.keepAlive(lease.id, 2000), undefined);
  assert.equal((await client.range({ key: 'l/1' })).count, 0);
});

// Proves: what etcd refuses, or what was never sent, certainly did nothing; what was sent and not answered may have been done (T2).
test('certain and unknown outcomes', async () => {
  using client = clientOf(etcd.endpoints);
  const large = { put: 'u/large', value: Buffer.alloc(1_600_000) };
  await assert.rejects(client.txn({ when: [], do: [large] }), { code: 'LIMIT' });
  const many = Array.from({ length: 129 }, (_, number) => ({ put: `u/${number}`, value: '' }));
  await assert.rejects(client.txn({ when: [], do: many }), { code: 'LIMIT' });
  using nobody = clientOf(['127.0.0.1:1', '127.0.0.1:2']);
  await assert.rejects(nobody.txn({ when: [], do: [] }), { code: 'UNREACHABLE', retryable: true });
  await using gate = await startGate(etcd.endpoints[0]!);
  using gated = clientOf([gate.endpoint], { requestMs: 500 });
  await gated.txn({ when: [], do: [{ put: 'u/open', value: '' }] });
  gate.set('no-answers');
  await assert.rejects(gated.txn({ when: [], do: [{ put: 'u/muted', value: '' }] }), { code: 'OUTCOME_UNKNOWN' });
  await assert.rejects(gated.range({ key: 'u/muted' }), { code: 'TIMED_OUT' });
  gate.set('open');
  assert.equal((await gated.range({ key: 'u/muted' })).count, 1);
});

// Proves: a client of several members goes on with the next when one is gone, stands still, or was never there.
test('endpoints that fail', async () => {
  await using cluster = await startEtcd(sandbox, { name: 'three', members: 3 });
  using client = clientOf(['127.0.0.1:1', ...cluster.endpoints], { requestMs: 1000 });
  await client.txn({ when: [], do: [{ put: 'e/1', value: 'one' }] });
  await cluster.members[0]!.kill();
  for (let tries = 0; ; tries++) {
    const found = await client.range({ key: 'e/1' }).catch(() => undefined);
    if (found?.count === 1) break;
    assert.ok(tries < 20);
  }
  assert.equal((await client.statuses()).length, 2);
});

// Proves: with TLS an etcd is spoken to whose certificate is known, and no other one.
test('TLS', async () => {
  const certificatePath = sandbox.join('cert.pem');
  const keyPath = sandbox.join('key.pem');
  const subject = ['-subj', '/CN=etcd', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const argv = [
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    ...subject,
  ];
  await mustRun([...argv, '-days', '1', '-keyout', keyPath, '-out', certificatePath]);
  await using cluster = await startEtcd(sandbox, { name: 'tls', tls: { certificatePath, keyPath } });
  const ca = readFileSync(certificatePath, 'utf8');
  using client = new EtcdClient({ endpoints: cluster.endpoints, tls: { ca } });
  await client.txn({ when: [], do: [{ put: 's/1', value: 'secret' }] });
  assert.equal((await client.range({ key: 's/1' })).count, 1);
  for (const access of [{ tls: {} }, {}]) {
    using stranger = new EtcdClient({ endpoints: cluster.endpoints, ...access });
    await assert.rejects(stranger.range({ key: 's/1' }), { code: 'UNREACHABLE' });
  }
});

// Proves: users and passwords are used, a token that expires is renewed unnoticed, and no error has the password in it.
test('users', async () => {
  await using cluster = await startEtcd(sandbox, { name: 'auth', more: ['--auth-token-ttl=1'] });
  await cluster.ctl('user', 'add', 'root:secret-of-root');
  await cluster.ctl('user', 'grant-role', 'root', 'root');
  await cluster.ctl('auth', 'enable');
  using client = new EtcdClient({ endpoints: cluster.endpoints, user: 'root', password: 'secret-of-root' });
  await client.txn({ when: [], do: [{ put: 'a/1', value: '' }] });
  await new Promise((resolve) => setTimeout(resolve, 2500));
  await client.txn({ when: [], do: [{ put: 'a/2', value: '' }] });
  assert.equal((await client.range({ ...withPrefix('a/'), countOnly: true })).count, 2);
  for (const access of [{ user: 'root', password: 'wrong-secret' }, {}]) {
    using stranger = new EtcdClient({ endpoints: cluster.endpoints, ...access });
    await assert.rejects(
      stranger.txn({ when: [], do: [{ put: 'a/3', value: '' }] }),
      (error: { code: string; message: string }) => {
        assert.equal(error.code, 'ACCESS_DENIED', error.message);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      },
    );
  }
});
