import { BatonError } from '../errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { SharedUnit } from '../transport/unit-buffers.ts';
import type { CompressionChoice } from './compression-choice.ts';
import type { UnitCompression } from './jobs.ts';
import type { Layout } from './layout.ts';

// Where a hop takes its units from: the source's files, or what a relay has received so far.

/**
 * Told of a unit that has become available, with its message, if it came as one that others can use. Who keeps that retains it, and
 * releases it later.
 */
export type SupplyListener = (unit: number, message: SharedUnit | undefined) => void;

/** Says that a unit of a stream can be had no more. */
export function historyLost(who: string, unit: number, oldest: number): BatonError {
  return new BatonError(
    'HISTORY_LOST',
    `${who} has unit ${unit} of the stream no more, which can be read once; its oldest is ${oldest}`,
    { hint: 'run the same command again: it begins anew' },
  );
}

/**
 * A manifest and those of its units that can be had here now. Units become available and stay so, but for those of a stream, of which
 * its source keeps the last ones only, and a spool what others may need.
 */
export interface UnitSupply {
  readonly manifest: Manifest;
  readonly layout: Layout;
  /** No unit at or above it has become available yet. */
  readonly reach: number;
  /** Units below it were here and can be had no more. */
  readonly oldest: number;
  /** Resolves with the number of units once that is known: of a stream at its good end. */
  readonly ended: Promise<number>;
  has(unit: number): boolean;
  /** Takes note of the digest (32 bytes) a receiver has for a unit from an earlier run. */
  learn(unit: number, digest: Uint8Array): void;
  /**
   * Reads a unit again as a UNIT message; as a patch of what a receiver claims to have, where that is of use. Throws DIGEST_MISMATCH
   * when a relay's copy is not what it was, HISTORY_LOST when a unit of a stream can be had no more.
   */
  read(unit: number, compression: UnitCompression, claim?: Uint8Array): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Calls `listener` for every unit that becomes available from now on. A stream's source, which makes one message for all hops, asks
   * `choice` how.
   */
  watch(listener: SupplyListener, choice?: CompressionChoice): Disposable;
}
