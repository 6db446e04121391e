import { BatonError } from '@batondb/core/errors';
import { type EtcdClient, withPrefix } from '@batondb/etcd';
import { decodeMeta, type EtcdKeys, encodeMeta } from './etcd-keys.ts';

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
