import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { blake3 } from '@napi-rs/blake-hash';
import { BatonError } from '../errors.ts';
import type { PieceChange } from '../protocol/changes.ts';
import { decodeUnit, encodeUnitHeader, type Unit } from '../protocol/unit.ts';
import { freeBuffer } from '../transport/unit-buffers.ts';
import type { UnitCompression } from './jobs.ts';
import { applyPatch, makePatch, patchBytesMax } from './patch.ts';

// A unit's content to its message and back: digest and compression. Runs in workers; nothing here does I/O.

const sampleBytes = 64 * 1024;
/** A unit that zstd shrinks by less than a sixteenth goes as it is: the far side saves the decompression. */
const worthwhile = 15 / 16;
const fastestLevel = 1;
/** Smaller ones Node takes out of a pool, which nobody may free. */
const ownBufferBytesMin = 64 * 1024;

/** The digest of a unit's content: BLAKE3, 32 bytes. */
export function unitDigest(content: Uint8Array): Uint8Array {
  return blake3(Buffer.from(content.buffer, content.byteOffset, content.byteLength));
}

/** A unit that is to be sent. */
export type UnitToSend = {
  readonly unit: number;
  readonly content: Uint8Array;
  readonly changes: readonly PieceChange[];
  /** What the receiver claims to have in its place. */
  readonly claim: Uint8Array | undefined;
};

/** A whole UNIT message, in `into` if it fits there. */
export function encodeUnit(
  { unit, content, changes, claim }: UnitToSend,
  compression: UnitCompression,
  into: Uint8Array<ArrayBuffer>,
): { payload: Uint8Array<ArrayBuffer>; digest: Uint8Array } {
  const digest = unitDigest(content);
  const patch = claim === undefined ? undefined : makePatch(content, claim);
  const plain = patch ?? content;
  const compressed = compress(plain, compression);
  const header = encodeUnitHeader({
    unit,
    encoding: compressed === undefined ? 'raw' : 'zstd',
    isPatch: patch !== undefined,
    rawLength: content.byteLength,
    digest,
    changes,
  });
  const body = compressed ?? plain;
  const bytes = header.byteLength + body.byteLength;
  const payload = bytes <= into.byteLength ? into.subarray(0, bytes) : new Uint8Array(bytes);
  payload.set(header);
  payload.set(body, header.byteLength);
  if (compressed !== undefined) freeBuffer(compressed);
  return { payload, digest };
}

/**
 * A UNIT message's content, decompressed, patched and compared with its digest (T3: nothing is written before that). It is a part of the
 * message, or alone in its buffer, to be freed. `claimed` gives what was claimed of a unit, alone in its buffer, too.
 */
export function openUnit(
  payload: Uint8Array,
  claimed: (unit: number) => Uint8Array = nothingClaimed,
): {
  unit: number;
  digest: Uint8Array;
  changes: readonly PieceChange[];
  content: Uint8Array;
} {
  const message = decodeUnit(payload);
  const content = contentOf(message, claimed);
  if (content.byteLength !== message.rawLength) {
    throw new BatonError(
      'PROTOCOL',
      `unit ${message.unit} holds ${content.byteLength} bytes where its header says ${message.rawLength}`,
    );
  }
  const digest = unitDigest(content);
  if (Buffer.compare(digest, message.digest) !== 0) {
    throw new BatonError(
      'DIGEST_MISMATCH',
      `unit ${message.unit} arrived with digest ${hex(digest)} where its sender says ${hex(message.digest)}`,
      { retryable: true },
    );
  }
  return { unit: message.unit, digest, changes: message.changes, content };
}

function nothingClaimed(unit: number): never {
  throw new BatonError('PROTOCOL', `unit ${unit} came as a patch, and nothing was claimed`);
}

function contentOf(message: Unit, claimed: (unit: number) => Uint8Array): Uint8Array {
  const { unit, encoding, isPatch, rawLength } = message;
  const bytesMax = isPatch ? patchBytesMax(rawLength) : rawLength;
  const plain = encoding === 'raw' ? message.content : decompress(unit, message.content, bytesMax);
  if (!isPatch) return plain;
  const content = claimed(unit);
  applyPatch(unit, plain, content);
  if (encoding === 'zstd') freeBuffer(plain);
  return content;
}

/** Alone in its buffer, which the caller frees; undefined when it does not help. */
function compress(content: Uint8Array, compression: UnitCompression): Uint8Array | undefined {
  if (compression.mode === 'none' || content.byteLength === 0) return undefined;
  const level = compression.mode === 'zstd' ? compression.level : fastestLevel;
  if (compression.mode === 'auto' && content.byteLength > 4 * sampleBytes) {
    const middle = (content.byteLength - sampleBytes) >> 1;
    const sample = content.subarray(middle, middle + sampleBytes);
    const packed = zstd(sample, fastestLevel);
    const packedBytes = packed.byteLength;
    freeBuffer(packed);
    if (packedBytes > sampleBytes * worthwhile) return undefined;
  }
  const compressed = zstd(content, level);
  if (compressed.byteLength < content.byteLength * worthwhile) return compressed;
  freeBuffer(compressed);
  return undefined;
}

function zstd(content: Uint8Array, level: number): Uint8Array {
  // One output buffer, as large as zstd may need it, instead of 64 small ones that are joined.
  const chunkSize = Math.max(content.byteLength + (content.byteLength >> 7) + 1024, ownBufferBytesMin);
  return zstdCompressSync(content, { chunkSize, params: { [constants.ZSTD_c_compressionLevel]: level } });
}

function decompress(unit: number, content: Uint8Array, bytesMax: number): Uint8Array {
  try {
    return zstdDecompressSync(content, {
      // One that is filled to its last byte would be followed by another.
      chunkSize: Math.max(bytesMax + 1024, ownBufferBytesMin),
      maxOutputLength: Math.max(bytesMax, 1),
    });
  } catch (cause) {
    throw new BatonError('PROTOCOL', `the content of unit ${unit} cannot be decompressed to its ${bytesMax} bytes`, {
      cause,
      retryable: true,
    });
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 8)).toString('hex');
}
