import { BatonError } from '@batondb/core/errors';
import type { ServerAccess } from '@batondb/service/client';
import type { WebSocket } from 'ws';
import { parseMessage } from '../hrana/json.ts';
import { limits as hranaLimits } from '../hrana/limits.ts';
import { decodeServerMessage, type ServerMessage } from './answers.ts';
import { openSocket } from './handshake.ts';
import { limits } from './limits.ts';
import { formatLocation, type Location } from './location.ts';
import { toError } from './remote-error.ts';
import { encodeHello, encodeMessage } from './requests.ts';

/** What a server answered to a request. */
export type Answer = Extract<ServerMessage, { readonly type: 'response_ok' | 'response_error' }>;

type Waiter = {
  readonly mayWrite: boolean;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
};

/** Numbers of requests, streams and cursors have 32 bits. They go round, which takes longer than any of them lasts. */
const numbersMax = 2 ** 31 - 1;
/** RFC 6455, 7.4.1. */
const closeCodes = { normal: 1000, protocolError: 1002 } as const;

/** One WebSocket to a server: requests out, each with the answer that comes back for it. */
export class Link {
  readonly location: Location;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, Waiter>();
  readonly #greeted = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #pulse: NodeJS.Timeout;
  #number = 0;
  #isHeard = true;
  #failure: BatonError | undefined;

  private constructor(location: Location, socket: WebSocket) {
    this.location = location;
    this.#socket = socket;
    this.#pulse = setInterval(() => this.#ping(), limits.pingMs);
    socket.on('message', (data: Buffer) => this.#receive(data));
    socket.on('pong', () => {
      this.#isHeard = true;
    });
    socket.once('close', (_, reason) => this.#end(reason.toString()));
    // Whoever waits for it hears of a failure; the connection may also break when nobody does.
    this.#greeted.promise.catch(() => undefined);
  }

  /** Connects and says hello. Throws UNREACHABLE, NOT_TRUSTED, ACCESS_DENIED, CONNECTION_LOST, PROTOCOL. */
  static async open(location: Location, access: ServerAccess, signal: AbortSignal): Promise<Link> {
    const link = new Link(location, await openSocket(location, access, signal));
    const abort = (): void => link.#fail(signal.reason as BatonError);
    signal.addEventListener('abort', abort, { once: true });
    const silence = new BatonError('UNREACHABLE', `${formatLocation(location)} does not answer a hello`);
    const timer = setTimeout(() => link.#fail(silence), limits.helloMsMax);
    try {
      signal.throwIfAborted();
      link.#socket.send(encodeHello(access.token));
      await link.#greeted.promise;
      return link;
    } catch (error) {
      await link.close();
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }

  get isOpen(): boolean {
    return this.#failure === undefined && this.#socket.readyState === this.#socket.OPEN;
  }

  /** A number that nothing else has on this link. */
  next(): number {
    this.#number = (this.#number + 1) % numbersMax;
    return this.#number;
  }

  /**
   * Sends a request and resolves with its answer, which may be an error. Throws CONNECTION_LOST; or OUTCOME_UNKNOWN when the connection breaks
   * after a request that may write was sent; LIMIT for one that the server would not read.
   */
  ask(request: string, mayWrite: boolean): Promise<Answer> {
    if (!this.isOpen) return Promise.reject(this.#failure ?? this.#lost('it is closed'));
    const requestId = this.next();
    const message = encodeMessage(requestId, request);
    const bytes = Buffer.byteLength(message);
    if (bytes > hranaLimits.messageBytesMax) {
      const what = `the request has ${bytes} bytes; a server reads ${hranaLimits.messageBytesMax}`;
      return Promise.reject(new BatonError('LIMIT', what, { hint: 'send it in parts' }));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.set(requestId, { mayWrite, resolve, reject });
      this.#socket.send(message);
    });
  }

  /** Ends the connection, and what the server has open for it. May be called again. */
  async close(): Promise<void> {
    this.#failure ??= this.#lost('it was closed here');
    this.#socket.close(closeCodes.normal);
    await this.#closed.promise;
  }

  #receive(data: Buffer): void {
    this.#isHeard = true;
    let message: ServerMessage;
    try {
      message = decodeServerMessage(parseMessage(data.toString()));
    } catch (error) {
      return this.#fail(error as BatonError);
    }
    if (message.type === 'hello_ok') return this.#greeted.resolve();
    if (message.type === 'hello_error') return this.#fail(toError(message.error));
    const waiter = this.#waiting.get(message.requestId);
    if (waiter === undefined)
      return this.#fail(new BatonError('PROTOCOL', `request ${message.requestId} was answered and not asked`));
    this.#waiting.delete(message.requestId);
    waiter.resolve(message);
  }

  #fail(error: BatonError): void {
    this.#failure ??= error;
    this.#greeted.reject(error);
    this.#socket.close(closeCodes.protocolError);
  }

  #end(reason: string): void {
    clearInterval(this.#pulse);
    const failure = (this.#failure ??= this.#lost(reason));
    this.#greeted.reject(failure);
    for (const { mayWrite, reject } of this.#waiting.values()) reject(mayWrite ? this.#unknown(failure) : failure);
    this.#waiting.clear();
    this.#closed.resolve();
  }

  #ping(): void {
    if (!this.#isHeard) {
      this.#failure ??= this.#lost(`nothing was heard for ${limits.pingMs / 1000} s`);
      return this.#socket.terminate();
    }
    this.#isHeard = false;
    this.#socket.ping();
  }

  #lost(reason: string): BatonError {
    const why = reason === '' ? '' : `: ${reason}`;
    return new BatonError('CONNECTION_LOST', `the connection to ${formatLocation(this.location)} broke${why}`, {
      retryable: true,
    });
  }

  #unknown(cause: BatonError): BatonError {
    return new BatonError('OUTCOME_UNKNOWN', `${cause.message}; whether what was asked was done is not known`, {
      cause,
      hint: 'look whether it is there, or ask for the receipt of its key',
    });
  }
}
