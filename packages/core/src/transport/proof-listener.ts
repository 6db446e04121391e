import type { TLSSocket } from 'node:tls';
import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import { distrustOf } from './authority.ts';
import { type HandshakeOptions, Handshakes } from './handshakes.ts';
import type { SocketConnection } from './socket-connection.ts';
import { tlsConnection } from './tls-connection.ts';
import type { Connection } from './transport.ts';

/**
 * A peer that nobody knows yet. Its certificate says only that all of this connection comes from one peer; `binding` ties a proof to the
 * connection. Its frames are short (`limits.unprovenFrameBytesMax`).
 */
export type UnprovenPeer = Pick<Connection, 'peerFingerprint' | 'binding' | 'write' | 'readFrame'> & {
  /** For messages: an address. */
  readonly name: string;
  /** Why the authority that is asked for does not vouch for it: `prove` has to reject then, and can tell it why. */
  readonly distrust: string | undefined;
};

/** Takes a connection whose peer is proven, and ends it. */
export type TakeConnection = (connection: Connection) => void;

export type ProofListenOptions = HandshakeOptions & {
  /**
   * Has a stranger prove who it is, and says who takes the connection then. Rejects when the stranger does not prove it, or with the
   * signal's reason: its time is `limits.handshakeMsMax`. What it wrote reaches the stranger.
   */
  readonly prove: (peer: UnprovenPeer, signal: AbortSignal) => Promise<TakeConnection>;
};

/** Has strangers prove themselves until it is disposed; the connections that it has given out live on. */
export type ProofListener = AsyncDisposable & { readonly port: number };

/**
 * Listens for mutual TLS 1.3 where no coordinator names the peers: whoever connects has to prove itself by what it says, and until then
 * is a stranger, with the limits of strangers (Handshakes) and short frames. No other use of its connection is possible before (P1).
 * Throws PORT_TAKEN when no port is free, NO_PERMISSION or SYSTEM when the address cannot be had.
 */
export async function listenForProof(options: ProofListenOptions): Promise<ProofListener> {
  const ended = new AbortController();
  const judging = new Set<Promise<void>>();
  const { handshakes, port } = await Handshakes.listen(options, (socket, found) => {
    const judged = judge(socket, found, { handshakes, options, signal: ended.signal });
    const gone = judged.finally(() => judging.delete(gone));
    judging.add(gone);
  });
  const dispose = async (): Promise<void> => {
    ended.abort(new BatonError('INTERRUPTED', 'the listener was closed'));
    handshakes[Symbol.dispose]();
    await Promise.all(judging);
  };
  return { port, [Symbol.asyncDispose]: dispose };
}

type Judging = {
  readonly handshakes: Handshakes;
  readonly options: ProofListenOptions;
  readonly signal: AbortSignal;
};

/** Never rejects: a stranger's failure is its own. */
async function judge(
  socket: TLSSocket,
  fingerprint: string | undefined,
  { handshakes, options, signal }: Judging,
): Promise<void> {
  const name = `${socket.remoteAddress ?? 'a peer'} port ${socket.remotePort ?? 0}`;
  if (fingerprint === undefined || socket.isSessionReused()) {
    handshakes.refuse(`${name} showed no certificate`);
    socket.on('error', () => {});
    socket.destroy();
    return;
  }
  const connection = tlsConnection(socket, fingerprint);
  connection.frameBytesMax = limits.unprovenFrameBytesMax;
  const late = new BatonError('TIMED_OUT', `${name} has not proven who it is within ${limits.handshakeMsMax} ms`);
  const timer = new AbortController();
  const timeout = setTimeout(() => timer.abort(late), limits.handshakeMsMax);
  try {
    const peer = peerOf(connection, name, options.authority === undefined ? undefined : distrustOf(socket));
    const take = await options.prove(peer, AbortSignal.any([signal, timer.signal]));
    signal.throwIfAborted();
    if (peer.distrust !== undefined) throw new BatonError('BUG', `${name} was let in against the authority`);
    handshakes.settled(socket);
    connection.frameBytesMax = limits.frameBytesMax;
    take(connection);
  } catch (error) {
    handshakes.refuse(`${name} was refused: ${error instanceof Error ? error.message : String(error)}`);
    await turnAway(connection);
  } finally {
    clearTimeout(timeout);
  }
}

function peerOf(connection: SocketConnection, name: string, distrust: string | undefined): UnprovenPeer {
  const { peerFingerprint, binding } = connection;
  return {
    name,
    distrust,
    peerFingerprint,
    binding,
    write: (...chunks) => connection.write(...chunks),
    readFrame: (signal) => connection.readFrame(signal),
  };
}

/** The last word to a stranger is not lost to a reset. */
async function turnAway(connection: Connection): Promise<void> {
  try {
    await connection.end();
  } catch {
    connection.destroy();
  }
  await connection[Symbol.asyncDispose]();
}
