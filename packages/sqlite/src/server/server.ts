import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, Server as TlsServer } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { Registry } from 'prom-client';
import type { Databases } from '../databases.ts';
import { type Address, defaultAddress, isLocal, parseAddress } from './address.ts';
import { ReceivingBudget } from './body.ts';
import { type CertificateFiles, readCertificate } from './certificate.ts';
import type { Context } from './context.ts';
import { checkExposure } from './exposure.ts';
import type { GuardSettings } from './guard.ts';
import { handleRequest } from './http-handler.ts';
import { HttpStreams } from './http-streams.ts';
import { formatAddress, listen } from './listen.ts';
import { ServerMetrics } from './metrics.ts';
import { Occupancy } from './occupancy.ts';
import { isPeerRequest, PeerConnections } from './peers.ts';
import { defaultSettings, type ServerSettings } from './settings.ts';
import { TokenGate } from './tokens/gate.ts';
import { Sockets } from './upgrade.ts';

/** Where and for whom a server listens. */
export type ServerOptions = {
  /** `HOST:PORT` or `unix:PATH`. Default: 127.0.0.1:6480. */
  readonly listen?: string;
  /** The file of tokens. Where it exists, everybody needs one. Default: nobody needs one. */
  readonly tokenPath?: string;
  readonly tls?: CertificateFiles;
  /** Serve other machines without tokens. Default: false. */
  readonly noAuth?: boolean;
  /** Serve other machines without TLS, since something in front of this server speaks it. Default: false. */
  readonly behindProxy?: boolean;
  /** Where the metrics are registered. Default: a registry of its own. */
  readonly registry?: Registry;
  readonly settings?: Partial<ServerSettings>;
  /** Told of errors that are the server's own fault. */
  readonly onFault: (error: unknown) => void;
};

/** A server that serves. Disposing stops it. */
export interface RunningServer extends AsyncDisposable {
  /** Where it listens, with the port that was chosen: `127.0.0.1:6480`, `unix:/run/baton.sock`. */
  readonly address: string;
  /** By which clients of this machine reach it: `ws://127.0.0.1:6480`, `wss://…`, `unix:/run/baton.sock`. */
  readonly url: string;
  /** Reads the certificate again, for connections from now on. Throws USAGE and keeps the old one when the new one is not good. */
  reloadCertificate(): void;
  /** Takes nothing new, lets requests and transactions come to their end for at most `stopMsMax`, and closes. May be called again. */
  stop(): Promise<void>;
}

const headerBytesMax = 16_384;

/**
 * Serves databases over Hrana, and the operator's pages beside them. Throws USAGE when others could reach them unprotected (S1), and
 * PORT_TAKEN.
 */
export async function startServer(databases: Databases, options: ServerOptions): Promise<RunningServer> {
  const address = parseAddress(options.listen ?? defaultAddress);
  const { tls, noAuth = false, behindProxy = false } = options;
  const gate = new TokenGate(noAuth ? undefined : options.tokenPath);
  checkExposure({ address, hasTls: tls !== undefined, hasTokens: gate.tokens > 0, noAuth, behindProxy });
  const server = new DatabaseServer(databases, { ...options, noAuth, behindProxy }, address, gate);
  await server.start();
  return server;
}

class DatabaseServer implements RunningServer {
  readonly #options: ServerOptions;
  readonly #settings: ServerSettings;
  readonly #http: Server;
  readonly #context: Context;
  readonly #sockets: Sockets;
  readonly #peers: PeerConnections;
  readonly #occupancy = new Occupancy();
  readonly #startedMs = Date.now();
  #address: Address;
  #connections = 0;
  #stopping: Promise<void> | undefined;

  constructor(databases: Databases, options: ServerOptions, address: Address, gate: TokenGate) {
    this.#options = options;
    this.#address = address;
    const settings = { ...defaultSettings, ...options.settings };
    this.#settings = settings;
    this.#context = {
      databases,
      settings,
      gate,
      budget: new ReceivingBudget(),
      streams: new HttpStreams(databases, settings, this.#occupancy, options.onFault),
      metrics: new ServerMetrics(options.registry ?? new Registry(), () => this.#levels()),
      isStopping: () => this.#stopping !== undefined,
      guard: () => this.#guard(gate),
      status: () => ({ ...this.#levels(), startedMs: this.#startedMs, listen: this.address }),
      onFault: options.onFault,
    };
    this.#sockets = new Sockets(this.#context);
    this.#peers = new PeerConnections(this.#context);
    this.#http = this.#createHttp();
  }

  get address(): string {
    return formatAddress(this.#address);
  }

  get url(): string {
    if (this.#address.kind === 'unix') return this.address;
    return `${this.#options.tls === undefined ? 'ws' : 'wss'}://${this.address}`;
  }

  async start(): Promise<void> {
    this.#address = await listen(this.#http, this.#address);
    this.#http.on('connection', (socket) => {
      this.#connections += 1;
      socket.once('close', () => {
        this.#connections -= 1;
      });
    });
    this.#http.on('upgrade', (request, socket, head) => {
      const connections = isPeerRequest(request) ? this.#peers : this.#sockets;
      void this.#occupy(connections.accept(request, socket, head));
    });
  }

  reloadCertificate(): void {
    const { tls } = this.#options;
    if (tls !== undefined && this.#http instanceof TlsServer) this.#http.setSecureContext(readCertificate(tls));
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    // Still listening: the next statement of a transaction over HTTP may come by a new connection.
    this.#sockets.stop();
    this.#peers.endAll();
    this.#context.streams.stop();
    const limit = new AbortController();
    const tooLate = delay(this.#settings.stopMsMax, undefined, { signal: limit.signal }).catch(() => undefined);
    await Promise.race([this.#occupancy.empty(), tooLate]);
    limit.abort();
    this.#sockets.endAll();
    await this.#context.streams.endAll();
    const closed = once(this.#http, 'close');
    this.#http.close();
    this.#http.closeAllConnections();
    await Promise.all([closed, this.#occupancy.empty()]);
  }

  #createHttp(): Server {
    const { arrivalMsMax, connectionsMax } = this.#settings;
    const { tls } = this.#options;
    const limits = {
      headersTimeout: arrivalMsMax,
      // Each request has its own time: see http-handler.ts.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.max(50, arrivalMsMax / 4),
      maxHeaderSize: headerBytesMax,
    };
    const listener: RequestListener = (request, response) => {
      void this.#occupy(handleRequest(this.#context, request, response));
    };
    const server =
      tls === undefined
        ? createServer(limits, listener)
        : createTlsServer({ ...limits, ...readCertificate(tls), handshakeTimeout: arrivalMsMax }, listener);
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

  #guard(gate: TokenGate): GuardSettings {
    const { hosts, origins } = this.#settings;
    const isLoopback = this.#address.kind === 'tcp' && isLocal(this.#address);
    return {
      hosts: hosts.map((host) => host.toLowerCase()),
      origins: origins.map((origin) => origin.toLowerCase()),
      checksHost: isLoopback && !gate.needsToken && this.#options.behindProxy !== true,
    };
  }

  #levels(): { connections: number; streams: number } {
    return { connections: this.#connections, streams: this.#context.streams.count + this.#sockets.streams };
  }
}
