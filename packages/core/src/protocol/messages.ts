import { limits } from '../limits.ts';
import { ByteReader, ByteWriter, digestBytes } from './bytes.ts';

// Payloads of the small data-channel frames. UNIT is in unit.ts, HELLO and HELLO_ACK are in hello.ts.

/** Bounds of an ERROR frame: it has to fit a log line, not a report. */
const errorCodeBytesMax = 64;
const errorMessageBytesMax = 4096;

/** Units one HAVE frame speaks of: 8 KiB of bitmap and at most 2 MiB of digests, well below a frame's limit. */
export const haveUnitsMax = 65_536;

const utf8 = new TextDecoder();

/** Ends a connection with a reason. `code` is one of the registered codes, or one that a newer peer knows. */
export type ErrorMessage = { readonly code: string; readonly message: string; readonly retryable: boolean };

/** Layout: u8 retryable, varint length + code, varint length + message, both UTF-8. Longer texts are cut. */
export function encodeError(error: ErrorMessage): Uint8Array<ArrayBuffer> {
  return new ByteWriter()
    .u8(error.retryable ? 1 : 0)
    .lengthAndBytes(cutText(error.code, errorCodeBytesMax))
    .lengthAndBytes(cutText(error.message, errorMessageBytesMax))
    .toBytes();
}

/** Reads an ERROR payload. What is no UTF-8 in it becomes U+FFFD: an error about an error helps nobody. */
export function decodeError(payload: Uint8Array): ErrorMessage {
  const reader = new ByteReader(payload, 'error');
  const retryable = reader.bool('retryable');
  const code = utf8.decode(reader.lengthAndBytes('code', errorCodeBytesMax));
  const message = utf8.decode(reader.lengthAndBytes('message', errorMessageBytesMax));
  reader.finish();
  return { code, message, retryable };
}

function cutText(text: string, bytesMax: number): Uint8Array {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= bytesMax) return bytes;
  let end = bytesMax;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/** The manifest is over: how much of it there was, how many units the plan cuts it into, and its digest. */
export type ManifestEnd = {
  readonly sections: number;
  readonly entries: number;
  readonly units: number;
  readonly digest: Uint8Array;
};

/** Layout: u32 sections, u32 entries, u32 units, 32 bytes digest. */
export function encodeManifestEnd(end: ManifestEnd): Uint8Array<ArrayBuffer> {
  return new ByteWriter(48)
    .u32(end.sections)
    .u32(end.entries)
    .u32(end.units)
    .bytes(checkedDigest(end.digest))
    .toBytes();
}

/** Reads a MANIFEST_END payload. That the counts fit the sections is for the caller to check. */
export function decodeManifestEnd(payload: Uint8Array): ManifestEnd {
  const reader = new ByteReader(payload, 'manifest end');
  const sections = reader.u32('sections');
  const entries = reader.u32('entries');
  if (entries > limits.entriesMax) throw reader.limitError('entries', entries, limits.entriesMax);
  const units = reader.u32('units');
  const digest = reader.bytes(digestBytes, 'digest');
  reader.finish();
  return { sections, entries, units, digest };
}

/** A stream is over: it has as many units, and all that is sent of it was good. Layout: u32 units. */
export function encodeStreamEnd({ units }: { readonly units: number }): Uint8Array<ArrayBuffer> {
  return new ByteWriter(4).u32(units).toBytes();
}

/** Reads a STREAM_END payload. */
export function decodeStreamEnd(payload: Uint8Array): { readonly units: number } {
  const reader = new ByteReader(payload, 'stream end');
  const units = reader.u32('units');
  reader.finish();
  return { units };
}

/**
 * Which units the receiver holds already. Bit `i & 7` of bitmap byte `i >> 3` stands for unit `firstUnit + i`;
 * `digests` holds 32 bytes for each set bit, in order.
 */
export type Have = { readonly firstUnit: number; readonly bitmap: Uint8Array; readonly digests: Uint8Array };

/** Layout: u32 first unit, varint length + bitmap, then the digests up to the end of the frame. */
export function encodeHave(have: Have): Uint8Array<ArrayBuffer> {
  return new ByteWriter(have.bitmap.length + have.digests.length + 16)
    .u32(have.firstUnit)
    .lengthAndBytes(have.bitmap)
    .bytes(have.digests)
    .toBytes();
}

/** Reads a HAVE payload; the arrays are views of it. That the units exist is for the caller to check, who knows how many there are. */
export function decodeHave(payload: Uint8Array): Have {
  const reader = new ByteReader(payload, 'have');
  const firstUnit = reader.u32('first unit');
  const bitmap = reader.view(reader.varint('bitmap length', haveUnitsMax / 8), 'bitmap');
  if (firstUnit + bitmap.length * 8 > 2 ** 32) {
    throw reader.protocolError(
      'first unit',
      firstUnit,
      `with ${bitmap.length * 8} units after it, it must stay below 2^32`,
    );
  }
  const wanted = countBits(bitmap) * digestBytes;
  if (reader.remaining !== wanted) {
    throw reader.protocolError('digests', `${reader.remaining} bytes long`, `the bitmap asks for ${wanted} bytes`);
  }
  return { firstUnit, bitmap, digests: reader.view(wanted, 'digests') };
}

function countBits(bitmap: Uint8Array): number {
  let count = 0;
  for (let byte of bitmap) {
    for (; byte !== 0; byte &= byte - 1) count++;
  }
  return count;
}

/** The receiver holds every unit; `treeDigest` is what it arrived at. */
export type Complete = { readonly treeDigest: Uint8Array };

/** Layout: 32 bytes tree digest. */
export function encodeComplete(complete: Complete): Uint8Array<ArrayBuffer> {
  return new Uint8Array(checkedDigest(complete.treeDigest));
}

export function decodeComplete(payload: Uint8Array): Complete {
  const reader = new ByteReader(payload, 'complete');
  const treeDigest = reader.bytes(digestBytes, 'tree digest');
  reader.finish();
  return { treeDigest };
}

function checkedDigest(digest: Uint8Array): Uint8Array {
  if (digest.length !== digestBytes) throw new RangeError(`a digest has ${digestBytes} bytes, not ${digest.length}`);
  return digest;
}
