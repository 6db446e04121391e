import { BatonError } from '@batondb/core/errors';
import { type EtcdClient, withPrefix } from '@batondb/etcd';
import { decodeMeta, type EtcdKeys, encodeMeta } from './etcd-keys.ts';

// Before anything is written: whose house this etcd is, and whether the place below our prefix is ours.

type Tenant = { readonly name: string; readonly prefix: string; readonly key: RegExp };

/** Those whom an etcd that is full, or slow, takes down with it. */
const tenants: readonly Tenant[] = [
  { name: 'Patroni', prefix: '/service/', key: /^\/service\/[^/]+\/(?:leader|config|initialize|status|members\/.+)$/ },
  { name: 'Kubernetes', prefix: '/registry/', key: /^\/registry\/./ },
];
const looksMax = 1_000;

/** Throws USAGE for an etcd that keeps a database's cluster, or a whole one, going. What this user may not see it is not asked about. */
export async function expectNoTenants(client: EtcdClient, address: string): Promise<void> {
  for (const { name, prefix, key } of tenants) {
    const found = await client
      .range({ ...withPrefix(prefix), limit: looksMax, keysOnly: true })
      .catch((error: unknown) => {
        if (error instanceof BatonError && error.code === 'ACCESS_DENIED') return { kvs: [] };
        throw error;
      });
    if (!found.kvs.some((kv) => key.test(kv.key.toString()))) continue;
    throw new BatonError('USAGE', `${address} holds keys of ${name}, which a full or a slow etcd would take down`, {
      hint: 'use an etcd of its own, or say that this one is shared (--shared-etcd)',
    });
  }
}

/**
 * The name of the log below a prefix, which is made with the name `proposed` where nothing is. Throws EXISTS when something else is there.
 */
export async function findLog(
  client: EtcdClient,
  keys: EtcdKeys,
  proposed: string | undefined,
): Promise<string | undefined> {
  for (;;) {
    const { results } = await client.look({
      when: [],
      do: [{ range: { key: keys.meta } }, { range: { ...withPrefix(keys.prefix), limit: 1, keysOnly: true } }],
    });
    const meta = results[0]?.kvs[0];
    const some = results[1]?.kvs[0];
    if (meta !== undefined) {
      const logId = decodeMeta(meta.value, keys);
      if (logId !== undefined) return logId;
    }
    if (some !== undefined) {
      throw new BatonError(
        'EXISTS',
        `below ${keys.prefix} there are keys that are not Baton's: ${some.key.toString()}`,
        {
          hint: 'choose a prefix below which nothing is',
        },
      );
    }
    if (proposed === undefined) return undefined;
    await client.txn({
      when: [{ key: keys.meta, version: 0 }],
      do: [{ put: keys.meta, value: encodeMeta(proposed) }],
    });
  }
}
