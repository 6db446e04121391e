import { EtcdClient, type KeyValue, readPages, withPrefix } from '@batondb/etcd';
import type { Found } from './follower-plan.ts';

// etcd's own limit: what a sink has written is written again, in the same transactions, by a client that does nothing else.

export type Batch = readonly { readonly key: Buffer; readonly value: Buffer }[];

/** What is below a prefix, by the transactions that wrote it, oldest first. */
export async function readBatches(endpoint: string, prefix: string): Promise<readonly Batch[]> {
  using client = new EtcdClient({ endpoints: [endpoint] });
  const byRevision = new Map<number, KeyValue[]>();
  for await (const page of readPages(client, withPrefix(prefix))) {
    for (const kv of page) {
      const batch = byRevision.get(kv.modRevision);
      if (batch === undefined) byRevision.set(kv.modRevision, [kv]);
      else batch.push(kv);
    }
  }
  return [...byRevision].sort(([one], [other]) => one - other).map(([, batch]) => batch);
}

const owner = '/limit/owner';
const position = '/limit/pos';
const place = JSON.stringify({ version: 1, position: '7386042151890817245/1/0/16B3748', open: false });

/** Writes them with the comparisons and the position that a sink has with each, so many at a time. */
export async function writeBatches(endpoint: string, batches: readonly Batch[], atATime: number): Promise<Found> {
  using client = new EtcdClient({ endpoints: [endpoint] });
  const { revision: made } = await client.write({ when: [], do: [{ put: owner, value: 'bench' }] });
  let { revision } = await client.write({ when: [], do: [{ put: position, value: place }] });
  const isInOrder = atATime === 1;
  const write = async (batch: Batch): Promise<void> => {
    const puts = batch.map(({ key, value }) => ({ put: key, value }));
    const result = await client.write({
      when: [{ key: owner, createRevision: made }, ...(isInOrder ? [{ key: position, modRevision: revision }] : [])],
      do: isInOrder ? [...puts, { put: position, value: place }] : puts,
    });
    if (!result.succeeded) throw new Error('etcd refused a transaction of the bench');
    revision = result.revision;
  };
  const [beginMs, cpu] = [performance.now(), process.cpuUsage()];
  const left = [...batches].reverse();
  const work = async (): Promise<void> => {
    for (let batch = left.pop(); batch !== undefined; batch = left.pop()) await write(batch);
  };
  await Promise.all(Array.from({ length: atATime }, work));
  const { user, system } = process.cpuUsage(cpu);
  const rows = batches.reduce((sum, batch) => sum + batch.length, 0);
  return { seconds: (performance.now() - beginMs) / 1000, cpuSeconds: (user + system) / 1e6, rows };
}
