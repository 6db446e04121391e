import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Authority } from './authority.ts';
import type { Identity } from './certificate.ts';
import { bindFirstFree, type PortRange } from './ports.ts';
import { peerFingerprintOf, secureOptions } from './tls-settings.ts';

/** Where strangers are let in, as whom, and who looks at them. */
export type HandshakeOptions = {
  /** The address to listen on. Default: all of them, IPv6 and IPv4. */
  readonly host?: string;
  readonly ports: PortRange;
  readonly identity: Identity;
  /** Who is to vouch for strangers; whoever looks at them asks distrustOf(). */
  readonly authority?: Authority | undefined;
  /** Told of every stranger that was turned away. Must not throw. */
  readonly onRefused?: (error: BatonError) => void;
};

/** A stranger whose TLS handshake is over: `fingerprint` is that of the certificate it proved; undefined when it showed none. */
export type SecureHandler = (socket: TLSSocket, fingerprint: string | undefined) => void;

/**
 * The strangers at a port: at most `limits.handshakesMax` at a time, and one more takes the place of the oldest. Each has
 * `limits.handshakeMsMax` for TLS, and counts until it is `settled` or closed.
 */
export class Handshakes implements Disposable {
  readonly #server: Server;
  readonly #options: HandshakeOptions;
  /** By remote address and port: no two live ones share that. */
  readonly #strangers = new Map<string, Socket>();

  private constructor(server: Server, options: HandshakeOptions, onSecure: SecureHandler) {
    this.#server = server;
    this.#options = options;
    // The TLS server never listens: it is handed the sockets (the documented use of its 'connection' event).
    const tlsServer = createTlsServer({
      ...secureOptions(options.identity, options.authority),
      requestCert: true,
      // The check is that of `onSecure`: most certificates are pinned, not issued.
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeMsMax,
    });
    tlsServer.on('secureConnection', (socket) => onSecure(socket, peerFingerprintOf(socket)));
    tlsServer.on('tlsClientError', (error, socket) => {
      this.refuse(`a TLS handshake failed: ${error.message}`);
      socket.destroy();
    });
    server.on('connection', (socket) => {
      this.#admit(socket);
      tlsServer.emit('connection', socket);
    });
  }

  /** Listens on the first free port. Throws PORT_TAKEN when none is free, NO_PERMISSION or SYSTEM when the address cannot be had. */
  static async listen(
    options: HandshakeOptions,
    onSecure: SecureHandler,
  ): Promise<{ readonly handshakes: Handshakes; readonly port: number }> {
    const server = createServer();
    const handshakes = new Handshakes(server, options, onSecure);
    return { handshakes, port: await bindFirstFree(server, options.host, options.ports) };
  }

  get isListening(): boolean {
    return this.#server.listening;
  }

  /** It is no stranger any more: its place is free. */
  settled(socket: Socket): void {
    this.#strangers.delete(keyOf(socket));
    // Only now: a stranger who ends in the middle must give up its place at once.
    socket.allowHalfOpen = true;
  }

  /** Tells of a stranger that was turned away. */
  refuse(message: string): void {
    this.#options.onRefused?.(new BatonError('NOT_TRUSTED', message));
  }

  [Symbol.dispose](): void {
    if (!this.#server.listening) return;
    // Not waited for: 'close' comes only when the connections given out are closed too, and they are not ours any more.
    this.#server.close();
    for (const socket of this.#strangers.values()) socket.destroy();
  }

  #admit(socket: Socket): void {
    // A stranger's socket may fail at any time; TLS reports what matters.
    socket.on('error', () => {});
    const key = keyOf(socket);
    this.#strangers.set(key, socket);
    if (this.#strangers.size > limits.handshakesMax) this.#giveUpOldest();
    socket.once('close', () => {
      if (this.#strangers.get(key) === socket) this.#strangers.delete(key);
    });
  }

  /** The oldest, not the newest: strangers who connect and say nothing would otherwise keep every member out. */
  #giveUpOldest(): void {
    for (const [key, socket] of this.#strangers) {
      this.#strangers.delete(key);
      socket.destroy();
      this.refuse(`more than ${limits.handshakesMax} handshakes are under way; the oldest was given up`);
      return;
    }
  }
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`;
}
