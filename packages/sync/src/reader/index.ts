import { EtcdClient, type EtcdPlace, planEtcdAccess } from '@batondb/etcd';
import { type Found, findClosed, findSink } from '../etcd/closed-state.ts';
import { Snapshot } from './snapshot.ts';
import { type ChangeGroup, type WatchFrom, watchGroups } from './watch.ts';

// What programs read a sink in etcd with, that need not know how it is written.

export type { EtcdPlace } from '@batondb/etcd';
export type { ReadChange } from './changes.ts';
export type { ChangeGroup, Snapshot, WatchFrom };

/** Opens a reader of what `baton sync` keeps below a prefix. Throws USAGE, NOT_FOUND, UNREACHABLE, ACCESS_DENIED. */
export async function openReader(place: EtcdPlace): Promise<Reader> {
  const { access, prefix, address } = planEtcdAccess(place);
  const client = new EtcdClient(access);
  try {
    return new Reader(client, await findSink(client, prefix, address));
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

/** Reads states of the source, and nothing that never was one (Y4). */
export class Reader implements Disposable {
  readonly #client: EtcdClient;
  readonly #found: Found;

  /** By `openReader`. */
  constructor(client: EtcdClient, found: Found) {
    this.#client = client;
    this.#found = found;
  }

  /**
   * The newest state that can be read. Throws UNAVAILABLE, retryable, while there is none: during a first dump, and while a dump, a repair or a large transaction goes on if etcd was compacted
   * meanwhile.
   */
  async snapshot(signal?: AbortSignal): Promise<Snapshot> {
    return new Snapshot(this.#client, this.#found, await findClosed(this.#client, this.#found, signal));
  }

  /**
   * What happens after a state, as whole transactions: `from` is a snapshot, or what was kept of one. Ends with the signal. Throws HISTORY_LOST when etcd does not remember so far back:
   * another snapshot is needed then.
   */
  watch(from: WatchFrom, signal: AbortSignal): AsyncIterable<ChangeGroup> {
    return watchGroups(this.#client, this.#found, from, signal);
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }
}
