import { performance } from 'node:perf_hooks';
import { Processors } from '../process/processors.ts';
import type { UnitCompression } from './jobs.ts';

/** Below this rate zstd -1, which packs 500 MiB a second, takes at most a tenth of one core: always worth it. */
const slowLinkBytesPerSecond = 50 * 1024 * 1024;
/** Above that rate, compressing needs processors that nobody else could use. */
const idleShareMin = 0.25;
const rateWindowMs = 500;
/**
 * At the rate of a slow link, a thread that has a processor for itself encrypts in an eighth of the time. One that is at work, or waits for a
 * processor, for more than half of it is what its units wait for: a link that took more would not help.
 */
const busyShareMax = 0.5;

/** What a choice looks at besides its sender. */
export type Surroundings = {
  /** The share of this machine's processor time that is idle, 0 to 1. */
  readonly idleShare: () => number;
  /** The share of time that this thread, which encrypts, was at work or waited for a processor since it was asked last, 0 to 1. */
  readonly busyShare: () => number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
};

/**
 * Chooses for each unit whether compressing it helps.
 *
 * In `auto`, a unit is compressed when the link is what a copy waits for: whoever sends finds the next unit waiting, and
 * the link is slow or this machine has idle processors. When the sender waits for units, or a link takes all that the
 * processors can encrypt, they are what is short: measured with both ends on two cores, compressing cost 15 CPU
 * seconds for 2 GiB instead of 11. Where others keep the processors busy, little is sent over a fast link, too: a link only counts as
 * slow while the thread that sends has time left.
 */
export class CompressionChoice {
  readonly #wanted: UnitCompression;
  readonly #surroundings: Surroundings;
  /** Between 0 (the sender always waits for units) and 1 (a unit is always waiting for the link). */
  #pressure: number;
  #rateBytesPerSecond = 0;
  #busyShare = 0;
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
    this.#busyShare = this.#surroundings.busyShare();
    this.#windowStartMs = now;
    this.#windowBytes = 0;
  }

  /** How the next unit is to be compressed. */
  current(): UnitCompression {
    if (this.#wanted.mode !== 'auto') return this.#wanted;
    const waitsForLink = this.#pressure >= 0.5;
    const isSlowLink = this.#rateBytesPerSecond < slowLinkBytesPerSecond && this.#busyShare <= busyShareMax;
    const isAffordable = isSlowLink || this.#surroundings.idleShare() >= idleShareMin;
    return waitsForLink && isAffordable ? this.#wanted : { mode: 'none' };
  }
}

function ofThisMachine(): Surroundings {
  const processors = new Processors();
  let seen = performance.eventLoopUtilization();
  const busyShare = (): number => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, seen);
    seen = now;
    return utilization;
  };
  return { idleShare: () => processors.idleShare(), busyShare, now: () => performance.now() };
}
