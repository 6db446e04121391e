import { Processors } from '../process/processors.ts';
import type { UnitCompression } from './jobs.ts';

/** Below this rate zstd -1, which packs 500 MiB a second, takes at most a tenth of one core: always worth it. */
const slowLinkBytesPerSecond = 50 * 1024 * 1024;
/** Above that rate, compressing needs processors that nobody else could use. */
const idleShareMin = 0.25;
const rateWindowMs = 500;
/** At the rate of a slow link a sender that has processors leaves half of one idle, and more; where nothing is, they are what is slow. */
const slowIdleShareMin = 0.1;

/** What a choice looks at besides its sender. */
export type Surroundings = {
  /** The share of this machine's processor time that is idle, 0 to 1. */
  readonly idleShare: () => number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
};

/**
 * Chooses for each unit whether compressing it helps.
 *
 * In `auto`, a unit is compressed when the link is what a copy waits for: whoever sends finds the next unit waiting, and
 * the link is slow or this machine has idle processors. When the sender waits for units, or a link takes all that the
 * processors can encrypt, they are what is short: measured with both ends on two cores, compressing cost 15 CPU
 * seconds for 2 GiB instead of 11. Where all processors are busy, with compressing too, little is sent over a
 * fast link: 2 GiB from a backup tool took 31 s instead of 24.
 */
export class CompressionChoice {
  readonly #wanted: UnitCompression;
  readonly #surroundings: Surroundings;
  /** Between 0 (the sender always waits for units) and 1 (a unit is always waiting for the link). */
  #pressure: number;
  #rateBytesPerSecond = 0;
  #windowStartMs: number;
  #windowBytes = 0;

  constructor(wanted: UnitCompression, surroundings: Surroundings = ofThisMachine()) {
    this.#wanted = wanted;
    this.#surroundings = surroundings;
    this.#windowStartMs = surroundings.now();
    // The first units are compressed: the link of most copies is slower than zstd.
    this.#pressure = 1;
  }

  /** Tells what a sender found that was ready for the next unit. */
  observe(unitWasWaiting: boolean): void {
    const weight = 1 / 16;
    this.#pressure += ((unitWasWaiting ? 1 : 0) - this.#pressure) * weight;
  }

  /** Tells what the link has taken. */
  sent(bytes: number): void {
    this.#windowBytes += bytes;
    const now = this.#surroundings.now();
    const passedMs = now - this.#windowStartMs;
    if (passedMs < rateWindowMs) return;
    this.#rateBytesPerSecond = (this.#windowBytes / passedMs) * 1000;
    this.#windowStartMs = now;
    this.#windowBytes = 0;
  }

  /** How the next unit is to be compressed. */
  current(): UnitCompression {
    if (this.#wanted.mode !== 'auto') return this.#wanted;
    const waitsForLink = this.#pressure >= 0.5;
    const isSlow = this.#rateBytesPerSecond < slowLinkBytesPerSecond;
    const isAffordable = this.#surroundings.idleShare() >= (isSlow ? slowIdleShareMin : idleShareMin);
    return waitsForLink && isAffordable ? this.#wanted : { mode: 'none' };
  }
}

function ofThisMachine(): Surroundings {
  const processors = new Processors();
  return { idleShare: () => processors.idleShare(), now: () => performance.now() };
}
