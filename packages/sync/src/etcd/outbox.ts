import { assert } from '@batondb/core/errors';
import type { Group, TxnLimits } from './group.ts';

/** Groups that wait. One is being filled while one is under way; more only helps when the one who fills them is irregular. */
const waitingMax = 3;

/**
 * Between the one who turns a stream into groups and the one who writes them: transactions go together while they wait, as many as fit. Nobody waits for more to
 * come.
 */
export class Outbox {
  readonly #limits: TxnLimits;
  readonly #waiting: Group[] = [];
  #underWay: Group | undefined;
  #outcome: { readonly error?: unknown } | undefined;
  readonly #changed = new Set<() => void>();

  constructor(limits: TxnLimits) {
    this.#limits = limits;
  }

  /** A part of a transaction, or what ends one. */
  add(group: Group): void {
    const last = this.#waiting.at(-1);
    const goesWith =
      last?.end !== undefined &&
      last.end.isOpen === group.end?.isOpen &&
      last.hasRoomFor(group.values.size, group.bytes, this.#limits);
    if (goesWith) last.absorb(group);
    else this.#waiting.push(group);
    this.#wake();
  }

  get isFull(): boolean {
    return this.#waiting.length >= waitingMax;
  }

  /** Resolves when more may be added. Throws what was given to `fail`. */
  async room(): Promise<void> {
    await this.#until(() => !this.isFull);
  }

  /** Resolves when everything is written. Throws what was given to `fail`. */
  async drained(): Promise<void> {
    await this.#until(() => this.#waiting.length === 0 && this.#underWay === undefined);
  }

  /** What is going to be there for a key: null for nothing, undefined when no group has it. */
  find(key: string): string | null | undefined {
    for (let at = this.#waiting.length - 1; at >= 0; at--) {
      const value = this.#waiting[at]!.values.get(key);
      if (value !== undefined) return value;
    }
    return this.#underWay?.values.get(key);
  }

  /** No more comes. */
  close(): void {
    this.#outcome ??= {};
    this.#wake();
  }

  /** No more comes, for this reason. What waits is written first. */
  fail(error: unknown): void {
    this.#outcome ??= { error };
    this.#wake();
  }

  /** Nothing is written any more, for this reason. */
  abort(error: unknown): void {
    this.#waiting.length = 0;
    this.#outcome = { error };
    this.#wake();
  }

  /** The next group, which is under way until `done`. Undefined: there are no more. Throws what was given to `fail` and `abort`. */
  async next(): Promise<Group | undefined> {
    assert(this.#underWay === undefined, 'Y1: one group is written at a time');
    while (this.#waiting.length === 0 && this.#outcome === undefined) await this.#change();
    this.#underWay = this.#waiting.shift();
    if (this.#underWay === undefined && this.#outcome !== undefined && 'error' in this.#outcome)
      throw this.#outcome.error;
    this.#wake();
    return this.#underWay;
  }

  done(): void {
    this.#underWay = undefined;
    this.#wake();
  }

  async #until(holds: () => boolean): Promise<void> {
    for (;;) {
      if (this.#outcome !== undefined && 'error' in this.#outcome) throw this.#outcome.error;
      if (holds()) return;
      await this.#change();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.add(resolve));
  }

  #wake(): void {
    for (const resolve of this.#changed) resolve();
    this.#changed.clear();
  }
}
