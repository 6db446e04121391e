import type { Databases, Operations, Peers, Readiness, Receipt, Session, SessionOptions } from '../databases.ts';
import type { ReadGate } from '../log/read-gate.ts';
import { formatPosition, type Position } from '../machine/position.ts';
import type { Caller } from './call-port.ts';
import { ClientSession } from './client-session.ts';
import type { ReplicationStatus } from './replication.ts';
import type { DatabaseInfo, NodeStatus, ReaderCalls, WriterCalls } from './request.ts';

/** What sessions need of the node that they are of. */
export type SessionPlace = {
  readonly writer: () => Caller<WriterCalls>;
  /** The thread that has least to read. */
  readonly reader: () => Caller<ReaderCalls>;
  readonly find: (name: string) => Promise<DatabaseInfo>;
  readonly waitFor: (position: Position) => Promise<void>;
  readonly gate: () => ReadGate;
  readonly statementMsMax: number;
  readonly status: () => Promise<NodeStatus & ReplicationStatus>;
  readonly peers: Peers;
  readonly operations: Operations;
};

/** A node's databases as a server's clients ask for them. */
export class ClientDatabases implements Databases {
  readonly operations: Operations;
  readonly #place: SessionPlace;

  constructor(place: SessionPlace) {
    this.#place = place;
    this.operations = place.operations;
  }

  get peers(): Peers {
    return this.#place.peers;
  }

  open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    return this.openHere(options, signal);
  }

  /** A session of this very node. */
  async openHere(options: SessionOptions, signal: AbortSignal): Promise<ClientSession> {
    signal.throwIfAborted();
    const info = await this.#place.find(options.database);
    return new ClientSession(this.#place, info, options);
  }

  async receipt(transactionKey: string, signal: AbortSignal): Promise<Receipt> {
    signal.throwIfAborted();
    const receipt = await this.#place.writer().call('receipt', { key: transactionKey });
    return receipt.state === 'committed' ? { ...receipt, position: formatPosition(receipt.position) } : receipt;
  }

  readiness(): Readiness {
    const { hasFailed, isOpen } = this.#place.gate();
    if (hasFailed) return { isReady: false, reason: 'nothing more is written by this process; its status says why' };
    return isOpen ? { isReady: true } : { isReady: false, reason: 'this node does not lead its log' };
  }

  async status(signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    signal.throwIfAborted();
    const { position, checkpoint, leader, followers, ...rest } = await this.#place.status();
    return {
      ...rest,
      position: formatPosition(position),
      checkpoint: formatPosition(checkpoint),
      ...(leader === undefined ? {} : { leader: withText(leader) }),
      followers: followers.map((follower) => withText(follower)),
    };
  }
}

/** A status with its position as text. */
function withText<T extends { readonly position?: Position }>({ position, ...rest }: T): Record<string, unknown> {
  return position === undefined ? rest : { ...rest, position: formatPosition(position) };
}
