import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import { bearerToken } from '@batondb/service/answer';
import { checkSender } from '@batondb/service/guard';
import { Refusal } from '@batondb/service/refusal';
import { requireRight } from '@batondb/service/tokens/gate';
import type { Peer, Peers } from '../databases.ts';
import { type Upgrade, upgrades } from '../replica/connect.ts';
import type { Context } from './context.ts';
import { isOurFault, refuseUpgrade } from './refusal.ts';

/** Whether a request is for a connection between nodes. */
export function isPeerRequest(request: IncomingMessage): boolean {
  return upgradeOf(request) !== undefined;
}

/** Connections of other nodes: let in here, and served by the node. */
export class PeerConnections {
  readonly #context: Context;
  readonly #sockets = new Set<Duplex>();

  constructor(context: Context) {
    this.#context = context;
  }

  get count(): number {
    return this.#sockets.size;
  }

  /** Lets a node in that has the right to join, and serves it. Resolves when its connection has ended. */
  async accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => undefined);
    let serve: (peer: Peer) => Promise<void>;
    let recheck: () => void;
    try {
      const { gate, databases, isStopping } = this.#context;
      if (isStopping()) throw new Refusal('UNAVAILABLE', 'the server is stopping');
      checkSender(request.headers, this.#context.guard());
      serve = serverOf(databases.peers, request);
      const grant = gate.admit(bearerToken(request.headers.authorization));
      requireRight(grant, 'join');
      recheck = () => gate.recheck(grant);
    } catch (error) {
      if (isOurFault(error)) this.#context.onFault(error);
      refuseUpgrade(socket, error);
      return;
    }
    const upgrade = request.headers.upgrade ?? '';
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: ${upgrade}\r\n\r\n`);
    if (head.length > 0) socket.unshift(head);
    request.socket.setTimeout(0);
    request.socket.setNoDelay(true);
    this.#sockets.add(socket);
    const { remoteAddress = 'a local socket', remotePort } = request.socket;
    const address = remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`;
    try {
      await serve({ socket, address, recheck: () => told(recheck) });
    } finally {
      this.#sockets.delete(socket);
      socket.destroy();
    }
  }

  /** Ends all of them: nodes come again, here or elsewhere. */
  endAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

function upgradeOf({ headers }: IncomingMessage): Upgrade | undefined {
  const found = Object.entries(upgrades).find(([, protocol]) => protocol === headers.upgrade?.toLowerCase());
  return found?.[0] as Upgrade | undefined;
}

/** Who serves what is asked for. Throws NO_SUCH_PATH. */
function serverOf(peers: Peers | undefined, request: IncomingMessage): (peer: Peer) => Promise<void> {
  const upgrade = upgradeOf(request);
  if (peers !== undefined && upgrade === 'log' && request.url === '/log') return (peer) => peers.serveLog(peer);
  if (peers !== undefined && upgrade === 'snapshot' && request.url === '/snapshot')
    return (peer) => peers.serveSnapshot(peer);
  throw new Refusal('NO_SUCH_PATH', `no connection of this kind is served at ${(request.url ?? '').slice(0, 200)}`);
}

/** A refusal of this server in words that travel between nodes. */
function told(recheck: () => void): void {
  try {
    recheck();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new BatonError('ACCESS_DENIED', error.message, { hint: 'give a token with the right to join' });
  }
}
