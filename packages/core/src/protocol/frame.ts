import { limits } from '../limits.ts';
import { limitError, protocolError } from './bytes.ts';

// A frame of the data channel: u32 payload length, u8 type, payload.

/** Length of a frame's header. Bytes. */
export const frameHeaderBytes = 5;

/** Every frame type of the data channel. A number is never given a second meaning. */
export const frameTypes = {
  hello: 1,
  helloAck: 2,
  error: 3,
  manifestSection: 4,
  manifestEnd: 5,
  have: 6,
  haveEnd: 7,
  unit: 8,
  complete: 9,
  ping: 10,
  streamEnd: 11,
  claim: 12,
  offer: 13,
  message: 14,
} as const;

export type FrameType = (typeof frameTypes)[keyof typeof frameTypes];

export type Frame = { readonly type: FrameType; readonly payload: Uint8Array };

const knownTypes: ReadonlySet<number> = new Set(Object.values(frameTypes));

/** The five bytes before a payload of `payloadLength` bytes. Throws LIMIT when no peer would take the frame. */
export function encodeFrameHeader(type: FrameType, payloadLength: number): Uint8Array<ArrayBuffer> {
  if (payloadLength > limits.frameBytesMax) throw limitError('frame', 'length', payloadLength, limits.frameBytesMax);
  const header = new Uint8Array(frameHeaderBytes);
  const view = new DataView(header.buffer);
  view.setUint32(0, payloadLength, true);
  view.setUint8(4, type);
  return header;
}

/** The chunks of one frame, whose payload is the concatenation of `parts`; no part is copied. For `Connection.write(...)`. */
export function encodeFrame(type: FrameType, ...parts: readonly Uint8Array[]): Uint8Array[] {
  let length = 0;
  for (const part of parts) length += part.length;
  return [encodeFrameHeader(type, length), ...parts];
}

/** Type and payload length from the first five of `bytes`. Refuses an unknown type (PROTOCOL) and a length above the limit (LIMIT). */
export function decodeFrameHeader(
  bytes: Uint8Array,
  offset = 0,
): { readonly type: FrameType; readonly payloadLength: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, frameHeaderBytes);
  const payloadLength = view.getUint32(0, true);
  const type = view.getUint8(4);
  if (!knownTypes.has(type)) throw protocolError('frame', 'type', type, `only 1 to ${knownTypes.size} are known`);
  if (payloadLength > limits.frameBytesMax) throw limitError('frame', 'length', payloadLength, limits.frameBytesMax);
  return { type: type as FrameType, payloadLength };
}

/** All whole frames at the start of `buffered`, as views of it, and the bytes after them. A header is checked before its payload is there. */
export function decodeFrames(buffered: Uint8Array): { readonly frames: Frame[]; readonly rest: Uint8Array } {
  const frames: Frame[] = [];
  let offset = 0;
  while (buffered.length - offset >= frameHeaderBytes) {
    const { type, payloadLength } = decodeFrameHeader(buffered, offset);
    const start = offset + frameHeaderBytes;
    if (buffered.length - start < payloadLength) break;
    frames.push({ type, payload: buffered.subarray(start, start + payloadLength) });
    offset = start + payloadLength;
  }
  return { frames, rest: buffered.subarray(offset) };
}
