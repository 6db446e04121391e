import type { LogIndex } from '../log/log.ts';

/** Where somebody was, and when that was known for the first and for the last time. */
type Sample = { readonly index: LogIndex; readonly firstMs: number; lastMs: number };

/**
 * How far one node is behind another, by one clock only: when it was told where the other one is, and when it got there itself.
 * Pure; times are in milliseconds of any clock that does not jump.
 */
export class Lag {
  /** Positions that were told and are not reached, ascending. */
  readonly #ahead: Sample[] = [];
  #told: LogIndex;
  #reached: LogIndex;
  /** When the state here was the other's for the last time, as far as is known. */
  #sameMs: number | undefined;

  constructor(reached: LogIndex) {
    this.#reached = reached;
    this.#told = reached;
  }

  /** The other node is at an index now. */
  tell(index: LogIndex, nowMs: number): void {
    this.#told = index;
    if (index <= this.#reached) {
      this.#sameMs = nowMs;
      return;
    }
    const last = this.#ahead.at(-1);
    if (last !== undefined && last.index >= index) last.lastMs = nowMs;
    else this.#ahead.push({ index, firstMs: nowMs, lastMs: nowMs });
  }

  /** Everything through an index is here. */
  reach(index: LogIndex): void {
    this.#reached = index;
    while (this.#ahead[0] !== undefined && this.#ahead[0].index <= index) this.#sameMs = this.#ahead.shift()!.lastMs;
  }

  /** Entries that are known of and not here. */
  get entries(): number {
    return Math.max(0, this.#told - this.#reached);
  }

  /** How old the state here is at most, compared with the other's; undefined: it was never the same. */
  ageMs(nowMs: number): number | undefined {
    return this.#sameMs === undefined ? undefined : nowMs - this.#sameMs;
  }

  /** For how long the oldest entry that is not here has been known of. */
  behindMs(nowMs: number): number {
    const [first] = this.#ahead;
    return first === undefined ? 0 : nowMs - first.firstMs;
  }
}
