import { setTimeout as delay } from 'node:timers/promises';
import { Occupancy } from '@batondb/service/occupancy';
import { type WebOptions, WebServer } from '@batondb/service/web-server';
import { Registry } from 'prom-client';
import type { Databases } from '../databases.ts';
import { ReceivingBudget } from './body.ts';
import type { Context } from './context.ts';
import { handleRequest } from './http-handler.ts';
import { HttpStreams } from './http-streams.ts';
import { ServerMetrics } from './metrics.ts';
import { isPeerRequest, PeerConnections } from './peers.ts';
import { defaultSettings, type ServerSettings } from './settings.ts';
import { Sockets } from './upgrade.ts';

/** Where and for whom a server listens. */
export type ServerOptions = Omit<WebOptions, 'listen' | 'settings' | 'tokenCommand'> & {
  /** `HOST:PORT` or `unix:PATH`. Default: 127.0.0.1:6480. */
  readonly listen?: string;
  /** Where the metrics are registered. Default: a registry of its own. */
  readonly registry?: Registry;
  readonly settings?: Partial<ServerSettings>;
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

/** Where a server of databases listens when nothing else was said. */
const defaultAddress = '127.0.0.1:6480';

/**
 * Serves databases over Hrana, and the operator's pages beside them. Throws USAGE when others could reach them unprotected (S1), and
 * PORT_TAKEN.
 */
export async function startServer(databases: Databases, options: ServerOptions): Promise<RunningServer> {
  const server = new DatabaseServer(databases, options);
  await server.start();
  return server;
}

class DatabaseServer implements RunningServer {
  readonly #settings: ServerSettings;
  readonly #web: WebServer;
  readonly #context: Context;
  readonly #sockets: Sockets;
  readonly #peers: PeerConnections;
  readonly #occupancy = new Occupancy();
  readonly #startedMs = Date.now();
  #stopping: Promise<void> | undefined;

  constructor(databases: Databases, options: ServerOptions) {
    const settings = { ...defaultSettings, ...options.settings };
    this.#settings = settings;
    const web = new WebServer(
      { ...options, listen: options.listen ?? defaultAddress, settings, tokenCommand: 'baton sqlite token create' },
      {
        request: (request, response) => handleRequest(this.#context, request, response),
        upgrade: (request, socket, head) =>
          (isPeerRequest(request) ? this.#peers : this.#sockets).accept(request, socket, head),
      },
      this.#occupancy,
    );
    this.#web = web;
    this.#context = {
      databases,
      settings,
      gate: web.gate,
      budget: new ReceivingBudget(),
      streams: new HttpStreams(databases, settings, this.#occupancy, options.onFault),
      metrics: new ServerMetrics(options.registry ?? new Registry(), () => this.#levels()),
      isStopping: () => this.#stopping !== undefined,
      guard: () => web.guard,
      status: () => ({ ...this.#levels(), startedMs: this.#startedMs, listen: this.address }),
      onFault: options.onFault,
    };
    this.#sockets = new Sockets(this.#context);
    this.#peers = new PeerConnections(this.#context);
  }

  get address(): string {
    return this.#web.address;
  }

  get url(): string {
    return this.#web.urlOf('ws');
  }

  start(): Promise<void> {
    return this.#web.start();
  }

  reloadCertificate(): void {
    this.#web.reloadCertificate();
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
    await this.#web.close();
  }

  #levels(): { connections: number; streams: number } {
    return { connections: this.#web.connections, streams: this.#context.streams.count + this.#sockets.streams };
  }
}
