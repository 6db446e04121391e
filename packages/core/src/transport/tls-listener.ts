import type { TLSSocket } from 'node:tls';
import { ConnectionQueue } from './connection-queue.ts';
import { type HandshakeOptions, Handshakes } from './handshakes.ts';
import { tlsConnection } from './tls-connection.ts';
import type { Connection } from './transport.ts';

export type { PortRange } from './ports.ts';

export type ListenOptions = Omit<HandshakeOptions, 'authority'> & {
  /** Fingerprints that may connect; asked anew for every connection. */
  readonly allowed: () => ReadonlySet<string>;
};

/** Accepts connections until it is disposed; those it has given out live on. Iterated by one consumer. */
export interface Listener extends AsyncDisposable, AsyncIterable<Connection> {
  readonly port: number;
  /** The next trusted connection; undefined when the listener is disposed. Rejects with the signal's reason. */
  accept(signal?: AbortSignal): Promise<Connection | undefined>;
}

/**
 * Listens for mutual TLS 1.3 on the first free port. Only peers that prove a certificate of `allowed` come out of it; from all others
 * nothing is read (P1). What strangers may take up is bounded (Handshakes).
 * Throws PORT_TAKEN when no port is free, NO_PERMISSION or SYSTEM when the address cannot be had.
 */
export async function listenTls(options: ListenOptions): Promise<Listener> {
  const listener = new TlsListener(options);
  await listener.open();
  return listener;
}

class TlsListener implements Listener {
  readonly #options: ListenOptions;
  readonly #queue = new ConnectionQueue();
  #handshakes: Handshakes | undefined;
  #port = 0;

  constructor(options: ListenOptions) {
    this.#options = options;
  }

  get port(): number {
    return this.#port;
  }

  async open(): Promise<void> {
    const onSecure = (socket: TLSSocket, found: string | undefined): void => this.#onSecure(socket, found);
    const { handshakes, port } = await Handshakes.listen(this.#options, onSecure);
    this.#handshakes = handshakes;
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
    this.#handshakes?.[Symbol.dispose]();
    await this.#queue.close();
  }

  #onSecure(socket: TLSSocket, found: string | undefined): void {
    const handshakes = this.#handshakes;
    const isTrusted = found !== undefined && this.#options.allowed().has(found) && !socket.isSessionReused();
    if (handshakes === undefined || !isTrusted) {
      handshakes?.refuse(
        `certificate of ${socket.remoteAddress ?? 'a peer'} is ${found ?? 'missing'}, but no member of this job has it`,
      );
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    handshakes.settled(socket);
    if (!handshakes.isListening) socket.destroy();
    else if (!this.#queue.offer(tlsConnection(socket, found)))
      handshakes.refuse('too many accepted connections wait to be used');
  }
}
