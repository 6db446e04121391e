import { BatonError } from '../errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { decodeUnit } from '../protocol/unit.ts';
import { giveUnitBuffer, SharedUnit, takeUnitBuffer } from '../transport/unit-buffers.ts';
import type { HaveSet } from './have.ts';
import { isLost } from './job-runner.ts';
import type { UnitCompression } from './jobs.ts';
import type { Layout } from './layout.ts';
import type { Staging } from './staging.ts';
import { historyLost, type SupplyListener, type UnitSupply } from './supply.ts';
import type { WorkerPool } from './worker-pool.ts';

/** What a receiver has of a tree: units are verified, written, recorded, and from then on supplied to others. */
export class StagedTree implements UnitSupply {
  readonly manifest: Manifest;
  readonly layout: Layout;
  readonly have: HaveSet;
  /** Resolves when the last unit is there. */
  readonly full: Promise<void>;
  readonly #pool: WorkerPool;
  readonly #staging: Staging;
  readonly #listeners = new Set<SupplyListener>();
  readonly #writing = new Set<number>();
  #oldest = 0;
  readonly #ended = Promise.withResolvers<number>();
  #resolveFull: () => void = () => undefined;

  /** `pool` has the tree open as `staging`; `have` are the units found good from an earlier run. */
  constructor(pool: WorkerPool, staging: Staging, tree: { manifest: Manifest; layout: Layout; have: HaveSet }) {
    this.#pool = pool;
    this.#staging = staging;
    this.manifest = tree.manifest;
    this.layout = tree.layout;
    this.have = tree.have;
    this.full = new Promise((resolve) => {
      this.#resolveFull = resolve;
    });
    if (!tree.layout.isStream) this.#ended.resolve(tree.layout.unitCount);
    if (this.have.isFull) this.#resolveFull();
  }

  /** Threads that work for it. */
  get workers(): number {
    return this.#pool.size;
  }

  get reach(): number {
    return this.have.reach;
  }

  get oldest(): number {
    return this.#oldest;
  }

  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /** The sender says that a stream has ended, with as many units. Throws PROTOCOL when that cannot be. */
  end(units: number): void {
    if (!this.layout.isStream) throw new BatonError('PROTOCOL', 'what is no stream was said to end');
    this.have.end(units);
    this.#ended.resolve(units);
    if (this.have.isFull) this.#resolveFull();
  }

  has(unit: number): boolean {
    return this.have.has(unit);
  }

  learn(): void {
    // What a receiver knows it has verified itself.
  }

  /** Verifies and writes one UNIT message, records it, and passes it on to those that wait for it. */
  async write(payload: Uint8Array<ArrayBuffer>): Promise<void> {
    const { unit: number, isPatch } = decodeUnit(payload);
    // Healing can bring a unit twice: over the old hop and over the new one.
    if (this.has(number) || this.#writing.has(number)) return;
    this.#writing.add(number);
    try {
      const written = await this.#pool.run({ kind: 'write', payload }, [payload.buffer]);
      this.#staging.record(written.unit, written.digest, written.changes);
      this.have.add(written.unit, written.digest, written.changes);
      const shared = new SharedUnit(written.payload);
      for (const listener of this.#listeners) listener(written.unit, isPatch ? undefined : shared);
      shared.release();
    } finally {
      this.#writing.delete(number);
    }
    if (this.have.isFull) this.#resolveFull();
  }

  /** What there is in the place of a unit in the copy that is brought up to date, as a CLAIM says it. */
  async claim(unit: number): Promise<Uint8Array> {
    return (await this.#pool.run({ kind: 'claim', unit })).digests;
  }

  /** Of a spool: frees the units below `units`. Nobody may ask for them again (R6). */
  async forget(units: number): Promise<void> {
    const fromUnit = this.#oldest;
    if (units <= fromUnit) return;
    this.#oldest = units;
    await this.#pool.run({ kind: 'forget', fromUnit, toUnit: units });
  }

  async read(unit: number, compression: UnitCompression, claim?: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    if (unit < this.#oldest) throw historyLost('this host', unit, this.#oldest);
    const changes = this.have.changes(unit);
    // The first look may fall into the moment in which the copy gets its final name.
    for (let looks = 1; looks <= 2; looks++) {
      const into = takeUnitBuffer();
      const claimed = claim === undefined ? {} : { claim };
      const job = { kind: 'read', unit, compression, changes, into, ...claimed } as const;
      const { payload, digest } = await this.#pool.run(job, [into.buffer]);
      if (Buffer.compare(digest, this.have.digest(unit)) === 0) return payload;
      giveUnitBuffer(payload);
    }
    throw new BatonError(
      'DIGEST_MISMATCH',
      `unit ${unit} is no longer what was received here, so it cannot be passed on`,
    );
  }

  /** Reads every unit again from the disk; the numbers of those that are not what was received. */
  async verify(onVerified: (bytes: number) => void, signal: AbortSignal): Promise<number[]> {
    const damaged: number[] = [];
    const next = { unit: 0 };
    const reader = async () => {
      while (next.unit < this.have.unitCount) {
        signal.throwIfAborted();
        const unit = next.unit++;
        if (this.have.changes(unit).some(isLost)) continue;
        const { digest } = await this.#pool.run({ kind: 'hash', unit, fromDisk: true });
        if (Buffer.compare(digest, this.have.digest(unit)) !== 0) damaged.push(unit);
        onVerified(this.layout.unitBytes(unit));
      }
    };
    await Promise.all(Array.from({ length: this.#pool.size }, reader));
    return damaged.sort((a, b) => a - b);
  }

  /** Files that the source could no longer read, by entry: they are left out of the copy. */
  lostEntries(): number[] {
    const lost = new Set<number>();
    for (const { unit, changes } of this.have.allChanges()) {
      const pieces = this.layout.pieces(unit);
      for (const change of changes) if (isLost(change)) lost.add(pieces[change.piece]?.entry ?? 0);
    }
    return [...lost];
  }

  watch(listener: SupplyListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
