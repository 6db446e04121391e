// A gate in front of a server on this machine: it lets bytes pass, or keeps those of one direction, or all.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './ports.ts';

/**
 * What passes. `no-answers`: the server hears everything and is not heard; `no-requests`: the other way round; `held`: the server hears nothing until
 * `release`.
 */
export type GateMode = 'open' | 'no-answers' | 'no-requests' | 'shut' | 'held';

/** A gate. What is kept back is dropped, unless it is held, and so are the connections it belonged to when the gate opens again. */
export class Gate implements AsyncDisposable {
  readonly endpoint: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #held: (() => void)[] = [];
  #mode: GateMode = 'open';

  constructor(server: Server, port: number) {
    this.endpoint = `127.0.0.1:${port}`;
    this.#server = server;
  }

  set(mode: GateMode): void {
    if (mode === 'open') for (const socket of this.#sockets) socket.destroy();
    this.#mode = mode;
  }

  /** Lets pass what was held, late, and all that follows. */
  release(): void {
    this.#mode = 'open';
    for (const pass of this.#held.splice(0)) pass();
  }

  /** Takes a connection that came in. */
  take(client: Socket, target: { readonly host: string; readonly port: number }): void {
    const server = connect(target);
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (this.#mode === 'open' || this.#mode === 'no-answers') server.write(chunk);
      if (this.#mode === 'held') this.#held.push(() => server.write(chunk));
    });
    server.on('data', (chunk) => {
      if (this.#mode !== 'shut' && this.#mode !== 'no-answers') client.write(chunk);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}

/** Puts a gate in front of `host:port`. */
export async function startGate(endpoint: string): Promise<Gate> {
  const [host = '', port] = endpoint.split(':');
  const own = await freePort();
  const server = createServer();
  const gate = new Gate(server, own);
  server.on('connection', (client) => gate.take(client, { host, port: Number(port) }));
  server.listen(own, '127.0.0.1');
  await once(server, 'listening');
  return gate;
}
