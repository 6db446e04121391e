import type { OwnedFrame } from '../protocol/frame-assembler.ts';

/** A frame as a connection delivers it: its payload has an ArrayBuffer of its own, so it can be transferred. */
export type { OwnedFrame } from '../protocol/frame-assembler.ts';

/**
 * One authenticated stream of frames between two nodes. The peer's certificate was checked before this object existed.
 * Everything is pulled: who does not read stops the sender.
 *
 * Disposal ends it: politely when `end()` was called (what the peer still sends is read and dropped for a moment, so that the last
 * frame is not lost to a TCP reset), at once otherwise. It resolves when the connection is closed.
 */
export interface Connection extends AsyncDisposable {
  /** SHA-256 of the peer's certificate (DER), 64 hexadecimal digits. */
  readonly peerFingerprint: string;
  /** 32 bytes that both ends of this very connection derive and nobody else: to be put into HELLO. */
  readonly binding: Uint8Array;
  /** Bytes of frames handed over so far, headers included, TLS not. */
  readonly bytesSent: number;
  /** Bytes of frames taken in so far, headers included, TLS not. */
  readonly bytesReceived: number;

  /**
   * Writes the chunks of one frame (see encodeFrame), never mixed with those of another call. Resolves when all of it was taken by
   * the operating system: until then the chunks must not be changed or transferred, afterwards they are the caller's again.
   * Several calls may wait at the same time; they are served in order. Rejects with CONNECTION_LOST.
   */
  write(...chunks: readonly Uint8Array[]): Promise<void>;

  /**
   * The next frame; undefined when the peer ended at a frame's boundary. That says nothing of completeness: a process that was killed
   * between two frames ends the same way, so only COMPLETE means complete (P10).
   * One call at a time. At most one whole frame is read ahead of it.
   * Rejects with CONNECTION_LOST, with PROTOCOL or LIMIT at a bad header, or with the signal's reason; after that last one,
   * the connection is as it was and may be read again.
   */
  readFrame(signal?: AbortSignal): Promise<OwnedFrame | undefined>;

  /** Tells the peer that nothing more comes. Resolves when everything written was taken by the operating system. Reading goes on. */
  end(): Promise<void>;

  /** Breaks the connection now. Whoever waits is rejected with `error`, or CONNECTION_LOST. */
  destroy(error?: Error): void;
}
