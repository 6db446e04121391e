// The log in etcd, on real ones: late appends, unknown outcomes, trimming, a full etcd, and houses that others live in.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { startGate } from '@batondb/testbed/gate';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { reachOf } from '../src/log/etcd-history.ts';
import { EtcdLog } from '../src/log/etcd-log.ts';
import { type EtcdLogPlan, planEtcdLog } from '../src/log/etcd-settings.ts';
import { ReadGate } from '../src/log/read-gate.ts';
import { makeLogId } from '../src/machine/state-record.ts';
import { describeLog, leaderOf, payloadsOf } from './log.conformance.ts';
import { etcdLog, until } from './support/etcd-nodes.ts';

const timeout = 120_000;
const never = new AbortController().signal;
const mebibyte = 1_048_576;
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

function planOf(prefix: string, more: Partial<EtcdLogPlan> = {}, endpoints = etcd.endpoints): EtcdLogPlan {
  return { ...planEtcdLog(etcdLog(endpoints, prefix)), etcdRetainBytes: 0, ...more };
}

/** Gives up soon on an etcd that does not answer. */
function quick(plan: EtcdLogPlan): EtcdLogPlan {
  return { ...plan, access: { ...plan.access, requestMs: 1_000 } };
}

async function open(plan: EtcdLogPlan, gate = ReadGate.memory()): Promise<EtcdLog> {
  return (await EtcdLog.open(plan, gate, { logId: makeLogId(), epoch: 0, index: 0, isNew: true })).log;
}

async function openAt(plan: EtcdLogPlan, history: { logId: string; epoch: number; index: number }): Promise<void> {
  const { log } = await EtcdLog.open(plan, ReadGate.memory(), { ...history, isNew: false });
  await log[Symbol.asyncDispose]();
}

describeLog('etcd', () => {
  const prefix = randomUUID();
  let logId: string | undefined;
  return {
    open: async (checkpoint = { epoch: 0, index: 0 }) => {
      const history = { ...checkpoint, logId: logId ?? makeLogId(), isNew: logId === undefined };
      const opened = await EtcdLog.open(planOf(prefix), ReadGate.memory(), history);
      ({ logId } = opened);
      return opened.log;
    },
  };
});

// Proves: an append that reaches etcd after somebody else has taken the lead is refused by etcd, and leaves no trace (E1, E2).
test('a late append', { timeout }, async () => {
  const plan = planOf('late', { leaseSeconds: 2 });
  await using gate = await startGate(etcd.endpoints[0]!);
  const slow = { ...plan.access, endpoints: [gate.endpoint], requestMs: 30_000 };
  await using first = await open({ ...plan, access: slow });
  await using second = await open(plan);
  const { epoch } = await first.lead(never);
  await first.append({ index: 1, epoch, payload: Buffer.from('one') }, epoch);
  gate.set('held');
  const late = first.append({ index: 2, epoch, payload: Buffer.from('late') }, epoch);
  const append = await leaderOf(second);
  assert.equal(await append('two'), 'accepted');
  gate.release();
  assert.equal(await late, 'refused');
  assert.equal(await append('three'), 'accepted');
  assert.deepEqual(await payloadsOf(second, 3), ['one', 'two', 'three']);
});

// Proves: an append that was not answered is unknown, and the next lead knows: the entry is there, or it is not and never will be (E3).
test('unknown outcomes', { timeout }, async () => {
  for (const [mode, expected] of [
    ['no-answers', ['one', 'two']],
    ['no-requests', ['one']],
  ] as const) {
    await using gate = await startGate(etcd.endpoints[0]!);
    await using log = await open(quick(planOf(`unknown-${mode}`, {}, [gate.endpoint])));
    const append = await leaderOf(log);
    await append('one');
    gate.set(mode);
    assert.equal(await append('two'), 'unknown', mode);
    assert.equal(await append('two'), 'refused', mode);
    const leading = log.lead(never);
    gate.set('open');
    const { head } = await leading;
    assert.deepEqual(await payloadsOf(log, head), expected, mode);
  }
});

