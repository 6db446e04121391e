import type { ChangeKind } from '../protocol/changes.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { takeUnitBuffer } from '../transport/unit-buffers.ts';
import { HaveSet } from './have.ts';
import type { UnitCompression } from './jobs.ts';
import type { Layout } from './layout.ts';
import type { SupplyListener, UnitSupply } from './supply.ts';
import type { WorkerPool } from './worker-pool.ts';

/** Told once of every file that was not what the manifest says when it was read. */
export type ChangeListener = (entry: number, change: ChangeKind) => void;

/** The source's own files as a supply: every unit can be had at any time; its digest is known once it was read. */
export class SourceTree implements UnitSupply {
  readonly manifest: Manifest;
  readonly layout: Layout;
  /** Digests of what was read here, or is known from receivers that had it from an earlier run. */
  readonly known: HaveSet;
  readonly #pool: WorkerPool;
  readonly #onChange: ChangeListener;
  readonly #changed = new Set<number>();

  /** `pool` has the tree open as `source`. */
  constructor(pool: WorkerPool, manifest: Manifest, layout: Layout, onChange: ChangeListener) {
    this.#pool = pool;
    this.manifest = manifest;
    this.layout = layout;
    this.known = new HaveSet(layout.unitCount);
    this.#onChange = onChange;
  }

  get reach(): number {
    return this.layout.unitCount;
  }

  get oldest(): number {
    return 0;
  }

  get ended(): Promise<number> {
    return Promise.resolve(this.layout.unitCount);
  }

  has(): boolean {
    return true;
  }

  learn(unit: number, digest: Uint8Array): void {
    // What was read here counts for more, and so do its remarks.
    if (!this.known.has(unit)) this.known.add(unit, digest);
  }

  async read(unit: number, compression: UnitCompression, claim?: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const into = takeUnitBuffer();
    const job = { kind: 'read', unit, compression, into, ...(claim === undefined ? {} : { claim }) } as const;
    const { payload, digest, changes } = await this.#pool.run(job, [into.buffer]);
    this.known.add(unit, digest, changes);
    if (changes.length > 0) {
      const pieces = this.layout.pieces(unit);
      for (const { piece, change } of changes) this.#report(pieces[piece]?.entry ?? 0, change);
    }
    return payload;
  }

  /** Reads every unit again and reports files that are not what was sent. After that, every digest is known. */
  async verify(signal: AbortSignal): Promise<void> {
    const next = { unit: 0 };
    const reader = async () => {
      while (next.unit < this.layout.unitCount) {
        signal.throwIfAborted();
        const unit = next.unit++;
        const { digest, changes } = await this.#pool.run({ kind: 'hash', unit, fromDisk: true });
        const pieces = this.layout.pieces(unit);
        for (const { piece, change } of changes) this.#report(pieces[piece]?.entry ?? 0, change);
        // T7: a unit that no receiver needed from here has not been read before.
        if (!this.known.has(unit)) this.known.add(unit, digest, changes);
        const isSame = Buffer.compare(this.known.digest(unit), digest) === 0;
        if (!isSame && changes.length === 0) for (const { entry } of pieces) this.#report(entry, 'changed');
      }
    };
    await Promise.all(Array.from({ length: this.#pool.size }, reader));
  }

  watch(_listener: SupplyListener): Disposable {
    return { [Symbol.dispose]: () => undefined };
  }

  #report(entry: number, change: ChangeKind): void {
    if (this.#changed.has(entry)) return;
    this.#changed.add(entry);
    this.#onChange(entry, change);
  }
}
