import { assert, BatonError } from '../errors.ts';
import { FrameAssembler, type OwnedFrame } from '../protocol/frame-assembler.ts';
import { takeUnitBuffer } from './unit-buffers.ts';

/** Smaller frames are not worth a unit's buffer. */
const unitFrameBytesMin = 64 * 1024;

/** What an inbox does to the stream that feeds it. */
export type InboxSource = { pause(): void; resume(): void };

type Waiter = { resolve(frame: OwnedFrame | undefined): void; reject(error: unknown): void };

/** A broken connection, as an error. Trying again may help. */
export function connectionLost(what: string, cause?: unknown): BatonError {
  return new BatonError('CONNECTION_LOST', what, { retryable: true, ...(cause === undefined ? {} : { cause }) });
}

/**
 * Turns a pushing stream into frames that are pulled. It holds at most one whole frame, one unfinished frame and the piece the stream
 * delivered last; its source stands still while a whole frame waits to be taken (P11). The source is flowing at first.
 */
export class FrameInbox {
  readonly #source: InboxSource;
  readonly #assembler = new FrameAssembler((bytes) =>
    bytes < unitFrameBytesMin ? new Uint8Array(bytes) : takeUnitBuffer(bytes),
  );
  #pieces: Uint8Array[] = [];
  #ready: OwnedFrame | undefined;
  #waiter: Waiter | undefined;
  #isEnded = false;
  #failure: Error | undefined;
  #isFlowing = true;
  #bytesReceived = 0;

  constructor(source: InboxSource) {
    this.#source = source;
  }

  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  /** The longest frame that is taken from now on; a longer one fails with LIMIT. */
  set frameBytesMax(bytes: number) {
    this.#assembler.payloadBytesMax = bytes;
  }

  /** Nothing will follow: the peer ended or something failed. */
  get isOver(): boolean {
    return this.#isEnded || this.#failure !== undefined;
  }

  /** A piece has arrived. It must not be changed afterwards. */
  push(piece: Uint8Array): void {
    this.#bytesReceived += piece.length;
    if (this.isOver || piece.length === 0) return;
    this.#pieces.push(piece);
    this.#advance();
  }

  /** A piece has arrived in a buffer that is used again as soon as this returns. */
  pushShared(piece: Uint8Array): void {
    this.push(piece);
    // What follows a frame that nobody has taken yet, and so little of all. Earlier pieces that wait were copied when they came.
    if (this.#pieces.at(-1) === piece) this.#pieces[this.#pieces.length - 1] = piece.slice();
    else this.#assembler.keepPiece();
  }

  /** The peer has ended. */
  end(): void {
    this.#isEnded = true;
    this.#advance();
  }

  /** The connection broke; frames that are whole can still be taken. The first failure counts. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#advance();
  }

  /** We broke it: drops everything. */
  abort(error: Error): void {
    this.#pieces = [];
    this.#ready = undefined;
    this.#failure ??= error;
    this.#advance();
  }

  /** As Connection.readFrame. */
  read(signal?: AbortSignal): Promise<OwnedFrame | undefined> {
    assert(this.#waiter === undefined, 'one readFrame at a time');
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        this.#waiter = undefined;
        reject(signal?.reason);
      };
      const settled = (): void => signal?.removeEventListener('abort', onAbort);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiter = {
        resolve: (frame) => {
          settled();
          resolve(frame);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      this.#advance();
    });
  }

  #advance(): void {
    do this.#assemble();
    while (this.#serveWaiter());
    const shouldFlow = this.#ready === undefined && !this.isOver;
    if (shouldFlow === this.#isFlowing) return;
    this.#isFlowing = shouldFlow;
    if (shouldFlow) this.#source.resume();
    else this.#source.pause();
  }

  /** Makes the next frame ready, if its bytes are there. */
  #assemble(): void {
    try {
      this.#ready ??= this.#assembler.next();
      while (this.#ready === undefined) {
        const piece = this.#pieces.shift();
        if (piece === undefined) break;
        this.#assembler.feed(piece);
        this.#ready = this.#assembler.next();
      }
    } catch (error) {
      this.#pieces = [];
      this.#failure ??= error as Error;
    }
    const isBroken = this.#ready === undefined && this.#isEnded && this.#assembler.midFrame;
    if (isBroken) this.#failure ??= connectionLost('the peer ended in the middle of a frame');
  }

  /** Gives the waiter what there is; true when a frame was taken, so that the next one may be assembled. */
  #serveWaiter(): boolean {
    const waiter = this.#waiter;
    if (waiter === undefined) return false;
    const frame = this.#ready;
    if (frame === undefined && !this.isOver) return false;
    this.#waiter = undefined;
    this.#ready = undefined;
    if (frame !== undefined) waiter.resolve(frame);
    else if (this.#failure !== undefined) waiter.reject(this.#failure);
    else waiter.resolve(undefined);
    return frame !== undefined;
  }
}
