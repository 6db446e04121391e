import { setTimeout as delay } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import type { EtcdClient } from '@batondb/etcd';
import { decodeEntry, decodeHead, type EtcdKeys, type Head, type StoredEntry } from './etcd-keys.ts';
import type { LogIndex } from './log.ts';

// Entries read from etcd: what is there by ranges of keys, and what comes by a watch of the head alone. So a compaction under the watch takes
// nothing away: an entry is found by its key for as long as nobody trimmed it.

/** Bytes of one answer that are aimed at, and what the first one asks for. */
const answerBytes = 4_194_304;
const entriesMax = 1_024;
const entriesFirst = 4;
const againMs = 200;

type Found = { readonly entries: readonly StoredEntry[]; readonly head: Head; readonly revision: number };

/** Yields entries after an index, and new ones until the signal ends it. Throws HISTORY_LOST, LOG_DAMAGED; waits while etcd does not answer. */
export async function* readEntries(
  client: EtcdClient,
  keys: EtcdKeys,
  after: LogIndex,
  signal: AbortSignal,
): AsyncGenerator<StoredEntry, void, undefined> {
  const reader = new EntryReader(client, keys, after);
  while (!signal.aborted) {
    try {
      let found = yield* reader.readAll(signal);
      if (signal.aborted) return;
      for await (const { events } of client.watch({ key: keys.head, fromRevision: found.revision + 1 }, signal)) {
        if (events.length > 0) found = yield* reader.readAll(signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof BatonError) || !(error.retryable || error.code === 'HISTORY_LOST')) throw error;
      // A watch that fell behind a compaction begins anew; entries that are gone are gone.
      if (reader.isLost) throw error;
      await delay(againMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

class EntryReader {
  readonly #client: EtcdClient;
  readonly #keys: EtcdKeys;
  #after: LogIndex;
  #limit = entriesFirst;
  isLost = false;

  constructor(client: EtcdClient, keys: EtcdKeys, after: LogIndex) {
    this.#client = client;
    this.#keys = keys;
    this.#after = after;
  }

  /** Yields everything there is. */
  async *readAll(signal: AbortSignal): AsyncGenerator<StoredEntry, Found, undefined> {
    for (;;) {
      const found = await this.#read(signal);
      for (const entry of found.entries) {
        this.#expectNext(entry.index);
        this.#after = entry.index;
        yield entry;
        if (signal.aborted) return found;
      }
      if (found.head.index <= this.#after) return found;
      if (found.entries.length === 0) this.#expectNext(found.head.index + 1);
    }
  }

  async #read(signal: AbortSignal): Promise<Found> {
    const range = { ...this.#keys.entriesAfter(this.#after), limit: this.#limit };
    const { results, revision } = await this.#client.look(
      { when: [], do: [{ range: { key: this.#keys.head } }, { range }] },
      signal,
    );
    const kvs = results[1]?.kvs ?? [];
    const bytes = kvs.reduce((sum, { value }) => sum + value.length, 0);
    if (kvs.length > 0)
      this.#limit = Math.max(1, Math.min(entriesMax, Math.floor((answerBytes * kvs.length) / Math.max(1, bytes))));
    return {
      entries: kvs.map(({ key, value }) => decodeEntry(this.#keys, key, value)),
      head: decodeHead(results[0]?.kvs[0]?.value, this.#keys),
      revision,
    };
  }

  #expectNext(index: LogIndex): void {
    if (index === this.#after + 1) return;
    this.isLost = true;
    throw historyLost(this.#keys, index - 1, this.#after + 1);
  }
}

/** That the log begins later than somebody needs it. */
export function historyLost(keys: EtcdKeys, trimmed: LogIndex, wanted: LogIndex): BatonError {
  return new BatonError(
    'HISTORY_LOST',
    `the log below ${keys.prefix} begins after entry ${trimmed}, and entry ${wanted} is needed here`,
    {
      hint:
        `stop this node and empty its directory, then start it with backups (--backup-to DIR) of which one is of this log and at entry ${trimmed} or after it; ` +
        'or put a copy of the directory there of another node of this log that was stopped in order',
    },
  );
}
