import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Claim } from '../protocol/claim.ts';
import { SharedUnit } from '../transport/unit-buffers.ts';
import type { CompressionChoice } from './compression-choice.ts';
import type { UnitSupply } from './supply.ts';

/** A UNIT message is never longer: content that does not shrink goes as it is, and a header has at most some bytes a piece. */
const readBytesMax = limits.unitBytes + 64 + 3 * limits.unitPiecesMax;

/** How a receiver is served. */
export type OutboxOptions = { readonly readsMax: number; readonly claims: boolean };

/** A unit ready to be written to a connection, and released after that. */
export type ReadyUnit = { readonly unit: number; readonly message: SharedUnit };

/**
 * The units one receiver still needs, in the order in which they can be had, a bounded number of them in memory. A receiver that
 * claims gets each unit after its claim, and made for it.
 *
 * A slow receiver never slows its sender down: what does not fit here is dropped and read again from disk when its
 * turn comes (T5).
 */
export class Outbox implements Disposable {
  readonly #supply: UnitSupply;
  readonly #choice: CompressionChoice;
  readonly #readsMax: number;
  /** Units the receiver has, or that were queued for it. */
  readonly #settled: Uint8Array;
  readonly #ready: ReadyUnit[] = [];
  readonly #watch: Disposable;
  #readyBytes = 0;
  #reading = 0;
  #cursor = 0;
  /** What the receiver has in place of units that it waits for; undefined: it does not claim. */
  readonly #claims: Map<number, Uint8Array> | undefined;
  /** Units below the cursor that became available after it had passed. */
  readonly #late: number[] = [];
  #lateNext = 0;
  #wake: (() => void)[] = [];
  #failure: Error | undefined;

  /** `readsMax`: how many units may be read from disk at the same time. `claims`: the receiver claims. */
  constructor(supply: UnitSupply, choice: CompressionChoice, { readsMax, claims }: OutboxOptions) {
    this.#supply = supply;
    this.#choice = choice;
    this.#readsMax = readsMax;
    this.#claims = claims ? new Map() : undefined;
    this.#settled = new Uint8Array(supply.layout.unitCount);
    this.#watch = supply.watch((unit, message) => this.#available(unit, message), choice);
  }

  /** The receiver has this unit already. To be said before the first take(). */
  settle(unit: number): void {
    const wasQueued = this.#settled[unit] === 1;
    this.#settled[unit] = 1;
    // It became available here while the receiver was still telling what it has.
    const at = wasQueued ? this.#ready.findIndex((ready) => ready.unit === unit) : -1;
    for (const { message } of at < 0 ? [] : this.#ready.splice(at, 1)) {
      this.#readyBytes -= message.payload.byteLength;
      message.release();
    }
  }

  /** The receiver waits for a unit, and says what it has in its place. Throws PROTOCOL and LIMIT for what it may not say. */
  claim({ unit, digests }: Claim): void {
    if (this.#claims === undefined)
      throw new BatonError('PROTOCOL', `unit ${unit} is claimed by one that does not claim`);
    if (unit >= this.#supply.layout.unitCount) {
      throw new BatonError('PROTOCOL', `claim: unit is ${unit}, but there are ${this.#supply.layout.unitCount}`);
    }
    if (this.#settled[unit] === 1) return;
    if (this.#claims.size >= limits.claimsMax) {
      throw new BatonError('LIMIT', `${limits.claimsMax} units are claimed and not answered, which is the limit`);
    }
    this.#claims.set(unit, digests);
    this.#signalChange();
  }

  /** The next unit to send; waits until there is one. Rejects when a unit cannot be read or `signal` aborts. */
  async take(signal: AbortSignal): Promise<ReadyUnit> {
    for (let isFirstLook = true; ; isFirstLook = false) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure;
      const ready = this.#ready.shift();
      // What comes while we wait for it was not waiting for us.
      if (isFirstLook) this.#choice.observe(ready !== undefined);
      if (ready !== undefined) {
        this.#readyBytes -= ready.message.payload.byteLength;
        this.#fill();
        return ready;
      }
      this.#fill();
      await this.#change(signal);
    }
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    for (const { message } of this.#ready.splice(0)) message.release();
    this.#failure ??= new Error('the outbox was closed');
    this.#signalChange();
  }

  #available(unit: number, message: SharedUnit | undefined): void {
    if (this.#settled[unit] === 1) return;
    if (this.#claims !== undefined) {
      this.#signalChange();
      return;
    }
    const fits = message !== undefined && this.#heldBytes() + message.payload.byteLength <= limits.hopBufferBytes;
    if (fits) this.#push({ unit, message: message.retain() });
    else if (unit < this.#cursor) this.#late.push(unit);
    this.#signalChange();
  }

  /** What is in memory, and what the reads under way will add to it. */
  #heldBytes(): number {
    return this.#readyBytes + this.#reading * readBytesMax;
  }

  #push(ready: ReadyUnit): void {
    this.#settled[ready.unit] = 1;
    this.#ready.push(ready);
    this.#readyBytes += ready.message.payload.byteLength;
  }

  #fill(): void {
    while (
      this.#failure === undefined &&
      this.#reading < this.#readsMax &&
      this.#heldBytes() + readBytesMax <= limits.hopBufferBytes
    ) {
      const unit = this.#next();
      if (unit === undefined) return;
      const claim = this.#claims?.get(unit);
      this.#claims?.delete(unit);
      this.#settled[unit] = 1;
      this.#reading++;
      this.#supply.read(unit, this.#choice.current(), claim).then(
        (payload) => {
          this.#reading--;
          this.#push({ unit, message: new SharedUnit(payload) });
          this.#fill();
          this.#signalChange();
        },
        (error: Error) => {
          this.#reading--;
          this.#failure ??= error;
          this.#signalChange();
        },
      );
    }
  }

  #next(): number | undefined {
    if (this.#claims !== undefined) return this.#nextClaimed(this.#claims);
    while (this.#lateNext < this.#late.length) {
      const unit = this.#late[this.#lateNext++] ?? 0;
      if (this.#settled[unit] === 0) return unit;
    }
    this.#late.length = 0;
    this.#lateNext = 0;
    while (this.#cursor < this.#supply.reach) {
      const unit = this.#cursor++;
      const isSettled = this.#settled[unit] === 1;
      // What a stream's source has no more is asked for, too: that says so.
      if (!isSettled && (this.#supply.has(unit) || unit < this.#supply.oldest)) return unit;
    }
    return undefined;
  }

  #nextClaimed(claims: ReadonlyMap<number, Uint8Array>): number | undefined {
    for (const unit of claims.keys()) if (this.#supply.has(unit)) return unit;
    return undefined;
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const onAbort = () => resolve();
      signal.addEventListener('abort', onAbort, { once: true });
      this.#wake.push(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
    });
  }

  #signalChange(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}
