import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Identity } from './certificate.ts';
import { ConnectionQueue } from './connection-queue.ts';
import { bindFirstFree, type PortRange } from './ports.ts';
import { tlsConnection } from './tls-connection.ts';
import { peerFingerprintOf, secureOptions } from './tls-settings.ts';
import type { Connection } from './transport.ts';

export type { PortRange } from './ports.ts';

export type ListenOptions = {
  /** The address to listen on. Default: all of them, IPv6 and IPv4. */
  readonly host?: string;
  readonly ports: PortRange;
  readonly identity: Identity;
  /** Fingerprints that may connect; asked anew for every connection. */
  readonly allowed: () => ReadonlySet<string>;
  /** Told of every stranger that was turned away. Must not throw. */
  readonly onRefused?: (error: BatonError) => void;
};

/** Accepts connections until it is disposed; those it has given out live on. Iterated by one consumer. */
export interface Listener extends AsyncDisposable, AsyncIterable<Connection> {
  readonly port: number;
  /** The next trusted connection; undefined when the listener is disposed. Rejects with the signal's reason. */
  accept(signal?: AbortSignal): Promise<Connection | undefined>;
}

/**
 * Listens for mutual TLS 1.3 on the first free port. Only peers that prove a certificate of `allowed` come out of it; from all others
 * nothing is read (P1). At most `limits.handshakesMax` strangers are in a handshake at a time, each for `limits.handshakeMsMax`;
 * one more takes the place of the oldest.
 * Throws PORT_TAKEN when no port is free, NO_PERMISSION or SYSTEM when the address cannot be had.
 */
export async function listenTls(options: ListenOptions): Promise<Listener> {
  const server = createServer();
  const listener = new TlsListener(server, options);
  const port = await bindFirstFree(server, options.host, options.ports);
  listener.opened(port);
  return listener;
}

class TlsListener implements Listener {
  readonly #server: Server;
  readonly #options: ListenOptions;
  readonly #queue = new ConnectionQueue();
  /** Sockets in the middle of a handshake, by remote address and port: no two live ones share that. */
  readonly #handshakes = new Map<string, Socket>();
  #port = 0;

  constructor(server: Server, options: ListenOptions) {
    this.#server = server;
    this.#options = options;
    // The TLS server never listens: it is handed the sockets (the documented use of its 'connection' event).
    const tlsServer = createTlsServer({
      ...secureOptions(options.identity),
      requestCert: true,
      // Certificates are pinned, not issued: the check is ours, in #onSecure.
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeMsMax,
    });
    tlsServer.on('secureConnection', (socket) => this.#onSecure(socket));
    tlsServer.on('tlsClientError', (error, socket) => {
      this.#refuse(`a TLS handshake failed: ${error.message}`);
      socket.destroy();
    });
    server.on('connection', (socket) => {
      this.#admit(socket);
      tlsServer.emit('connection', socket);
    });
  }

  get port(): number {
    return this.#port;
  }

  opened(port: number): void {
    this.#port = port;
  }

  accept(signal?: AbortSignal): Promise<Connection | undefined> {
    return this.#queue.next(signal);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
    for (;;) {
      const connection = await this.accept();
      if (connection === undefined) return;
      yield connection;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    // Not waited for: 'close' comes only when the connections given out are closed too, and they are not ours any more.
    this.#server.close();
    for (const socket of this.#handshakes.values()) socket.destroy();
    await this.#queue.close();
  }

  #admit(socket: Socket): void {
    // A stranger's socket may fail at any time; TLS reports what matters.
    socket.on('error', () => {});
    const key = keyOf(socket);
    this.#handshakes.set(key, socket);
    if (this.#handshakes.size > limits.handshakesMax) this.#giveUpOldest();
    socket.once('close', () => {
      if (this.#handshakes.get(key) === socket) this.#handshakes.delete(key);
    });
  }

  /** The oldest, not the newest: strangers who connect and say nothing would otherwise keep every member out. */
  #giveUpOldest(): void {
    for (const [key, socket] of this.#handshakes) {
      this.#handshakes.delete(key);
      socket.destroy();
      this.#refuse(`more than ${limits.handshakesMax} handshakes are under way; the oldest was given up`);
      return;
    }
  }

  #onSecure(socket: TLSSocket): void {
    this.#handshakes.delete(keyOf(socket));
    const found = peerFingerprintOf(socket);
    const isTrusted = found !== undefined && this.#options.allowed().has(found) && !socket.isSessionReused();
    if (!isTrusted) {
      this.#refuse(
        `certificate of ${socket.remoteAddress ?? 'a peer'} is ${found ?? 'missing'}, but no member of this job has it`,
      );
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    // Only now: a stranger who ends in the middle of the handshake must give up its place at once.
    socket.allowHalfOpen = true;
    if (!this.#server.listening) socket.destroy();
    else if (!this.#queue.offer(tlsConnection(socket, found)))
      this.#refuse('too many accepted connections wait to be used');
  }

  #refuse(message: string): void {
    this.#options.onRefused?.(new BatonError('NOT_TRUSTED', message));
  }
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`;
}
