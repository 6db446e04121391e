import { randomBytes } from 'node:crypto';
import { assert } from '../errors.ts';
import type { OwnedFrame } from '../protocol/frame-assembler.ts';
import { connectionLost, FrameInbox } from './frame-inbox.ts';
import type { Connection } from './transport.ts';

// Two ends of a connection in one process, for tests of what lies above: same contract as TLS, and faults at exact bytes.

/** What goes wrong with the bytes that one end writes; offsets count from the connection's first byte. */
export type MemoryFaults = {
  /** The connection breaks for both ends after so many bytes. */
  readonly cutAfterBytes?: number;
  /** The lowest bit of this byte arrives inverted. */
  readonly flipByteAt?: number;
};

export type MemoryPairOptions = {
  readonly fingerprints?: readonly [string, string];
  readonly faults?: readonly [MemoryFaults, MemoryFaults];
};

/** Pieces have the size that TLS delivers, so that what depends on it is seen in tests. */
const pieceBytes = 16 * 1024;

/** What is on the way at most before a writer has to wait, as in the buffers of an operating system. */
const onTheWayBytesMax = 256 * 1024;

/** Opens a connected pair. Each end reports the other's fingerprint. */
export function openMemoryPair(options: MemoryPairOptions = {}): [Connection, Connection] {
  const [firstFingerprint, secondFingerprint] = options.fingerprints ?? ['1'.repeat(64), '2'.repeat(64)];
  const [firstFaults, secondFaults] = options.faults ?? [{}, {}];
  const binding = new Uint8Array(randomBytes(32));
  const first = new MemoryConnection(secondFingerprint, binding, firstFaults);
  const second = new MemoryConnection(firstFingerprint, binding, secondFaults);
  first.join(second);
  second.join(first);
  return [first, second];
}

/** What travels: bytes, an end, or the break that a fault asked for. */
type Parcel = Uint8Array | 'end' | 'cut';

/** `taken` tells the writer that it may go on. */
type Shipment = { readonly parcel: Parcel; readonly taken: () => void };

class MemoryConnection implements Connection {
  readonly peerFingerprint: string;
  readonly binding: Uint8Array;
  readonly #faults: MemoryFaults;
  readonly #inbox: FrameInbox;
  readonly #arriving: Shipment[] = [];
  #arrivingBytes = 0;
  readonly #waitingWriters = new Set<(error: Error) => void>();
  #peer: MemoryConnection | undefined;
  #failure: Error | undefined;
  #isEnding = false;
  #isPaused = false;
  #isScheduled = false;
  #bytesSent = 0;

