import { BatonError } from '@batondb/core/errors';
import { EtcdClient, expectNoTenants } from '@batondb/etcd';
import { historyLost } from './etcd-entries.ts';
import { decodeEntry, decodeHead, EtcdKeys } from './etcd-keys.ts';
import { findLog } from './etcd-place.ts';
import type { EtcdLogPlan } from './etcd-settings.ts';
import type { Epoch, LogIndex } from './log.ts';

/** Where a directory is: through that entry of the log of that name, its files hold everything. */
export type History = {
  readonly logId: string;
  readonly epoch: Epoch;
  readonly index: LogIndex;
  readonly isNew: boolean;
};

/**
 * Whether a directory can go on with the log below a prefix (E6). Returns the log's name. Throws USAGE for a house that others live in, EXISTS for a place that
 * is not ours, DIVERGED when the directory is of another history, HISTORY_LOST when the log does not reach back to it.
 */
export async function checkHistory(client: EtcdClient, plan: EtcdLogPlan, history: History): Promise<string> {
  const keys = new EtcdKeys(plan.prefix);
  if (!plan.sharedEtcd) await expectNoTenants(client, plan.address);
  const logId = await findLog(client, keys, history.isNew ? history.logId : undefined);
  if (logId === undefined) {
    throw new BatonError(
      'DIVERGED',
      `there is no log at ${plan.address}, and the directory is at ${positionOf(history)} of one`,
      {
        hint: 'look at the address; if the log is gone, load the databases of this directory into a new node',
      },
    );
  }
  if (!history.isNew && logId !== history.logId) {
    throw new BatonError(
      'DIVERGED',
      `the log at ${plan.address} is ${logId}, and the directory is of ${history.logId}`,
      {
        hint: 'look at the address, or begin with an empty directory',
      },
    );
  }
  await checkPosition(client, keys, plan.address, history);
  return logId;
}

/** What a log that is there reaches back to. */
export type Reach = {
  readonly logId: string;
  /** Everything through this entry is trimmed; 0: nothing is. */
  readonly trimmed: LogIndex;
};

/** How far the log below a prefix reaches back; undefined: there is none. Throws UNREACHABLE, ACCESS_DENIED, EXISTS. */
export async function reachOf(plan: EtcdLogPlan): Promise<Reach | undefined> {
  using client = new EtcdClient(plan.access);
  const keys = new EtcdKeys(plan.prefix);
  const logId = await findLog(client, keys, undefined);
  if (logId === undefined) return undefined;
  const { results } = await client.look({
    when: [],
    do: [{ range: { key: keys.head } }, { range: { ...keys.entriesAfter(0), limit: 1, keysOnly: true } }],
  });
  const head = decodeHead(results[0]?.kvs[0]?.value, keys);
  const [first] = results[1]?.kvs ?? [];
  return { logId, trimmed: first === undefined ? head.index : keys.indexOf(first.key) - 1 };
}

async function checkPosition(client: EtcdClient, keys: EtcdKeys, address: string, history: History): Promise<void> {
  const { index, epoch } = history;
  const { results } = await client.look({
    when: [],
    do: [
      { range: { key: keys.head } },
      { range: { key: keys.entry(index) } },
      { range: { ...keys.entriesAfter(index), limit: 1, keysOnly: true } },
    ],
  });
  const head = decodeHead(results[0]?.kvs[0]?.value, keys);
  const [own] = results[1]?.kvs ?? [];
  const [next] = results[2]?.kvs ?? [];
  if (head.index < index) {
    throw new BatonError(
      'DIVERGED',
      `the log at ${address} ends at ${head.epoch}.${head.index}, and the directory is at ${positionOf(history)}`,
      {
        hint: 'that etcd was set back; begin with an empty directory, or go on from this one under another prefix',
      },
    );
  }
  const found = own === undefined ? epoch : decodeEntry(keys, own.key, own.value).epoch;
  if (found !== epoch) {
    throw new BatonError(
      'DIVERGED',
      `the log at ${address} has ${found}.${index}, and the directory is at ${positionOf(history)}`,
      {
        hint: 'begin with an empty directory',
      },
    );
  }
  if (head.index === index) return;
  const first = next === undefined ? head.index + 1 : keys.indexOf(next.key);
  if (first > index + 1) throw historyLost(keys, first - 1, index + 1);
}

function positionOf({ epoch, index }: History): string {
  return `${epoch}.${index}`;
}
