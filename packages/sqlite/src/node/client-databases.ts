import { BatonError } from '@batondb/core/errors';
import type { Databases, Operations, Readiness, Receipt, Session, SessionOptions } from '../databases.ts';
import { formatPosition, type Position } from '../machine/position.ts';
import type { Caller } from './call-port.ts';
import { ClientSession } from './client-session.ts';
import type { DatabaseInfo, NodeStatus, ReaderCalls, WriterCalls } from './request.ts';

/** What sessions need of the node that they are of. */
export type SessionPlace = {
  readonly writer: Caller<WriterCalls>;
  /** The thread that has least to read. */
  readonly reader: () => Caller<ReaderCalls>;
  readonly find: (name: string) => Promise<DatabaseInfo>;
  readonly waitFor: (position: Position) => Promise<void>;
  readonly statementMsMax: number;
  readonly status: () => Promise<NodeStatus>;
  readonly operations: Operations;
};

/** A node's databases as a server's clients ask for them. */
export class ClientDatabases implements Databases {
  readonly operations: Operations;
  readonly #place: SessionPlace;
  #failure: string | undefined;

  constructor(place: SessionPlace) {
    this.#place = place;
    this.operations = place.operations;
  }

  async open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    const info = await this.#place.find(options.database);
    return new ClientSession(this.#place, info, options, (error) => this.#notice(error));
  }

  async receipt(transactionKey: string, signal: AbortSignal): Promise<Receipt> {
    signal.throwIfAborted();
    const receipt = await this.#place.writer.call('receipt', { key: transactionKey });
    return receipt.state === 'committed' ? { ...receipt, position: formatPosition(receipt.position) } : receipt;
  }

  readiness(): Readiness {
    return this.#failure === undefined ? { isReady: true } : { isReady: false, reason: this.#failure };
  }

  async status(signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
    signal.throwIfAborted();
    const { position, checkpoint, ...rest } = await this.#place.status();
    return { ...rest, position: formatPosition(position), checkpoint: formatPosition(checkpoint) };
  }

  /** After an append of unknown outcome this process writes nothing more. */
  #notice(error: unknown): void {
    if (error instanceof BatonError && error.code === 'OUTCOME_UNKNOWN') this.#failure ??= error.message;
  }
}
