import { BatonError } from '@batondb/core/errors';
import { LeaseClock } from '@batondb/etcd/lease-clock';

/** Cells behind those of the clock, each 64 bits. */
const cells = { leads: 0, failed: 1 } as const;

/**
 * Whether this process may answer reads: in memory that all its threads share. It may as long as it is certain that no other node leads the log, and
 * has applied all that was accepted before it led (E5). Time is that of `process.hrtime`, which does not go back and is the same in all threads.
 */
export class ReadGate {
  readonly #cells: BigInt64Array;
  readonly #clock: LeaseClock;

  constructor(memory: SharedArrayBuffer) {
    this.#clock = new LeaseClock(memory);
    this.#cells = new BigInt64Array(memory, LeaseClock.bytes);
  }

  /** Memory for a gate, which is shut. It may be posted to other threads. */
  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(LeaseClock.bytes + Object.keys(cells).length * 8);
  }

  // ── the log ──

  /** Nobody else leads until then, by a lease with a number. */
  hold(lease: number, untilNs: bigint): void {
    this.#clock.hold(lease, untilNs);
  }

  /** Nobody else ever leads: the log belongs to this process. */
  holdForever(): void {
    this.#clock.holdForever();
  }

  /** Somebody else may lead. */
  release(): void {
    this.#clock.release();
  }

  // ── the machine ──

  /** What is published is all that was accepted. */
  set isLeading(leads: boolean) {
    Atomics.store(this.#cells, cells.leads, leads ? 1n : 0n);
  }

  /** Nothing more is written by this process. What it has can be read as before. */
  fail(): void {
    Atomics.store(this.#cells, cells.failed, 1n);
  }

  // ── whoever reads ──

  get hasFailed(): boolean {
    return Atomics.load(this.#cells, cells.failed) !== 0n;
  }

  get isOpen(): boolean {
    const leads = Atomics.load(this.#cells, cells.leads) !== 0n;
    return leads && this.#clock.isHeld;
  }

  /** What some work gives, or its error, which is an answer, too: unless neither is certain (E5). Throws UNAVAILABLE then. */
  answer<T>(work: () => T): T {
    try {
      return work();
    } finally {
      this.expectOpen();
    }
  }

  /** To be called when an answer is ready: what it says was so at a time when nobody else could have led. Throws UNAVAILABLE. */
  expectOpen(): void {
    if (this.isOpen) return;
    throw new BatonError('UNAVAILABLE', 'this node does not lead its log, or cannot be certain that it does', {
      retryable: true,
      hint: 'ask the node that leads, or again in a few seconds',
    });
  }
}
