// A WebSocket client that says exactly what a test wants it to say.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientOptions, WebSocket } from 'ws';
import type { Json } from './served.ts';

export class RawSocket implements Disposable {
  readonly socket: WebSocket;
  readonly messages: Json[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  #waiting: (() => void)[] = [];
  #lastRequest = 0;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => {
      this.messages.push(JSON.parse(data.toString()) as Json);
      this.#wake();
    });
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
    socket.on('error', () => undefined);
  }

  static async open(
    url: string,
    protocols: readonly string[] = ['hrana3'],
    options: ClientOptions = {},
  ): Promise<RawSocket> {
    const socket = new WebSocket(url, [...protocols], options);
    const opened = new RawSocket(socket);
    await once(socket, 'open');
    return opened;
  }

  say(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Sends a request and returns its number. */
  request(request: Json): number {
    this.#lastRequest += 1;
    this.say({ type: 'request', request_id: this.#lastRequest, request });
    return this.#lastRequest;
  }

  /** Sends a request and resolves with its response or error. */
  async ask(request: Json): Promise<Json> {
    return this.answer(this.request(request));
  }

  async answer(requestId: number): Promise<Json> {
    const message = await this.find((one) => one['request_id'] === requestId);
    return (message['response'] ?? message['error']) as Json;
  }

  async find(matches: (message: Json) => boolean): Promise<Json> {
    for (;;) {
      const found = this.messages.find(matches);
      if (found !== undefined) return found;
      assert.equal(this.closed, undefined, `closed: ${JSON.stringify(this.closed)}`);
      await this.#change();
    }
  }

  async whenClosed(): Promise<{ readonly code: number; readonly reason: string }> {
    while (this.closed === undefined) await this.#change();
    return this.closed;
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
  }
}

/** Why a handshake is refused: its HTTP status, and the code in its body. */
export async function refusalOf(
  url: string,
  protocols: readonly string[],
  options: ClientOptions = {},
): Promise<readonly [number, unknown]> {
  const socket = new WebSocket(url, [...protocols], options);
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [
    unknown,
    AsyncIterable<Buffer> & { statusCode: number },
  ];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  socket.terminate();
  return [response.statusCode, (JSON.parse(Buffer.concat(chunks).toString()) as Json)['code']];
}