// Proves: who leads notices that its key was taken away, and does not answer reads from then on (E5).
test('a leader key that is taken', { timeout }, async () => {
  const memory = ReadGate.memory();
  await using log = await open(planOf('stolen'), memory);
  const gate = new ReadGate(memory);
  const { lost } = await log.lead(never);
  gate.isLeading = true;
  assert.ok(gate.isOpen);
  await etcd.ctl('del', '/stolen/leader');
  await until('the loss is noticed', () => lost?.aborted === true);
  assert.ok(!gate.isOpen);
  await log.lead(never);
  assert.ok(gate.isOpen);
});

// Proves: a compaction takes nothing from who reads the log, neither what it has not read yet nor what it waits for (E8).
test('compacted', { timeout }, async () => {
  await using log = await open(planOf('compacted'));
  const append = await leaderOf(log);
  await using gate = await startGate(etcd.endpoints[0]!);
  await using other = await open(planOf('compacted', {}, [gate.endpoint]));
  const ended = new AbortController();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { payload } of other.entries(0, ended.signal)) seen.push(Buffer.from(payload).toString());
  })();
  await append('one');
  await until('the first entry is read', () => seen.length === 1);
  gate.set('shut');
  for (const payload of ['two', 'three', 'four']) await append(payload);
  const status = JSON.parse(await etcd.ctl('endpoint', 'status', '--write-out=json')) as {
    Status: { header: { revision: number } };
  }[];
  await etcd.ctl('compact', String(status[0]!.Status.header.revision));
  gate.set('open');
  await until('the rest is read', () => seen.length === 4);
  ended.abort();
  await reading;
  assert.deepEqual(seen, ['one', 'two', 'three', 'four']);
});

// Proves: writes are refused before etcd's quota is reached, with an error that can be retried; nobody else's writes are (E7).
test('a budget', { timeout }, async () => {
  await using small = await startEtcd(sandbox, { name: 'budget', more: ['--quota-backend-bytes=50331648'] });
  await using log = await open(planOf('budget', { quotaBytes: 50_331_648 }, small.endpoints));
  const append = await leaderOf(log);
  const payload = Buffer.alloc(mebibyte, 'x');
  await assert.rejects(
    async () => {
      for (let count = 0; count < 60; count++) await append(payload);
    },
    { code: 'NO_SPACE', retryable: true },
  );
  assert.equal(await small.ctl('alarm', 'list'), '');
  await small.ctl('put', 'somebody', 'else');
});

// Proves: an etcd that is out of space refuses without harm; what was there is there, and writing goes on by itself once there is space (E7).
test('an etcd that is full', { timeout }, async () => {
  await using small = await startEtcd(sandbox, { name: 'full', more: ['--quota-backend-bytes=16777216'] });
  await using log = await open(planOf('full', { etcdMaintenance: true }, small.endpoints));
  let append = await leaderOf(log);
  const payload = Buffer.alloc(mebibyte, 'x');
  await assert.rejects(
    async () => {
      for (let count = 0; count < 60; count++) await append(payload);
    },
    { code: 'NO_SPACE', retryable: true },
  );
  const { head } = log;
  assert.equal((await payloadsOf(log, head, head - 1)).length, 1);
  // What a checkpoint and this node's own care do, where it may.
  await until('there is space again', async () => {
    await log.trim(head);
    await log.maintain();
    const outcome = await append(payload).catch(() => undefined);
    // An etcd that stands still for its own care lets leases end: a node leads again then.
    if (outcome === 'refused') append = await leaderOf(log);
    return outcome === 'accepted';
  });
  assert.equal(log.head, head + 1);
  assert.equal(await small.ctl('alarm', 'list'), '');
});

// Proves: a log is trimmed within its own keys, as far as it may be, and what is retained stays (E9).
test('trimming', { timeout }, async () => {
  await etcd.ctl('put', '/trim', 'mine');
  await etcd.ctl('put', '/trim/log0', 'not ours').catch(() => undefined);
  await etcd.ctl('del', '/trim/log0');
  await using log = await open(planOf('trim', { etcdRetainBytes: 3 * mebibyte }));
  const append = await leaderOf(log);
  for (let count = 0; count < 10; count++) await append(Buffer.alloc(mebibyte));
  await log.trim(9);
  const keys = (await etcd.ctl('get', '--prefix', '--keys-only', '/trim')).split('\n').filter((line) => line !== '');
  assert.ok(keys.includes('/trim') && keys.includes('/trim/meta') && keys.includes('/trim/head'));
  assert.equal(keys.filter((key) => key.startsWith('/trim/log/')).length, 3);
});

