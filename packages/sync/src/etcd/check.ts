import { BatonError } from '@batondb/core/errors';
import { formatBytes } from '@batondb/core/text/format';
import { EtcdClient, expectNoTenants, withPrefix } from '@batondb/etcd';
import type { Finding } from '../finding.ts';
import { layoutOf } from './layout.ts';
import { findTxnOperations } from './probe.ts';
import { MetaKeys } from './records.ts';
import type { EtcdSinkPlan } from './settings.ts';

// What an etcd has to be like for a sink. Reads alone: nothing is written, and nobody is kept waiting.

/** As with --max-txn-ops=1024, beyond which nothing is gained. */
const operationsWanted = 1_024;

/** Findings in the order in which a person would mend them. Throws what keeps it from being looked at: UNREACHABLE, ACCESS_DENIED, NOT_TRUSTED. */
export async function checkEtcd(plan: EtcdSinkPlan): Promise<readonly Finding[]> {
  using client = new EtcdClient(plan.access);
  const keys = new MetaKeys(layoutOf(plan.layout, plan.prefix).metaPrefix);
  return [
    await checkMembers(client, plan),
    await checkTenants(client, plan),
    ...(await checkSpace(client, plan)),
    await checkPlace(client, plan, keys),
    await checkOwner(client, keys),
    await checkTransactions(client, keys),
  ];
}

async function checkMembers(client: EtcdClient, { access }: EtcdSinkPlan): Promise<Finding> {
  const statuses = await client.statuses();
  const versions = [...new Set(statuses.map(({ version }) => version))].join(', ');
  const is = `${statuses.length} of ${access.endpoints.length} answer, etcd ${versions}`;
  const found = { what: 'etcd', is, needed: 'all members that are named, 3.4 or newer' };
  const old = statuses.find(({ version }) => !isNewEnough(version));
  if (old !== undefined) return { ...found, severity: 'error', nextStep: `upgrade ${old.endpoint}` };
  if (statuses.length === access.endpoints.length) return { ...found, severity: 'ok' };
  const silent = access.endpoints.filter((endpoint) => !statuses.some((status) => status.endpoint === endpoint));
  return { ...found, severity: 'warning', nextStep: `look at ${silent.join(', ')}` };
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 3 || (major === 3 && minor >= 4);
}

async function checkTenants(client: EtcdClient, { address, sharedEtcd }: EtcdSinkPlan): Promise<Finding> {
  const found = {
    what: 'who else is there',
    needed: 'neither Patroni nor Kubernetes: a full or slow etcd takes them down',
  };
  try {
    await expectNoTenants(client, address);
    return { ...found, severity: 'ok', is: 'neither Patroni nor Kubernetes' };
  } catch (error) {
    if (!(error instanceof BatonError && error.code === 'USAGE')) throw error;
    const nextStep = 'use an etcd of its own, or say that this one is shared: --shared-etcd';
    return { ...found, severity: sharedEtcd ? 'warning' : 'error', is: error.message, nextStep };
  }
}

/** Both are looked at before every write, too; here a person hears of it first. */
async function checkSpace(client: EtcdClient, plan: EtcdSinkPlan): Promise<readonly Finding[]> {
  const [statuses, alarms] = await Promise.all([client.statuses(), client.alarms()]);
  const usedBytes = Math.max(...statuses.map((status) => status.usedBytes));
  const fileBytes = Math.max(...statuses.map((status) => status.fileBytes));
  const quotaBytes = Math.min(...statuses.map((status) => status.quotaBytes ?? plan.quotaBytes));
  const what = 'space in etcd';
  const is = `${formatBytes(usedBytes)} in use, ${formatBytes(fileBytes)} on the disk, a quota of ${formatBytes(quotaBytes)}`;
  const needed = `less than ${formatBytes(plan.budgetBytes)} in use (--etcd-budget), and a file below the quota`;
  if (alarms.some(({ kind }) => kind === 'no-space')) {
    const nextStep =
      'compact and defragment it, then etcdctl alarm disarm; or --etcd-maintenance, if nobody else looks after it';
    return [{ severity: 'error', what, is: `${is}, and it refuses all writes (alarm NOSPACE)`, needed, nextStep }];
  }
  if (usedBytes >= plan.budgetBytes || fileBytes >= quotaBytes) {
    const nextStep = 'compact and defragment it, or raise the budget below the quota';
    return [{ severity: 'error', what, is, needed, nextStep }];
  }
  const isTooLarge = plan.budgetBytes > quotaBytes;
  if (isTooLarge) {
    const nextStep = `choose an --etcd-budget below ${formatBytes(quotaBytes)}`;
    return [{ severity: 'warning', what, is, needed: 'a budget below the quota, which others need, too', nextStep }];
  }
  return [{ severity: 'ok', what, is, needed }];
}

async function checkPlace(client: EtcdClient, plan: EtcdSinkPlan, keys: MetaKeys): Promise<Finding> {
  const [format, some] = await Promise.all([
    client.range({ key: keys.format }),
    client.range({ ...withPrefix(plan.prefix), limit: 1, keysOnly: true }),
  ]);
  const found = { what: `keys below ${plan.prefix}`, needed: 'none, or those of this sync' };
  if (format.kvs.length > 0) return { ...found, severity: 'ok', is: 'those of a sync' };
  const [stranger] = some.kvs;
  if (stranger === undefined) return { ...found, severity: 'ok', is: 'none' };
  const is = `some that are not Baton's, such as ${stranger.key.toString()}`;
  const nextStep = 'choose another prefix, or take them over: --adopt';
  return { ...found, severity: plan.adopt ? 'warning' : 'error', is, nextStep };
}

async function checkOwner(client: EtcdClient, keys: MetaKeys): Promise<Finding> {
  const owner = (await client.range({ key: keys.owner })).kvs[0];
  const found = { what: 'owner', needed: 'nobody, or a sync for which another one is to wait' };
  if (owner === undefined) return { ...found, severity: 'ok', is: 'nobody' };
  const nextStep = 'a sync that is started now waits until it ends';
  return { ...found, severity: 'warning', is: owner.value.toString(), nextStep };
}

async function checkTransactions(client: EtcdClient, keys: MetaKeys): Promise<Finding> {
  const operations = await findTxnOperations(client, keys.pos);
  const is = `${operations} operations a transaction`;
  const needed = `any; ${operationsWanted} (--max-txn-ops of the members) carry twice as many rows a second as 128`;
  return { severity: 'ok', what: 'transactions', is, needed };
}
