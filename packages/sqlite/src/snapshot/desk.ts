import { limits } from '../limits.ts';
import type { NodeSnapshot } from './snapshot.ts';

/** A snapshot that is lent. To be given back by disposing. */
export type LentSnapshot = Disposable & { readonly snapshot: NodeSnapshot };

/**
 * Lends snapshots to those who join. One is lent to all who come while it is in use, and is kept for a while afterwards: a joiner whose
 * connection broke goes on with the same one, and the log does not forget what follows it before that joiner has it (B3).
 */
export class SnapshotDesk implements AsyncDisposable {
  readonly #take: () => Promise<NodeSnapshot>;
  readonly #lingerMs: number;
  #current: { readonly snapshot: Promise<NodeSnapshot>; readonly takenMs: number; users: number } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(take: () => Promise<NodeSnapshot>, lingerMs: number = limits.snapshotLingerMs) {
    this.#take = take;
    this.#lingerMs = lingerMs;
  }

  /** Throws what taking a snapshot throws. */
  async lend(): Promise<LentSnapshot> {
    clearTimeout(this.#timer);
    const current = (this.#current ??= { snapshot: this.#take(), takenMs: performance.now(), users: 0 });
    current.users += 1;
    const giveBack = (): void => {
      current.users -= 1;
      if (current.users === 0 && this.#current === current) this.#wait();
    };
    try {
      return { snapshot: await current.snapshot, [Symbol.dispose]: giveBack };
    } catch (error) {
      if (this.#current === current) this.#current = undefined;
      throw error;
    }
  }

  /** What is lent is useless: the next one gets another one. */
  async forget(snapshot: NodeSnapshot): Promise<void> {
    if ((await this.#current?.snapshot.catch(() => undefined)) === snapshot) await this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  #wait(): void {
    this.#timer = setTimeout(() => void this.#end(), this.#lingerMs);
    this.#timer.unref();
  }

  async #end(): Promise<void> {
    clearTimeout(this.#timer);
    const current = this.#current;
    this.#current = undefined;
    const snapshot = await current?.snapshot.catch(() => undefined);
    await snapshot?.[Symbol.asyncDispose]();
  }
}
