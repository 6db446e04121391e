import { limits } from '../limits.ts';
import type { DatabaseId } from './command.ts';
import type { Position } from './position.ts';

/** That the transaction with an idempotency key was committed, and where. */
export type Receipt = {
  readonly key: string;
  readonly database: DatabaseId;
  readonly sequence: number;
  readonly position: Position;
};

/** The last committed transactions that had a key. Part of the state: it is the same on every node at the same position. */
export class Receipts {
  readonly #byKey = new Map<string, Receipt>();

  constructor(receipts: readonly Receipt[] = []) {
    for (const receipt of receipts) this.add(receipt);
  }

  /** Remembers a receipt, and forgets the oldest one when there are too many. */
  add(receipt: Receipt): void {
    this.#byKey.set(receipt.key, receipt);
    if (this.#byKey.size <= limits.receiptsMax) return;
    const [oldest] = this.#byKey.keys();
    if (oldest !== undefined) this.#byKey.delete(oldest);
  }

  get(key: string): Receipt | undefined {
    return this.#byKey.get(key);
  }

  /** Those through an index, the oldest first. */
  through(index: number): Receipt[] {
    return [...this.#byKey.values()].filter(({ position }) => position.index <= index);
  }
}
