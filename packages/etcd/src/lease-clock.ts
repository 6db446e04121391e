/** Cells, each 64 bits. */
const cells = { untilNs: 0, lease: 1 } as const;
const forever = 2n ** 62n;

/**
 * Until when a lease is certainly ours: in memory that threads share. Time is that of `process.hrtime`, which does not go back and is the same in all
 * threads.
 */
export class LeaseClock {
  /** What it needs at the beginning of a memory; the rest is its owner's. */
  static readonly bytes = 16;
  readonly #cells: BigInt64Array;

  constructor(memory: SharedArrayBuffer) {
    this.#cells = new BigInt64Array(memory, 0, LeaseClock.bytes / 8);
  }

  /** A lease with a number lasts until then. */
  hold(lease: number, untilNs: bigint): void {
    Atomics.store(this.#cells, cells.lease, BigInt(lease));
    Atomics.store(this.#cells, cells.untilNs, untilNs);
  }

  /** The lease was prolonged, if it is still the one that counts. */
  prolong(lease: number, untilNs: bigint): void {
    if (Atomics.load(this.#cells, cells.lease) === BigInt(lease)) Atomics.store(this.#cells, cells.untilNs, untilNs);
  }

  /** Nobody else can have it, ever. */
  holdForever(): void {
    this.hold(0, forever);
  }

  release(): void {
    this.hold(0, 0n);
  }

  get isHeld(): boolean {
    return process.hrtime.bigint() < Atomics.load(this.#cells, cells.untilNs);
  }
}
