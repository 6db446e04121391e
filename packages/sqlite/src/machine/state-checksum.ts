import { blake3Hex } from '../blake3.ts';
import type { StateChecksum } from './command.ts';

// The checksum of a database's content: the exclusive or of a digest of every page. So it follows from the one before and the
// pages that changed, and a node that holds other content notices at its next entry. It guards against faults, not against an enemy.

/** A database without pages. */
export const emptyChecksum: StateChecksum = 0n;

const numberBytes = 4;
let scratch: Buffer = Buffer.alloc(0);

/** 64 bits that speak of a page's number and its bytes. */
export function pageDigest(page: number, content: Uint8Array): bigint {
  if (scratch.length !== content.length + numberBytes) scratch = Buffer.alloc(content.length + numberBytes);
  scratch.set(content);
  scratch.writeUInt32LE(page, content.length);
  return BigInt(`0x${blake3Hex(scratch).slice(0, 16)}`);
}

/** Digests of a database's pages, so that a page that changes again need not be read for its old one. */
export class PageDigests {
  #digests: BigUint64Array = new BigUint64Array(1024);

  /** The digest of a page as it was last told; 0: not known. */
  get(page: number): bigint {
    return this.#digests[page] ?? 0n;
  }

  set(page: number, digest: bigint): void {
    if (page >= this.#digests.length) {
      const larger = new BigUint64Array(2 ** Math.ceil(Math.log2(page + 1)));
      larger.set(this.#digests);
      this.#digests = larger;
    }
    this.#digests[page] = digest;
  }
}
