import type { Databases, Operations, Peers, Readiness, Receipt, Session, SessionOptions } from '../databases.ts';
import type { ClientDatabases } from '../node/client-databases.ts';
import type { FollowOptions } from '../node/options.ts';
import { askPeer } from './connect.ts';
import type { LeaderPool } from './leader-pool.ts';
import { ReplicaSession } from './replica-session.ts';

export type ReplicaDatabasesPlace = {
  readonly local: ClientDatabases;
  readonly leader: FollowOptions;
  readonly pool: LeaderPool;
  /** Throws UNAVAILABLE when this node may not be read. */
  readonly expectReadable: () => void;
  readonly whyUnreadable: () => string | undefined;
};

/** A replica's databases as a server's clients ask for them. */
export class ReplicaDatabases implements Databases {
  readonly #place: ReplicaDatabasesPlace;

  constructor(place: ReplicaDatabasesPlace) {
    this.#place = place;
  }

  get peers(): Peers {
    return this.#place.local.peers;
  }

  /** Files and lists are those of this node; what changes something is refused with the leader's address. */
  get operations(): Operations {
    return this.#place.local.operations;
  }

  open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    const { local, pool, expectReadable } = this.#place;
    const session = new ReplicaSession({
      options,
      openLocal: (ended) => local.openHere({ ...options, isReadOnly: true }, ended),
      openLeader: (ended) => pool.open(options.database, ended),
      expectReadable,
    });
    return Promise.resolve(session);
  }

  /** What is known here of a commit is so; of everything else only the leader can tell. */
  async receipt(transactionKey: string, signal: AbortSignal): Promise<Receipt> {
    const known = await this.#place.local.receipt(transactionKey, signal);
    if (known.state === 'committed') return known;
    return (await askPeer(
      this.#place.leader,
      `/txn/${encodeURIComponent(transactionKey)}`,
      signal,
    )) as unknown as Receipt;
  }

  readiness(): Readiness {
    const why = this.#place.whyUnreadable();
    return why === undefined ? this.#place.local.readiness() : { isReady: false, reason: `this replica ${why}` };
  }

  status(signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    return this.#place.local.status(signal);
  }
}
