import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import { encodeFrame, type FrameType, frameTypes } from '../protocol/frame.ts';
import type { Connection, OwnedFrame } from '../transport/transport.ts';

const nothing = new Uint8Array(0);

/** Frames over one connection, with an end to every wait (T10): a peer that falls silent is taken for dead. */
export class Link implements AsyncDisposable {
  readonly connection: Connection;
  #isWaiting = false;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  /** Writes one frame; resolves when the connection takes more. */
  async write(type: FrameType, payload: Uint8Array = nothing): Promise<void> {
    await this.connection.write(...encodeFrame(type, payload));
  }

  /** The next frame; CONNECTION_LOST when the peer has closed. */
  async read(): Promise<OwnedFrame> {
    this.#isWaiting = true;
    try {
      const frame = await this.connection.readFrame();
      if (frame === undefined) throw lost('the peer closed the connection');
      return frame;
    } finally {
      this.#isWaiting = false;
    }
  }

  /** Pings until `signal` aborts, and breaks the connection when we wait for a peer that sends nothing. Only ever rejects. */
  async keepAlive(signal: AbortSignal): Promise<never> {
    let bytesSeen = -1;
    let silentMs = 0;
    for (;;) {
      await sleep(limits.pingMs, undefined, { signal });
      const bytes = this.connection.bytesReceived;
      silentMs = this.#isWaiting && bytes === bytesSeen ? silentMs + limits.pingMs : 0;
      bytesSeen = bytes;
      if (silentMs >= limits.silenceMsMax) {
        const error = lost(`nothing arrived for ${silentMs / 1000} s`);
        this.connection.destroy(error);
        throw error;
      }
      // Not awaited: a peer that takes nothing must not keep us from noticing that it says nothing either.
      if (!this.#isPinging) this.#ping();
    }
  }

  #isPinging = false;

  #ping(): void {
    this.#isPinging = true;
    this.write(frameTypes.ping).then(
      () => {
        this.#isPinging = false;
      },
      (error: Error) => this.connection.destroy(error),
    );
  }

  /** Ends the connection: politely when it was ended before, at once otherwise. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection[Symbol.asyncDispose]();
  }
}

function lost(message: string): BatonError {
  return new BatonError('CONNECTION_LOST', message, { retryable: true });
}
