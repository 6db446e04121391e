import { limits } from '../limits.ts';
import { ByteReader, ByteWriter, digestBytes } from './bytes.ts';
import { jobIdBytes } from './hello.ts';

// The OFFER frame: two nodes that have nobody above them, and trust each other already, agree on what is sent. Its sender goes on with HELLO.

/** What is offered. */
export type Offer = {
  /** A number for this conversation alone. */
  readonly jobId: Uint8Array;
  readonly manifestDigest: Uint8Array;
  /** Bytes of all sections of the manifest. */
  readonly manifestBytes: number;
  /** What both sides know the meaning of, and core does not. */
  readonly about: Uint8Array;
};

/** Layout: 16 bytes job, 32 bytes manifest digest, u32 manifest bytes, then `about` up to the frame's end. */
export function encodeOffer({ jobId, manifestDigest, manifestBytes, about }: Offer): Uint8Array<ArrayBuffer> {
  return new ByteWriter(jobIdBytes + digestBytes + 4 + about.length)
    .bytes(jobId)
    .bytes(manifestDigest)
    .u32(manifestBytes)
    .bytes(about)
    .toBytes();
}

/** Reads an OFFER payload. What it is about is for the caller to check. */
export function decodeOffer(payload: Uint8Array): Offer {
  const reader = new ByteReader(payload, 'offer');
  const jobId = reader.bytes(jobIdBytes, 'job');
  const manifestDigest = reader.bytes(digestBytes, 'manifest digest');
  const manifestBytes = reader.u32('manifest bytes');
  const { remaining } = reader;
  if (remaining > limits.offerBytesMax) throw reader.limitError('about', remaining, limits.offerBytesMax);
  return { jobId, manifestDigest, manifestBytes, about: reader.bytes(remaining, 'about') };
}
