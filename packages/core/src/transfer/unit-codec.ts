import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { blake3 } from '@napi-rs/blake-hash';
import { BatonError } from '../errors.ts';
import type { PieceChange } from '../protocol/changes.ts';
import { decodeUnit, encodeUnitHeader } from '../protocol/unit.ts';
import type { UnitCompression } from './jobs.ts';

// A unit's content to its message and back: digest and compression. Runs in workers; nothing here does I/O.

const sampleBytes = 64 * 1024;
/** A unit that zstd shrinks by less than a sixteenth goes as it is: the far side saves the decompression. */
const worthwhile = 15 / 16;
const fastestLevel = 1;

/** The digest of a unit's content: BLAKE3, 32 bytes. */
export function unitDigest(content: Uint8Array): Uint8Array {
  return blake3(Buffer.from(content.buffer, content.byteOffset, content.byteLength));
}

/** A whole UNIT message, in `into` if it fits there. */
export function encodeUnit(
  unit: number,
  content: Uint8Array,
  changes: readonly PieceChange[],
  compression: UnitCompression,
  into: Uint8Array<ArrayBuffer>,
): { payload: Uint8Array<ArrayBuffer>; digest: Uint8Array } {
  const digest = unitDigest(content);
  const compressed = compress(content, compression);
  const header = encodeUnitHeader({
    unit,
    encoding: compressed === undefined ? 'raw' : 'zstd',
    rawLength: content.byteLength,
    digest,
    changes,
  });
  const body = compressed ?? content;
  const bytes = header.byteLength + body.byteLength;
  const payload = bytes <= into.byteLength ? into.subarray(0, bytes) : new Uint8Array(bytes);
  payload.set(header);
  payload.set(body, header.byteLength);
  return { payload, digest };
}

/** A UNIT message's content, decompressed and compared with its digest (T3: nothing is written before that). */
export function openUnit(payload: Uint8Array): {
  unit: number;
  digest: Uint8Array;
  changes: readonly PieceChange[];
  content: Uint8Array;
} {
  const message = decodeUnit(payload);
  const content =
    message.encoding === 'raw' ? message.content : decompress(message.unit, message.content, message.rawLength);
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

function compress(content: Uint8Array, compression: UnitCompression): Uint8Array | undefined {
  if (compression.mode === 'none' || content.byteLength === 0) return undefined;
  const level = compression.mode === 'zstd' ? compression.level : fastestLevel;
  if (compression.mode === 'auto' && content.byteLength > 4 * sampleBytes) {
    const middle = (content.byteLength - sampleBytes) >> 1;
    const sample = content.subarray(middle, middle + sampleBytes);
    if (zstd(sample, fastestLevel).byteLength > sampleBytes * worthwhile) return undefined;
  }
  const compressed = zstd(content, level);
  return compressed.byteLength < content.byteLength * worthwhile ? compressed : undefined;
}

function zstd(content: Uint8Array, level: number): Uint8Array {
  // One output buffer of the right size instead of 64 small ones that are joined.
  const chunkSize = Math.max(content.byteLength, 1024);
  return zstdCompressSync(content, { chunkSize, params: { [constants.ZSTD_c_compressionLevel]: level } });
}

function decompress(unit: number, content: Uint8Array, rawLength: number): Uint8Array {
  try {
    return zstdDecompressSync(content, {
      chunkSize: Math.max(rawLength, 1024),
      maxOutputLength: Math.max(rawLength, 1),
    });
  } catch (cause) {
    throw new BatonError('PROTOCOL', `the content of unit ${unit} cannot be decompressed to its ${rawLength} bytes`, {
      cause,
      retryable: true,
    });
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 8)).toString('hex');
}
