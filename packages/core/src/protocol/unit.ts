import { limits } from '../limits.ts';
import { ByteReader, ByteWriter, digestBytes } from './bytes.ts';
import { type PieceChange, readChanges, writeChanges } from './changes.ts';

// The UNIT frame. Its codec speaks of the header only: content is never copied, so that a relay hands it on as it came (P9).

export type UnitEncoding = 'raw' | 'zstd';

const encodingCodes = { raw: 0, zstd: 1 } as const;
/** Added to the code of the encoding. */
const patchCode = 2;

export type UnitHeader = {
  /** Number of the unit in the plan that the manifest stands for. */
  readonly unit: number;
  readonly encoding: UnitEncoding;
  /** The content is what is different from what the receiver claimed (transfer/patch.ts), and good for it alone. */
  readonly isPatch: boolean;
  /** Length of the unit's content, before compression and patched. Bytes. */
  readonly rawLength: number;
  /** BLAKE3 of that content. 32 bytes. */
  readonly digest: Uint8Array;
  /** Pieces that were not, at the time of reading, what the manifest says; ascending. */
  readonly changes: readonly PieceChange[];
};

export type Unit = UnitHeader & {
  /** The content as encoded: a view of the payload it was decoded from. */
  readonly content: Uint8Array;
};

/** Layout: u32 unit, u8 encoding, u32 raw length, 32 bytes digest, changes (see changes.ts); the content follows up to the frame's end. */
export function encodeUnitHeader(header: UnitHeader): Uint8Array<ArrayBuffer> {
  if (header.digest.length !== digestBytes)
    throw new RangeError(`a digest has ${digestBytes} bytes, not ${header.digest.length}`);
  const writer = new ByteWriter(48)
    .u32(header.unit)
    .u8(encodingCodes[header.encoding] + (header.isPatch ? patchCode : 0))
    .u32(header.rawLength)
    .bytes(header.digest);
  writeChanges(writer, header.changes);
  return writer.toBytes();
}

/** Reads a UNIT payload. The digest is not checked here, nor that the unit and its pieces exist: whoever has the plan checks them. */
export function decodeUnit(payload: Uint8Array): Unit {
  const reader = new ByteReader(payload, 'unit');
  const unit = reader.u32('unit');
  const encodingCode = reader.u8('encoding');
  if (encodingCode > 3) {
    throw reader.protocolError('encoding', encodingCode, 'only 0 (raw), 1 (zstd) and these with 2 (a patch) are known');
  }
  const isPatch = encodingCode >= patchCode;
  const encoding = encodingCode % patchCode === encodingCodes.raw ? 'raw' : 'zstd';
  const rawLength = reader.u32('raw length');
  if (rawLength > limits.unitBytes) throw reader.limitError('raw length', rawLength, limits.unitBytes);
  const digest = reader.bytes(digestBytes, 'digest');
  const changes = readChanges(reader);
  if (encoding === 'raw' && !isPatch && reader.remaining !== rawLength) {
    throw reader.protocolError('content', `${reader.remaining} bytes long`, `the raw length is ${rawLength}`);
  }
  return { unit, encoding, isPatch, rawLength, digest, changes, content: reader.view(reader.remaining, 'content') };
}
