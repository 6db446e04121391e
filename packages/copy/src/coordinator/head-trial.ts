import type { TargetState } from './target-state.ts';

/** A rate is taken for granted after this long. */
const steadyMs = 8_000;
/** Copies that end sooner are not worth it. */
const remainingMsMin = 30_000;
/** A head that takes this share of the limit of the bandwidth is held up by that. */
const limitShare = 0.8;
/** A new head this much slower than the old one was is no gain. */
const worseShare = 0.7;

/**
 * Finds out whether the first host of a chain holds up all others. It has no sender to be compared with: the source may be
 * what is slow. So, once in a copy that goes on for long, another host becomes the first one, and if that is slower,
 * a third. What was sent is not lost: the old head goes on at the end of the chain. Pure; to be asked once a second.
 */
export class HeadTrial {
  #phase: 'before' | 'trying' | 'over' = 'before';
  #head: TargetState | undefined;
  #sinceMs = 0;
  #oldRate = 0;

  /**
   * Whether `head` is to give up its place now. `head` is the target that the source feeds and others wait for; undefined when there is
   * none, or more than one.
   */
  shouldStepBack(head: TargetState | undefined, limitBytesPerSecond: number | undefined, nowMs: number): boolean {
    if (this.#phase === 'over') return false;
    if (head !== this.#head) {
      this.#head = head;
      this.#sinceMs = nowMs;
    }
    if (head?.progress.phase !== 'receiving') {
      this.#sinceMs = nowMs;
      return false;
    }
    if (nowMs - this.#sinceMs < steadyMs) return false;
    const rate = head.receivingRate;
    if (this.#phase === 'trying') {
      this.#phase = 'over';
      return rate < this.#oldRate * worseShare;
    }
    const { doneBytes, totalBytes } = head.progress;
    const remainsLong = (totalBytes - doneBytes) / rate > remainingMsMin / 1000;
    if (!remainsLong || (limitBytesPerSecond !== undefined && rate > limitBytesPerSecond * limitShare)) return false;
    this.#phase = 'trying';
    this.#oldRate = rate;
    return true;
  }
}
