import type { EtcdClient } from '@batondb/etcd';
import { KeySet } from '../key-set.ts';
import { Group, sizeOf } from './group.ts';
import type { Layout } from './layout.ts';
import { decodePlace, type MetaKeys } from './records.ts';
import { eventsThrough } from './touched.ts';
import type { Writer } from './writer.ts';

/** Keys that are looked up at a time. */
const keysMax = 64;

/**
 * Undoes the parts of a transaction that was not written to its end, after a crash. It is told anew from its beginning, and what it does not tell it takes from the rows as they were
 * then (Y5): a row whose key it changed twice would be looked for in vain otherwise. Throws HISTORY_LOST when etcd does not remember.
 */
export async function undoPart(client: EtcdClient, writer: Writer, layout: Layout, keys: MetaKeys): Promise<void> {
  const after = writer.place?.partAfter;
  if (after === undefined) return;
  using seen = new KeySet();
  let pending: string[] = [];
  const restore = async (): Promise<void> => {
    const wanted = pending;
    pending = [];
    const { results } = await client.look({
      when: [],
      do: wanted.map((key) => ({ range: { key, revision: after } })),
    });
    let group = new Group();
    for (const [index, key] of wanted.entries()) {
      const value = results[index]?.kvs[0]?.value.toString() ?? null;
      if (!group.hasRoomFor(1, sizeOf(key, value), writer.limits)) {
        await writer.advancePart(group.values);
        group = new Group();
      }
      group.put(key, value);
    }
    await writer.advancePart(group.values);
  };
  for await (const events of eventsThrough(client, layout, { after, through: writer.revision })) {
    for (const { kv } of events) {
      const key = kv.key.toString();
      if (key.startsWith(keys.prefix) || !key.startsWith(layout.dataPrefix) || seen.has([key])) continue;
      seen.add([key]);
      pending.push(key);
      if (pending.length === keysMax) await restore();
    }
  }
  if (pending.length > 0) await restore();
  const { kvs } = await client.range({ key: keys.pos, revision: after });
  const before = decodePlace(kvs[0]!.value, keys.pos);
  // Everything is as it was then: what was closed then is closed now.
  await writer.advance(() => before, new Map());
}
