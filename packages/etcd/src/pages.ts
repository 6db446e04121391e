import type { EtcdClient } from './client.ts';
import type { KeyRange, KeyValue } from './messages.ts';

/** Bytes of one answer that are aimed at, and what the first one asks for. */
const answerBytes = 1_048_576;
const keysFirst = 64;
const keysMax = 4_096;
/** Keys alone are small, and a page of them is what is deleted at a time. */
const keysAloneMax = 2_000;

/**
 * What is in a range of keys, page by page, in their order; without `revision` each page as it is when it is read. Pages are such that etcd is not held up by any. Throws
 * HISTORY_LOST when the revision was compacted, and what stands with all calls.
 */
export async function* readPages(
  client: EtcdClient,
  { key, end, revision, keysOnly }: KeyRange & { readonly revision?: number; readonly keysOnly?: boolean },
  signal?: AbortSignal,
): AsyncGenerator<readonly KeyValue[], void, undefined> {
  let from = Buffer.from(key);
  let limit = keysOnly === true ? keysAloneMax : keysFirst;
  for (;;) {
    const { kvs, more } = await client.range(
      {
        key: from,
        limit,
        ...(end === undefined ? {} : { end }),
        ...(revision === undefined ? {} : { revision }),
        ...(keysOnly === undefined ? {} : { keysOnly }),
      },
      signal,
    );
    const last = kvs.at(-1);
    if (last === undefined) return;
    yield kvs;
    if (!more) return;
    from = after(last.key);
    const bytes = kvs.reduce((sum, { key: one, value }) => sum + one.length + value.length, 0);
    if (keysOnly !== true) limit = Math.max(1, Math.min(keysMax, Math.floor((answerBytes * kvs.length) / bytes)));
  }
}

/** The first key that can come behind a key. */
export function after(key: Uint8Array): Buffer<ArrayBuffer> {
  return Buffer.concat([key, Buffer.of(0)]);
}
