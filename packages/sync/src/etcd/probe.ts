import { BatonError } from '@batondb/core/errors';
import type { EtcdClient, Operation } from '@batondb/etcd';

/** What every etcd takes in a transaction (`--max-txn-ops`). */
const usual = 128;
/** What is worth asking for, the most first: beyond, a transaction holds everybody else up for longer than it saves. */
const candidates = [1_024, 512, 256];

/** How many operations this etcd takes in a transaction: it is asked for such that only read, and nothing. Throws what stands with all calls. */
export async function findTxnOperations(client: EtcdClient, key: string): Promise<number> {
  for (const count of candidates) {
    const nothing: Operation = { range: { key, countOnly: true } };
    try {
      await client.look({ when: [], do: Array.from({ length: count }, () => nothing) });
      return count;
    } catch (error) {
      if (!(error instanceof BatonError && error.code === 'LIMIT')) throw error;
    }
  }
  return usual;
}
