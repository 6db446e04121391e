import { BatonError } from '../errors.ts';
import type { PieceChange } from '../protocol/changes.ts';

// What a host has of a snapshot: a bit, a digest and the reader's remarks for each unit.

const digestBytes = 32;

/** A set as it goes from one thread to another: the arrays lie in shared memory. */
export type HaveShare = {
  readonly bits: Uint8Array;
  readonly digests: Uint8Array;
  readonly changes: ReadonlyMap<number, readonly PieceChange[]>;
  readonly count: number;
};

/** The units a host has. Resume, relays and healing all read this one structure. */
export class HaveSet {
  #unitCount: number;
  #reach: number;
  #prefix = 0;
  readonly #bits: Uint8Array;
  readonly #digests: Uint8Array;
  readonly #changes: Map<number, readonly PieceChange[]>;
  #count: number;

  constructor(unitCount: number, share?: HaveShare) {
    this.#unitCount = unitCount;
    this.#reach = share === undefined ? 0 : unitCount;
    this.#bits = share?.bits ?? new Uint8Array(new SharedArrayBuffer(Math.ceil(unitCount / 8)));
    this.#digests = share?.digests ?? new Uint8Array(new SharedArrayBuffer(unitCount * digestBytes));
    this.#changes = new Map(share?.changes);
    this.#count = share?.count ?? 0;
  }

  /** What the constructor of another thread takes; both share the memory, so only one of them may go on adding. */
  share(): HaveShare {
    return { bits: this.#bits, digests: this.#digests, changes: this.#changes, count: this.#count };
  }

  /** How many units there can be. */
  get unitCount(): number {
    return this.#unitCount;
  }

  /** No unit at or above it is there. */
  get reach(): number {
    return this.#reach;
  }

  /** All units below it are there. */
  get prefix(): number {
    while (this.#prefix < this.#unitCount && this.has(this.#prefix)) this.#prefix++;
    return this.#prefix;
  }

  /** A stream has ended: it has as many units. Throws PROTOCOL when more are there already. */
  end(unitCount: number): void {
    if (unitCount < this.#reach || unitCount > this.#unitCount) {
      const bounds = `unit ${this.#reach - 1} is here already, and ${this.#unitCount} is the most it may have`;
      throw new BatonError('PROTOCOL', `the stream is said to end with ${unitCount} units, but ${bounds}`);
    }
    this.#unitCount = unitCount;
  }

  /** How many units are there. */
  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === this.#unitCount;
  }

  has(unit: number): boolean {
    return ((this.#bits[unit >> 3] ?? 0) & (1 << (unit & 7))) !== 0;
  }

  /** Marks a unit as there. `changes` are the source's remarks on files that changed while they were read. */
  add(unit: number, digest: Uint8Array, changes: readonly PieceChange[] = []): void {
    if (unit >= this.#unitCount) throw new RangeError(`no unit ${unit} among ${this.#unitCount}`);
    if (!this.has(unit)) this.#count++;
    this.#reach = Math.max(this.#reach, unit + 1);
    this.#bits[unit >> 3] = (this.#bits[unit >> 3] ?? 0) | (1 << (unit & 7));
    this.#digests.set(digest, unit * digestBytes);
    if (changes.length > 0) this.#changes.set(unit, changes);
    else this.#changes.delete(unit);
  }

  /** The 32-byte digest of a unit that is there. */
  digest(unit: number): Uint8Array {
    return this.#digests.subarray(unit * digestBytes, (unit + 1) * digestBytes);
  }

  changes(unit: number): readonly PieceChange[] {
    return this.#changes.get(unit) ?? [];
  }

  /** The numbers of the units that are there, ascending. */
  *units(): Generator<number> {
    for (let unit = 0; unit < this.#reach; unit++) if (this.has(unit)) yield unit;
  }

  /** All remarks, by unit, ascending. */
  allChanges(): { unit: number; changes: readonly PieceChange[] }[] {
    return [...this.#changes].sort(([a], [b]) => a - b).map(([unit, changes]) => ({ unit, changes }));
  }

  /** The digests of all units, 32 bytes each, in the order of their numbers. Meaningful when full. */
  allDigests(): Uint8Array {
    return this.#digests.subarray(0, this.#unitCount * digestBytes);
  }

  /** The bits and digests of `count` units from `first` (a multiple of 8) on, as a HAVE message gives them. */
  slice(first: number, count: number): { bitmap: Uint8Array; digests: Uint8Array } {
    const end = Math.min(first + count, this.#unitCount);
    const digests: Uint8Array[] = [];
    for (let unit = first; unit < end; unit++) if (this.has(unit)) digests.push(this.digest(unit));
    return { bitmap: this.#bits.slice(first >> 3, Math.ceil(end / 8)), digests: Buffer.concat(digests) };
  }
}
