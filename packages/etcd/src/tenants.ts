import { BatonError } from '@batondb/core/errors';
import type { EtcdClient } from './client.ts';
import { withPrefix } from './messages.ts';

// Before anything is written: whose house this etcd is.

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
