import { Blake3Hasher } from '@napi-rs/blake-hash';

// One hasher a thread, and texts instead of buffers: a new hasher, or a buffer that the addon owns and the collector has to give back, costs
// more than the digest of a page.
const hasher = new Blake3Hasher();

/** The BLAKE3 digest of some bytes, as 64 hexadecimal digits. */
export function blake3Hex(bytes: Uint8Array): string {
  hasher.reset();
  return hasher.update(bytes).digest('hex');
}
