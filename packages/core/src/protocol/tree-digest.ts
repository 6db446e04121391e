import { Blake3Hasher } from '@napi-rs/blake-hash';
import { ByteWriter, digestBytes } from './bytes.ts';
import { type PieceChange, writeChanges } from './changes.ts';

/** The changes of one unit; units without any are left out. */
export type UnitChanges = { readonly unit: number; readonly changes: readonly PieceChange[] };

/**
 * One digest for a whole copy, the same on every host that holds the same: BLAKE3 over "baton tree v1", the manifest's digest,
 * u32 number of units, their digests in order, u32 number of changed units, and for each, by number: u32 unit, its changes.
 *
 * `unitDigests` holds 32 bytes for each unit of the plan. The order of `changes` does not matter.
 */
export function treeDigest(
  manifestDigest: Uint8Array,
  unitDigests: Uint8Array,
  changes: readonly UnitChanges[],
): Uint8Array {
  if (manifestDigest.length !== digestBytes)
    throw new RangeError(`a digest has ${digestBytes} bytes, not ${manifestDigest.length}`);
  if (unitDigests.length % digestBytes !== 0)
    throw new RangeError(`${unitDigests.length} bytes of digests are no multiple of ${digestBytes}`);
  const changed = changes.filter((unit) => unit.changes.length > 0).toSorted((left, right) => left.unit - right.unit);
  const tail = new ByteWriter().u32(changed.length);
  for (const { unit, changes: pieces } of changed) {
    tail.u32(unit);
    writeChanges(tail, pieces);
  }
  const digest = new Blake3Hasher()
    .update('baton tree v1')
    .update(manifestDigest)
    .update(new ByteWriter(4).u32(unitDigests.length / digestBytes).view())
    .update(unitDigests)
    .update(tail.view())
    .digestBuffer();
  return new Uint8Array(digest);
}
