import { blake3 } from '@napi-rs/blake-hash';
import { BatonError } from '../errors.ts';
import { blockCount, claimBlockBytes, claimDigestBytes } from '../protocol/claim.ts';

// A unit as what is different in it: the receiver claims what it has, block by block, and is sent the other blocks. A patch is
// a bitmap of the blocks that follow (bit `i & 7` of byte `i >> 3` is block i), then those blocks. Pure.

/** What a receiver claims of a unit whose content would be this one. */
export function claimOf(content: Uint8Array): Uint8Array {
  const digests = new Uint8Array(blockCount(content.byteLength) * claimDigestBytes);
  let at = 0;
  for (const block of blocksOf(content)) {
    digests.set(
      blake3(Buffer.from(block.buffer, block.byteOffset, block.byteLength)).subarray(0, claimDigestBytes),
      at,
    );
    at += claimDigestBytes;
  }
  return digests;
}

/** The patch that makes `content` of what was claimed; undefined when none of it is of use. */
export function makePatch(content: Uint8Array, claim: Uint8Array): Uint8Array | undefined {
  const own = claimOf(content);
  if (claim.byteLength !== own.byteLength) return undefined;
  const bitmap = new Uint8Array(bitmapBytes(content.byteLength));
  const parts: Uint8Array[] = [bitmap];
  let index = 0;
  for (const block of blocksOf(content)) {
    const at = index * claimDigestBytes;
    const [mine, theirs] = [own, claim].map((digests) => digests.subarray(at, at + claimDigestBytes));
    if (Buffer.compare(mine!, theirs!) !== 0) {
      bitmap[index >> 3]! |= 1 << (index & 7);
      parts.push(block);
    }
    index++;
  }
  return parts.length > index ? undefined : Buffer.concat(parts);
}

/** The most that a patch for as much content holds. Bytes. */
export function patchBytesMax(contentBytes: number): number {
  return bitmapBytes(contentBytes) + contentBytes;
}

/** Makes of `content`, which is what was claimed, what the sender has. Throws PROTOCOL when the patch does not fit it. */
export function applyPatch(unit: number, patch: Uint8Array, content: Uint8Array): void {
  let at = bitmapBytes(content.byteLength);
  const misfit = () =>
    new BatonError(
      'PROTOCOL',
      `the patch of unit ${unit} has ${patch.byteLength} bytes, which its bitmap does not say`,
    );
  if (patch.byteLength < at) throw misfit();
  let index = 0;
  for (const block of blocksOf(content)) {
    if ((patch[index >> 3]! & (1 << (index & 7))) !== 0) {
      if (at + block.byteLength > patch.byteLength) throw misfit();
      block.set(patch.subarray(at, at + block.byteLength));
      at += block.byteLength;
    }
    index++;
  }
  if (at !== patch.byteLength) throw misfit();
}

function* blocksOf(content: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < content.byteLength; at += claimBlockBytes) yield content.subarray(at, at + claimBlockBytes);
}

function bitmapBytes(contentBytes: number): number {
  return Math.ceil(blockCount(contentBytes) / 8);
}
