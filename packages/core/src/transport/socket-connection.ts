import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { assert } from '../errors.ts';
import type { OwnedFrame } from '../protocol/frame-assembler.ts';
import { connectionLost, FrameInbox } from './frame-inbox.ts';
import { readInto } from './read-into.ts';
import { keepAliveMs, reasonOf } from './tls-settings.ts';
import type { Connection } from './transport.ts';

/** How long a disposed connection that had ended waits for the peer to end too, before it is cut. */
const lingerMsMax = 2000;

/** Who is at the other end of a socket, as was found out before. */
export type Peer = {
  readonly fingerprint: string;
  readonly binding: Uint8Array;
  /** For messages: an address. */
  readonly name: string;
};

/** Frames over a socket whose peer has been checked, be it by TLS or by what came over the socket before: nothing here asks who it is. */
export class SocketConnection implements Connection {
  readonly peerFingerprint: string;
  readonly binding: Uint8Array;
  readonly #socket: Duplex;
  readonly #peer: string;
  readonly #inbox: FrameInbox;
  readonly #closed: Promise<void>;
  readonly #waitingWriters = new Set<(error: Error) => void>();
  #failure: Error | undefined;
  #isEnding = false;
  #bytesSent = 0;

  /**
   * `head`: what was read from the socket already and belongs to this conversation. `isOurs`: nobody else has ever read from the socket, so
   * that it may be read into a buffer of ours.
   */
  constructor(
    socket: Duplex,
    { fingerprint, binding, name }: Peer,
    { head = new Uint8Array(0), isOurs = false }: { readonly head?: Uint8Array; readonly isOurs?: boolean } = {},
  ) {
    this.#socket = socket;
    this.peerFingerprint = fingerprint;
    this.binding = binding;
    this.#peer = name;
    this.#inbox = new FrameInbox(socket);
    if (socket instanceof Socket) socket.setNoDelay(true).setKeepAlive(true, keepAliveMs);
    this.#inbox.push(head);
    const isRead = isOurs && socket instanceof Socket && readInto(socket, (piece) => this.#inbox.pushShared(piece));
    if (!isRead) socket.on('data', (piece: Buffer) => this.#inbox.push(piece));
    socket.on('end', () => this.#inbox.end());
    socket.on('error', (error: Error) =>
      this.#fail(connectionLost(`connection with ${this.#peer} broke: ${reasonOf(error)}`, error)),
    );
    this.#closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#fail(connectionLost(`connection with ${this.#peer} was closed`));
        resolve();
      });
    });
  }

  /** The longest frame that is taken from now on. Default: that of the protocol. */
  set frameBytesMax(bytes: number) {
    this.#inbox.frameBytesMax = bytes;
  }

  get bytesSent(): number {
    return this.#bytesSent;
  }

  get bytesReceived(): number {
    return this.#inbox.bytesReceived;
  }

  write(...chunks: readonly Uint8Array[]): Promise<void> {
    assert(!this.#isEnding, 'nothing is written after the end');
    return this.#waitForSocket((done) => {
      this.#socket.cork();
      const last = chunks.length - 1;
      for (const [index, chunk] of chunks.entries()) {
        this.#bytesSent += chunk.length;
        if (index === last) this.#socket.write(chunk, done);
        else this.#socket.write(chunk);
      }
      this.#socket.uncork();
    });
  }

  readFrame(signal?: AbortSignal): Promise<OwnedFrame | undefined> {
    return this.#inbox.read(signal);
  }

  end(): Promise<void> {
    this.#isEnding = true;
    return this.#waitForSocket((done) => this.#socket.end(done));
  }

  destroy(error?: Error): void {
    const failure = error ?? connectionLost(`connection with ${this.#peer} was given up`);
    this.#inbox.abort(failure);
    this.#fail(failure);
    this.#socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isEnding && this.#failure === undefined) await this.#linger();
    this.destroy();
    await this.#closed;
  }

  /** Reads and drops until the peer ends. Unread bytes at a close make TCP send a reset, which can overtake our last frame. */
  async #linger(): Promise<void> {
    const signal = AbortSignal.timeout(lingerMsMax);
    try {
      while ((await this.readFrame(signal)) !== undefined);
    } catch {
      // The peer took too long, sent nonsense or is gone: either way we have waited enough.
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#inbox.fail(error);
    for (const reject of this.#waitingWriters) reject(error);
    this.#waitingWriters.clear();
  }

  /** Runs a socket operation with a callback as a promise, which also ends when the connection does. */
  #waitForSocket(start: (done: (error?: Error | null) => void) => void): Promise<void> {
    const failure = this.#failure;
    if (failure !== undefined) return Promise.reject(failure);
    return new Promise((resolve, reject) => {
      this.#waitingWriters.add(reject);
      start((error) => {
        // After an error, 'error' or 'close' follows and says more than this callback.
        if (error) return;
        this.#waitingWriters.delete(reject);
        resolve();
      });
    });
  }
}
