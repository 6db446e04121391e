import { BatonError } from '@batondb/core/errors';
import type { EtcdClient, KeyValue } from '@batondb/etcd';
import { decodeEntry, type EtcdKeys, entryBytes, type Head } from './etcd-keys.ts';
import type { EtcdLogPlan } from './etcd-settings.ts';
import type { LogIndex } from './log.ts';

/** How far apart places are at which the log may be cut. */
const cutBytes = 1_048_576;
/** Entries that one transaction deletes: some milliseconds of everybody's time. */
const deletesMax = 500;
/** What is in no backup stays until the log has this share of the budget: a backup that fails must not stop the writes. */
const unsavedShare = 1 / 2;

/** Deletes entries of a log that nobody needs: our own keys only, and only while we lead. */
export class EtcdTrimmer {
  readonly #client: EtcdClient;
  readonly #keys: EtcdKeys;
  readonly #retainBytes: number;
  readonly #unsavedBytesMax: number;
  /** Through which entry everything is in a backup. A node with an empty directory begins with that, and goes on from the log (E11). */
  backedUp: LogIndex = Number.POSITIVE_INFINITY;
  /** Where the log can be cut: through an entry, and the bytes of all through it. The first one is where it was cut last. */
  #cuts: Pick<Head, 'index' | 'bytes'>[] = [];

  constructor(
    client: EtcdClient,
    keys: EtcdKeys,
    { etcdRetainBytes, budgetBytes }: Pick<EtcdLogPlan, 'etcdRetainBytes' | 'budgetBytes'>,
  ) {
    this.#client = client;
    this.#keys = keys;
    this.#retainBytes = etcdRetainBytes;
    this.#unsavedBytesMax = Math.max(etcdRetainBytes, budgetBytes * unsavedShare);
  }

  /** Learns what there is, with the oldest entry, when the lead was taken. */
  begin(oldest: KeyValue | undefined, head: Head): void {
    this.#cuts = [head];
    if (oldest === undefined) return;
    const { index, bytesThrough, payload } = decodeEntry(this.#keys, oldest.key, oldest.value);
    this.#cuts.unshift({ index: index - 1, bytes: bytesThrough - entryBytes(payload) });
  }

  /** An entry was appended. */
  note(head: Head): void {
    if (head.bytes - this.#cuts.at(-1)!.bytes >= cutBytes) this.#cuts.push(head);
  }

  /** Deletes entries through one, as long as enough remains behind it. What etcd does not do now is done with the next call. */
  async trim(through: LogIndex, head: Head, createRevision: number): Promise<void> {
    const position = this.#cuts.findLastIndex(
      ({ index, bytes }) => index <= through && head.bytes - bytes >= this.#bytesAfter(index),
    );
    const target = this.#cuts[position];
    if (target === undefined) return;
    try {
      for (let from = this.#cuts[0]!.index + 1; from <= target.index; from += deletesMax) {
        const end = Math.min(from + deletesMax, target.index + 1);
        const { succeeded } = await this.#client.txn({
          when: [{ key: this.#keys.leader, createRevision }],
          do: [{ delete: this.#keys.entry(from), end: this.#keys.entry(end) }],
        });
        if (!succeeded) return;
      }
    } catch (error) {
      if (error instanceof BatonError) return;
      throw error;
    }
    this.#cuts.splice(0, position);
  }

  /** How much of the log has to be behind an entry that goes. The one of the backup's position stays: with it the two are compared. */
  #bytesAfter(index: LogIndex): number {
    return index < this.backedUp ? this.#retainBytes : this.#unsavedBytesMax;
  }
}
