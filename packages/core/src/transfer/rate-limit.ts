import { setTimeout as sleep } from 'node:timers/promises';

/** A token bucket over bytes: as much as fits a tenth of a second may go at once. */
export class RateLimit {
  readonly #bytesPerSecond: number;
  readonly #now: () => number;
  #freeAtMs: number;

  /** `now` gives milliseconds of a clock that never goes back. */
  constructor(bytesPerSecond: number, now: () => number = () => performance.now()) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#now = now;
    this.#freeAtMs = now();
  }

  /** How long to wait before sending `bytes`, in milliseconds; they count as sent from now on. */
  reserve(bytes: number): number {
    const now = this.#now();
    const burstMs = 100;
    this.#freeAtMs = Math.max(this.#freeAtMs, now - burstMs) + (bytes / this.#bytesPerSecond) * 1000;
    return Math.max(0, this.#freeAtMs - now);
  }

  /** Waits until `bytes` may be sent. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const waitMs = this.reserve(bytes);
    if (waitMs >= 1) await sleep(waitMs, undefined, { signal });
  }
}
