import type { UnitCompression } from './jobs.ts';

/**
 * Chooses for each unit whether compressing it helps.
 *
 * In `auto`, a unit is compressed when the link is what a copy waits for: whoever sends finds the next unit waiting.
 * When the sender waits for units instead, the processors are what is short, and compressing would cost
 * more of them than it saves (TLS moves 370 MiB per CPU second, zstd 1 packs and unpacks at 340).
 */
export class CompressionChoice {
  readonly #wanted: UnitCompression;
  /** Between 0 (the sender always waits for units) and 1 (a unit is always waiting for the link). */
  #pressure: number;

  constructor(wanted: UnitCompression) {
    this.#wanted = wanted;
    // The first units are compressed: the link of most copies is slower than zstd.
    this.#pressure = 1;
  }

  /** Tells what a sender found that was ready for the next unit. */
  observe(unitWasWaiting: boolean): void {
    const weight = 1 / 16;
    this.#pressure += ((unitWasWaiting ? 1 : 0) - this.#pressure) * weight;
  }

  /** How the next unit is to be compressed. */
  current(): UnitCompression {
    if (this.#wanted.mode !== 'auto') return this.#wanted;
    return this.#pressure >= 0.5 ? this.#wanted : { mode: 'none' };
  }
}