  constructor(peerFingerprint: string, binding: Uint8Array, faults: MemoryFaults) {
    this.peerFingerprint = peerFingerprint;
    this.binding = binding;
    this.#faults = faults;
    this.#inbox = new FrameInbox({
      pause: () => {
        this.#isPaused = true;
      },
      resume: () => {
        this.#isPaused = false;
        this.#schedule();
      },
    });
  }

  join(peer: MemoryConnection): void {
    this.#peer = peer;
  }

  get bytesSent(): number {
    return this.#bytesSent;
  }

  get bytesReceived(): number {
    return this.#inbox.bytesReceived;
  }

  write(...chunks: readonly Uint8Array[]): Promise<void> {
    assert(!this.#isEnding, 'nothing is written after the end');
    const pieces = cutIntoPieces(Buffer.concat(chunks));
    return this.#send(pieces.length === 0 ? [new Uint8Array(0)] : pieces);
  }

  readFrame(signal?: AbortSignal): Promise<OwnedFrame | undefined> {
    return this.#inbox.read(signal);
  }

  end(): Promise<void> {
    if (this.#isEnding && this.#failure === undefined) return Promise.resolve();
    this.#isEnding = true;
    return this.#send(['end']);
  }

  destroy(error?: Error): void {
    const failure = error ?? connectionLost('the connection was given up');
    this.#inbox.abort(failure);
    this.#fail(failure);
    this.#other().#fail(connectionLost('the peer broke the connection'));
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isEnding) this.destroy();
    else this.#leave(connectionLost('the connection was given up'));
    return Promise.resolve();
  }

  /** What was sent before an end stays readable for the peer, as it does over TCP; only its writing fails. */
  #leave(error: Error): void {
    this.#inbox.abort(error);
    this.#failWriting(error);
    this.#other().#failWriting(connectionLost('the peer has left'));
  }

  #other(): MemoryConnection {
    const peer = this.#peer;
    assert(peer !== undefined, 'both ends are joined before use');
    return peer;
  }

  #send(parcels: readonly Parcel[]): Promise<void> {
    const failure = this.#failure;
    if (failure !== undefined) return Promise.reject(failure);
    return new Promise((resolve, reject) => {
      this.#waitingWriters.add(reject);
      const taken = (): void => {
        this.#waitingWriters.delete(reject);
        resolve();
      };
      const last = parcels.length - 1;
      for (const [index, parcel] of parcels.entries()) this.#ship(parcel, index === last ? taken : () => {});
    });
  }

  /** Hands a parcel to the peer, with this end's faults. */
  #ship(parcel: Parcel, taken: () => void): void {
    if (this.#failure !== undefined) return;
    const peer = this.#other();
    if (typeof parcel === 'string') {
      peer.#arrive({ parcel, taken });
      return;
    }
    const from = this.#bytesSent;
    const { cutAfterBytes = Number.POSITIVE_INFINITY, flipByteAt = -1 } = this.#faults;
    if (flipByteAt >= from && flipByteAt < from + parcel.length)
      parcel[flipByteAt - from] = (parcel[flipByteAt - from] ?? 0) ^ 1;
    const isCut = from + parcel.length > cutAfterBytes;
    const rest = isCut ? parcel.subarray(0, cutAfterBytes - from) : parcel;
    this.#bytesSent += rest.length;
    if (!isCut) {
      peer.#arrive({ parcel: rest, taken });
      return;
    }
    peer.#arrive({ parcel: rest, taken: () => {} });
    peer.#arrive({ parcel: 'cut', taken: () => {} });
    this.#fail(wasCut(this.#bytesSent));
  }

  #arrive(shipment: Shipment): void {
    this.#arrivingBytes += lengthOf(shipment.parcel);
    const fits = this.#arrivingBytes <= onTheWayBytesMax;
    this.#arriving.push(fits ? { parcel: shipment.parcel, taken: () => {} } : shipment);
    if (fits) shipment.taken();
    this.#schedule();
  }

  /** Delivery happens in a later turn of the event loop, as from a network. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#takeArriving();
    });
  }

  #takeArriving(): void {
    while (!this.#isPaused) {
      const shipment = this.#arriving.shift();
      if (shipment === undefined) return;
      const { parcel, taken } = shipment;
      this.#arrivingBytes -= lengthOf(parcel);
      if (parcel === 'end') this.#inbox.end();
      else if (parcel === 'cut') this.#fail(wasCut(this.bytesReceived));
      else this.#inbox.push(parcel);
      taken();
    }
  }

  #fail(error: Error): void {
    this.#inbox.fail(error);
    this.#failWriting(error);
  }

  #failWriting(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    for (const reject of this.#waitingWriters) reject(error);
    this.#waitingWriters.clear();
  }
}

function lengthOf(parcel: Parcel): number {
  return typeof parcel === 'string' ? 0 : parcel.length;
}

function wasCut(afterBytes: number): Error {
  return connectionLost(`the connection was cut after ${afterBytes} bytes`);
}

function cutIntoPieces(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let offset = 0; offset < bytes.length; offset += pieceBytes)
    pieces.push(bytes.subarray(offset, offset + pieceBytes));
  return pieces;
}
