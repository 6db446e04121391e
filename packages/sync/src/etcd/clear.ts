import { after, type EtcdClient, readPages, type WriteOperation, withPrefix } from '@batondb/etcd';

/**
 * Deletes all keys below a prefix, in pages: everything at once would hold up everybody's etcd. A page goes in one operation, since nobody else writes there. `write` makes the
 * step of it.
 */
export async function clearBelow(
  client: EtcdClient,
  prefix: string,
  write: (deletes: readonly WriteOperation[]) => Promise<void>,
): Promise<void> {
  for await (const page of readPages(client, { ...withPrefix(prefix), keysOnly: true })) {
    await write([{ delete: page[0]!.key, end: after(page.at(-1)!.key) }]);
  }
}
