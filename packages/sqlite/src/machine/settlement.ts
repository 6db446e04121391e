import type { BatonError } from '@batondb/core/errors';
import type { Database } from './database.ts';
import type { Position } from './position.ts';

type Waiter = { readonly resolve: (position: Position) => void; readonly reject: (error: BatonError) => void };
type SequenceWaiter = Waiter & { readonly sequence: number };

/** Who waits for the log's word on transactions, in the order of transactions. */
export class Settlement {
  readonly #byDatabase = new Map<Database, SequenceWaiter[]>();
  readonly #ofEntry: Waiter[] = [];

  /** Resolves when a transaction of a database is accepted; rejects when it is dropped. */
  of(database: Database, sequence: number): Promise<Position> {
    return new Promise((resolve, reject) => {
      const waiters = this.#byDatabase.get(database) ?? [];
      this.#byDatabase.set(database, waiters);
      waiters.push({ sequence, resolve, reject });
    });
  }

  /** Resolves when the next entry is accepted. */
  ofNextEntry(): Promise<Position> {
    return new Promise((resolve, reject) => this.#ofEntry.push({ resolve, reject }));
  }

  accept(database: Database, through: number, position: Position): void {
    const waiters = this.#byDatabase.get(database) ?? [];
    const kept = waiters.filter(({ sequence }) => sequence > through);
    for (const { sequence, resolve } of waiters) if (sequence <= through) resolve(position);
    this.#byDatabase.set(database, kept);
  }

  acceptEntry(position: Position): void {
    for (const { resolve } of this.#ofEntry.splice(0)) resolve(position);
  }

  /** Who waits for a database is told that what they wait for is not there. */
  rejectOf(database: Database, error: BatonError): void {
    const waiters = this.#byDatabase.get(database) ?? [];
    this.#byDatabase.delete(database);
    for (const { reject } of waiters) reject(error);
  }

  /** Everybody who waits is told that what they wait for is not there. */
  reject(error: BatonError): void {
    const waiters = [...this.#byDatabase.values()].flat();
    this.#byDatabase.clear();
    for (const { reject } of [...waiters, ...this.#ofEntry.splice(0)]) reject(error);
  }
}
