import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { type Address, formatAddress, isLocal, parseAddress } from './address.ts';
import { type CertificateFiles, readCertificate } from './certificate.ts';
import { checkExposure } from './exposure.ts';
import type { GuardSettings } from './guard.ts';
import { listen } from './listen.ts';
import { Occupancy } from './occupancy.ts';
import { TokenGate } from './tokens/gate.ts';

// A server of HTTP that other machines reach only in ways that were said.

/** Where and for whom a server listens. */
export type WebOptions = {
  /** `HOST:PORT` or `unix:PATH`. */
  readonly listen: string;
  /** The file of tokens. Where it exists, everybody needs one. Default: nobody needs one. */
  readonly tokenPath?: string;
  readonly tls?: CertificateFiles;
  /** Serve other machines without tokens. Default: false. */
  readonly noAuth?: boolean;
  /** Serve other machines without TLS, since something in front of this server speaks it. Default: false. */
  readonly behindProxy?: boolean;
  /** The command that makes a token, for hints. */
  readonly tokenCommand: string;
  readonly settings: WebSettings;
  /** Told of errors that are the server's own fault. */
  readonly onFault: (error: unknown) => void;
};

export type WebSettings = {
  /** Connections at the same time. */
  readonly connectionsMax: number;
  /** Time in which the head of a request has to arrive. */
  readonly arrivalMsMax: number;
  /** Names besides `localhost` and the loopback addresses that clients without a token may know this machine by. */
  readonly hosts: readonly string[];
  /** Origins of web pages that may use this server, such as `https://app.example`. */
  readonly origins: readonly string[];
};

/** What a server does with what comes. What it throws is a fault. */
export type WebHandlers = {
  readonly request: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** A request for another protocol. Default: its connection is ended. */
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>;
};

const headerBytesMax = 16_384;

export class WebServer {
  /** Decides who may do what. */
  readonly gate: TokenGate;
  readonly #options: WebOptions;
  readonly #http: Server;
  readonly #handlers: WebHandlers;
  readonly #occupancy: Occupancy;
  #address: Address;
  #connections = 0;

  /** `occupancy`: counts requests as at work. Throws USAGE when others could reach it unprotected (S1). */
  constructor(options: WebOptions, handlers: WebHandlers, occupancy: Occupancy = new Occupancy()) {
    const { tls, noAuth = false, behindProxy = false, tokenCommand } = options;
    this.#address = parseAddress(options.listen);
    this.gate = new TokenGate(noAuth ? undefined : options.tokenPath);
    const [hasTls, hasTokens] = [tls !== undefined, this.gate.tokens > 0];
    checkExposure({ address: this.#address, hasTls, hasTokens, noAuth, behindProxy, tokenCommand });
    this.#options = options;
    this.#handlers = handlers;
    this.#occupancy = occupancy;
    this.#http = this.#createHttp();
  }

  /** Where it listens, with the port that was chosen: `127.0.0.1:6480`, `unix:/run/baton.sock`. */
  get address(): string {
    return formatAddress(this.#address);
  }

  /** The same as a URL of a scheme, which gets an `s` where there is TLS; a Unix socket has none. */
  urlOf(scheme: 'http' | 'ws'): string {
    if (this.#address.kind === 'unix') return this.address;
    return `${scheme}${this.#options.tls === undefined ? '' : 's'}://${this.address}`;
  }

  get connections(): number {
    return this.#connections;
  }

  /** The checks of senders, which depend on whether tokens are needed by now. */
  get guard(): GuardSettings {
    const { settings, behindProxy } = this.#options;
    const isLoopback = this.#address.kind === 'tcp' && isLocal(this.#address);
    return {
      hosts: settings.hosts.map((host) => host.toLowerCase()),
      origins: settings.origins.map((origin) => origin.toLowerCase()),
      checksHost: isLoopback && !this.gate.needsToken && behindProxy !== true,
    };
  }

  /** Throws PORT_TAKEN, or what the system says. */
  async start(): Promise<void> {
    this.#address = await listen(this.#http, this.#address);
    this.#http.on('connection', (socket) => {
      this.#connections += 1;
      socket.once('close', () => {
        this.#connections -= 1;
      });
    });
  }

  /** Reads the certificate again, for connections from now on. Throws USAGE and keeps the old one when the new one is not good (S5). */
  reloadCertificate(): void {
    const { tls } = this.#options;
    if (tls !== undefined && this.#http instanceof TlsServer) this.#http.setSecureContext(readCertificate(tls));
  }

  /** Ends every connection, and resolves when nothing is at work any more. */
  async close(): Promise<void> {
    const closed = once(this.#http, 'close');
    this.#http.close();
    this.#http.closeAllConnections();
    await Promise.all([closed, this.#occupancy.empty()]);
  }

  #createHttp(): Server {
    const { tls, settings } = this.#options;
    const { arrivalMsMax, connectionsMax } = settings;
    const limits = {
      headersTimeout: arrivalMsMax,
      // Each request has its own time: see answer.ts.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.max(50, arrivalMsMax / 4),
      maxHeaderSize: headerBytesMax,
    };
    const server =
      tls === undefined
        ? createServer(limits)
        : createTlsServer({ ...limits, ...readCertificate(tls), handshakeTimeout: arrivalMsMax });
    const { request: onRequest, upgrade: onUpgrade } = this.#handlers;
    server.on('request', (request, response) => void this.#occupy(onRequest(request, response)));
    if (onUpgrade !== undefined)
      server.on('upgrade', (request, socket, head) => void this.#occupy(onUpgrade(request, socket, head)));
    server.maxConnections = connectionsMax;
    return server;
  }

  /** Counts something as at work until it ends. What it throws is our fault, since clients are told of everything else. */
  async #occupy(work: Promise<void>): Promise<void> {
    this.#occupancy.enter();
    try {
      await work;
    } catch (error) {
      this.#options.onFault(error);
    } finally {
      this.#occupancy.leave();
    }
  }
}
