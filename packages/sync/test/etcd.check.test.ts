// What is found of an etcd before it is made a sink.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EtcdClient } from '@batondb/etcd';
import { startEtcd } from '@batondb/testbed/etcd';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { checkEtcd } from '../src/etcd/check.ts';
import { type EtcdSinkOptions, planEtcdSink } from '../src/etcd/settings.ts';
import type { Finding } from '../src/finding.ts';

// Proves: an empty etcd is in order; members that are silent, tenants, keys of others, an owner, and a full etcd are each named with a next step; nothing is written.
test('an etcd is looked at', async () => {
  await using sandbox = makeSandbox();
  await using etcd = await startEtcd(sandbox, { more: ['--quota-backend-bytes=16777216'] });
  const [endpoint = ''] = etcd.endpoints;
  const host = endpoint.replace(/^https?:\/\//, '');
  const look = async (more: Partial<EtcdSinkOptions> = {}): Promise<ReadonlyMap<string, Finding>> => {
    const plan = planEtcdSink({ url: `etcd://${host}/app`, quotaBytes: 16_777_216, budgetBytes: 8_388_608, ...more });
    const findings = await checkEtcd(plan);
    for (const { severity, nextStep } of findings) assert.equal(nextStep === undefined, severity === 'ok');
    return new Map(findings.map((finding) => [finding.what, finding]));
  };
  const severities = (found: ReadonlyMap<string, Finding>): string =>
    [...found.values()].map((one) => one.severity).join();
  const before = await etcd.ctl('get', '', '--prefix', '--write-out=json');
  assert.equal(severities(await look()), 'ok,ok,ok,ok,ok,ok');
  assert.equal((await look({ budgetBytes: 33_554_432 })).get('space in etcd')?.severity, 'warning');
  const silent = await look({ url: `etcd://${host},127.0.0.1:1/app` });
  assert.match(silent.get('etcd')?.nextStep ?? '', /127\.0\.0\.1:1$/);
  assert.equal(await etcd.ctl('get', '', '--prefix', '--write-out=json'), before);

  await etcd.ctl('put', '/app/x', '1');
  await etcd.ctl('put', '/app/m/owner', 'somebody');
  await etcd.ctl('put', '/service/pg/leader', 'a');
  const found = await look();
  assert.equal(severities(found), 'ok,error,ok,error,warning,ok');
  assert.match(found.get('keys below /app/')?.is ?? '', /\/app\/m\/owner$/);
  assert.equal(severities(await look({ sharedEtcd: true, adopt: true })), 'ok,warning,ok,warning,warning,ok');

  using client = new EtcdClient(planEtcdSink({ url: `etcd://${host}/app` }).access);
  const fill = async (): Promise<void> => {
    const value = 'x'.repeat(1_000_000);
    for (let index = 0; index < 30; index++) await client.txn({ when: [], do: [{ put: `/fill/${index}`, value }] });
  };
  await assert.rejects(fill(), { code: 'NO_SPACE' });
  const full = await look();
  assert.match(full.get('space in etcd')?.is ?? '', /NOSPACE/);
});