// Proves: what is in no backup stays, and the entry at a backup's position does; but a backup that fails does not keep entries until writes are refused (E9, E11).
test('trimming behind backups', { timeout }, async () => {
  await using small = await startEtcd(sandbox, { name: 'unsaved' });
  const plan = planOf('unsaved', { budgetBytes: 24 * mebibyte }, small.endpoints);
  await using log = await open(plan);
  const append = await leaderOf(log);
  const grow = async (count: number): Promise<number> => {
    for (let one = 0; one < count; one++) await append(Buffer.alloc(mebibyte));
    await log.trim(log.head);
    return (await reachOf(plan))!.trimmed;
  };
  log.backedUp(0);
  assert.equal(await grow(6), 0);
  log.backedUp(4);
  assert.equal(await grow(0), 3);
  assert.equal(await grow(12), 6);
  assert.equal(await reachOf({ ...plan, prefix: '/nothing/' }), undefined);
});

// Proves: an etcd that holds Patroni's or Kubernetes' keys is refused unless it was said to be shared, and so is a prefix with keys of somebody else (E10).
test('houses of others', { timeout }, async () => {
  await using house = await startEtcd(sandbox, { name: 'house' });
  const plan = planOf('guest', {}, house.endpoints);
  await house.ctl('put', '/service/billing/leader', 'pg1');
  await assert.rejects(open(plan), { code: 'USAGE', message: /Patroni/ });
  await house.ctl('del', '/service/billing/leader');
  await house.ctl('put', '/registry/pods/default/web', 'pod');
  await assert.rejects(open(plan), { code: 'USAGE', message: /Kubernetes/ });
  assert.equal(await house.ctl('get', '--prefix', '--keys-only', '/guest/'), '');
  const shared = await open({ ...plan, sharedEtcd: true });
  await shared[Symbol.asyncDispose]();
  await house.ctl('put', '/taken/by', 'somebody');
  await assert.rejects(open(planOf('taken', { sharedEtcd: true }, house.endpoints)), {
    code: 'EXISTS',
    message: /\/taken\/by/,
  });
});

// Proves: a directory goes on only with the log it is of, and only if the log reaches back to it (E6).
test('directories and logs', { timeout }, async () => {
  const plan = planOf('history');
  const { log, logId } = await EtcdLog.open(plan, ReadGate.memory(), {
    ...{ logId: makeLogId(), epoch: 0, index: 0 },
    isNew: true,
  });
  const append = await leaderOf(log);
  for (let count = 0; count < 5; count++) await append(Buffer.alloc(mebibyte));
  await openAt(plan, { logId, epoch: 1, index: 3 });
  await openAt(plan, { logId, epoch: 1, index: 5 });
  await assert.rejects(openAt(plan, { logId: makeLogId(), epoch: 1, index: 3 }), { code: 'DIVERGED' });
  await assert.rejects(openAt(plan, { logId, epoch: 1, index: 6 }), { code: 'DIVERGED', message: /ends at 1\.5/ });
  await assert.rejects(openAt(plan, { logId, epoch: 2, index: 4 }), { code: 'DIVERGED', message: /has 1\.4/ });
  await assert.rejects(openAt(planOf('elsewhere'), { logId, epoch: 1, index: 3 }), { code: 'DIVERGED' });
  assert.equal(await etcd.ctl('get', '--prefix', '/elsewhere'), '');
  await log.trim(4);
  await assert.rejects(openAt(plan, { logId, epoch: 1, index: 3 }), { code: 'HISTORY_LOST' });
  await assert.rejects(open(plan), { code: 'HISTORY_LOST', message: /begins after entry 4/ });
  await log[Symbol.asyncDispose]();
});

// Proves: an entry that is not as it was written is told, and never applied.
test('a damaged entry', { timeout }, async () => {
  await using log = await open(planOf('damaged'));
  const append = await leaderOf(log);
  await append('one');
  await etcd.ctl('put', '/damaged/log/0000000000000001', 'something else that is long enough for a header');
  await assert.rejects(payloadsOf(log, 1), { code: 'LOG_DAMAGED' });
});
