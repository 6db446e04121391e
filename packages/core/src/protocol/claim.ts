import { limits } from '../limits.ts';
import { ByteReader, ByteWriter } from './bytes.ts';

// The CLAIM frame: what a receiver has under the place of a unit, from a copy that is to be brought up to date. It says so block by
// block, in short digests: a wrong one costs another sending, since the unit as a whole is compared with its own digest.

/** Content that one digest of a claim speaks of; the last block of a unit may be shorter. The page of most databases. Bytes. */
export const claimBlockBytes = 16_384;
/** The first bytes of a block's BLAKE3: 0.1 % of the content it stands for. */
export const claimDigestBytes = 16;

const blocksMax = limits.unitBytes / claimBlockBytes;

/** `digests` is empty where the receiver has nothing: the unit is to be sent whole. */
export type Claim = { readonly unit: number; readonly digests: Uint8Array };

/** How many blocks a unit of as many bytes has. */
export function blockCount(unitBytes: number): number {
  return Math.ceil(unitBytes / claimBlockBytes);
}

/** Layout: u32 unit, then 16 bytes for each block up to the frame's end. */
export function encodeClaim({ unit, digests }: Claim): Uint8Array<ArrayBuffer> {
  return new ByteWriter(4 + digests.length).u32(unit).bytes(digests).toBytes();
}

/** Reads a CLAIM payload. That the unit exists, and has as many blocks, is for the caller to check. */
export function decodeClaim(payload: Uint8Array): Claim {
  const reader = new ByteReader(payload, 'claim');
  const unit = reader.u32('unit');
  const blocks = reader.remaining / claimDigestBytes;
  if (!Number.isInteger(blocks)) {
    throw reader.protocolError('digests', `${reader.remaining} bytes long`, `each has ${claimDigestBytes} bytes`);
  }
  if (blocks > blocksMax) throw reader.limitError('digests', blocks, blocksMax);
  return { unit, digests: reader.bytes(reader.remaining, 'digests') };
}
