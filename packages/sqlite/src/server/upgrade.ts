import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { bearerToken } from '@batondb/service/answer';
import { checkSender } from '@batondb/service/guard';
import { Refusal } from '@batondb/service/refusal';
import { type WebSocket, WebSocketServer } from 'ws';
import { limits } from '../hrana/limits.ts';
import { chooseSubprotocol, type HranaVersion, versionOf } from '../hrana/versions.ts';
import type { Context } from './context.ts';
import { isOurFault, refuseUpgrade, toWireError } from './refusal.ts';
import { parseSocketRoute } from './routes.ts';
import { SocketConversation } from './socket.ts';

/** The WebSockets of a server. Without compression: it costs memory for each, and lets a small message become a large one. */
export class Sockets {
  readonly #context: Context;
  readonly #conversations = new Set<SocketConversation>();
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    maxPayload: limits.messageBytesMax,
    perMessageDeflate: false,
    handleProtocols: (offered) => chooseSubprotocol(offered) ?? false,
  });

  #isStopping = false;

  constructor(context: Context) {
    this.#context = context;
  }

  get count(): number {
    return this.#conversations.size;
  }

  get streams(): number {
    let sum = 0;
    for (const { streams } of this.#conversations) sum += streams;
    return sum;
  }

  /** Answers a request for a WebSocket. One that is refused is told so in HTTP. Resolves when the WebSocket has ended. */
  async accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // Until ws takes over, and after a refusal, a connection that breaks is nobody's error.
    socket.on('error', () => undefined);
    let database: string;
    let version: HranaVersion;
    try {
      if (this.#isStopping) throw new Refusal('UNAVAILABLE', 'the server is stopping');
      checkSender(request.headers, this.#context.guard());
      database = parseSocketRoute(request.url ?? '');
      version = offeredVersion(request);
    } catch (error) {
      if (isOurFault(error)) this.#context.onFault(error);
      refuseUpgrade(socket, error);
      return;
    }
    const webSocket = await this.#open(request, socket, head);
    if (webSocket === undefined) return;
    const { databases, gate, settings, metrics, onFault } = this.#context;
    const conversation = new SocketConversation(webSocket, {
      ...{ database, version, databases, gate, settings },
      token: bearerToken(request.headers.authorization),
      onAnswered: (type, error) => {
        if (error !== undefined && isOurFault(error)) onFault(error);
        metrics.answered('ws', type, error === undefined ? 'ok' : toWireError(error).code);
      },
    });
    this.#conversations.add(conversation);
    if (this.#isStopping) conversation.stop();
    try {
      await conversation.run();
    } finally {
      this.#conversations.delete(conversation);
    }
  }

  /** Lets transactions come to their end. */
  stop(): void {
    this.#isStopping = true;
    for (const conversation of this.#conversations) conversation.stop();
  }

  /** Cuts off those that are still there. */
  endAll(): void {
    for (const client of this.#server.clients) client.terminate();
  }

  /** The WebSocket, or undefined when ws has refused the handshake or the client has gone. */
  #open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket | undefined> {
    return new Promise((resolve) => {
      const leave = (): void => resolve(undefined);
      socket.once('close', leave);
      this.#server.handleUpgrade(request, socket, head, (webSocket) => {
        socket.off('close', leave);
        resolve(webSocket);
      });
    });
  }
}

function offeredVersion(request: IncomingMessage): HranaVersion {
  const offered = new Set((request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim()));
  const chosen = chooseSubprotocol(offered);
  const version = chosen === undefined ? undefined : versionOf(chosen);
  if (version === undefined) throw new Refusal('WRONG_TYPE', 'a WebSocket here needs the subprotocol hrana3 or hrana2');
  return version;
}
