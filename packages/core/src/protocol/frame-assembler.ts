import { assert } from '../errors.ts';
import { limits } from '../limits.ts';
import { limitError } from './bytes.ts';
import { decodeFrameHeader, type FrameType, frameHeaderBytes } from './frame.ts';

/** A frame whose payload has an ArrayBuffer of its own, so that it can be transferred to a worker. */
export type OwnedFrame = { readonly type: FrameType; readonly payload: Uint8Array<ArrayBuffer> };

/** Gives a buffer of so many bytes, alone in its ArrayBuffer. */
export type Allocate = (bytes: number) => Uint8Array<ArrayBuffer>;

/**
 * Puts frames together from the pieces a stream delivers, copying each byte once. It holds one unfinished frame and one piece.
 * A payload is allocated when its header has arrived: at most `payloadBytesMax` ahead of what the peer has sent.
 */
export class FrameAssembler {
  /** The longest payload that is taken from now on. */
  payloadBytesMax: number = limits.frameBytesMax;
  readonly #allocate: Allocate;
  readonly #header = new Uint8Array(frameHeaderBytes);
  #headerLength = 0;
  #type: FrameType | undefined;
  #payload: Uint8Array<ArrayBuffer> | undefined;
  #payloadLength = 0;
  #piece: Uint8Array | undefined;
  #pieceOffset = 0;

  constructor(allocate: Allocate = (bytes) => new Uint8Array(bytes)) {
    this.#allocate = allocate;
  }

  /** True between the first and the last byte of a frame: an end here is a break, not an end. */
  get midFrame(): boolean {
    return this.#headerLength > 0;
  }

  /** Gives the next piece. The one before must have been used up: `next()` returned undefined. */
  feed(piece: Uint8Array): void {
    assert(this.#piece === undefined, 'a piece is used up before the next one is fed');
    this.#piece = piece;
    this.#pieceOffset = 0;
  }

  /** Copies what is left of the piece, whose bytes are about to change. */
  keepPiece(): void {
    if (this.#piece === undefined) return;
    this.#piece = this.#piece.slice(this.#pieceOffset);
    this.#pieceOffset = 0;
  }

  /** The next whole frame, or undefined when another piece is needed. Throws PROTOCOL or LIMIT at a bad header, and again at every later call. */
  next(): OwnedFrame | undefined {
    while (this.#piece !== undefined) {
      const piece = this.#piece;
      if (this.#payload === undefined) this.#fillHeader(piece);
      else this.#fillPayload(piece, this.#payload);
      if (this.#pieceOffset === piece.length) this.#piece = undefined;
      if (this.#payload !== undefined && this.#payloadLength === this.#payload.length)
        return this.#takeFrame(this.#payload);
    }
    return undefined;
  }

  #fillHeader(piece: Uint8Array): void {
    const taken = Math.min(frameHeaderBytes - this.#headerLength, piece.length - this.#pieceOffset);
    this.#header.set(piece.subarray(this.#pieceOffset, this.#pieceOffset + taken), this.#headerLength);
    this.#headerLength += taken;
    this.#pieceOffset += taken;
    if (this.#headerLength < frameHeaderBytes) return;
    const { type, payloadLength } = decodeFrameHeader(this.#header);
    if (payloadLength > this.payloadBytesMax) {
      throw limitError('frame', 'length', payloadLength, this.payloadBytesMax);
    }
    this.#type = type;
    this.#payload = this.#allocate(payloadLength);
    this.#payloadLength = 0;
  }

  #fillPayload(piece: Uint8Array, payload: Uint8Array<ArrayBuffer>): void {
    const taken = Math.min(payload.length - this.#payloadLength, piece.length - this.#pieceOffset);
    payload.set(piece.subarray(this.#pieceOffset, this.#pieceOffset + taken), this.#payloadLength);
    this.#payloadLength += taken;
    this.#pieceOffset += taken;
  }

  #takeFrame(payload: Uint8Array<ArrayBuffer>): OwnedFrame {
    const type = this.#type;
    assert(type !== undefined, 'a payload has a type');
    this.#headerLength = 0;
    this.#type = undefined;
    this.#payload = undefined;
    return { type, payload };
  }
}
