import { BatonError } from '@batondb/core/errors';
import { Refusal } from '@batondb/service/refusal';
import { type Grant, requireRight, type TokenGate } from '@batondb/service/tokens/gate';
import { allows } from '@batondb/service/tokens/token';
import type { RawData, WebSocket } from 'ws';
import type { Databases } from '../databases.ts';
import {
  type ClientMessage,
  decodeClientMessage,
  decodeSocketRequest,
  encodeHelloError,
  encodeResponseError,
  encodeResponseOk,
  helloOk,
  requestTypeOf,
  type SocketRequest,
} from '../hrana/client-messages.ts';
import type { Fields } from '../hrana/fields.ts';
import { parseMessage } from '../hrana/json.ts';
import { limits } from '../hrana/limits.ts';
import { encodeDone } from '../hrana/results.ts';
import { StoredSql } from '../hrana/stored-sql.ts';
import type { HranaVersion } from '../hrana/versions.ts';
import { Flow } from './flow.ts';
import { Lane } from './lane.ts';
import { toWireError } from './refusal.ts';
import type { ServerSettings } from './settings.ts';
import { answerSqlRequest, ClientStream } from './stream.ts';

/** RFC 6455, 7.4.1: why a WebSocket is closed. */
const closeCodes = { goingAway: 1001, protocolError: 1002, notText: 1003, policy: 1008 } as const;
/** RFC 6455, 5.5: a close frame has room for this many bytes of reason. */
const reasonBytesMax = 123;

/** A request that waits for those before it on the same stream. */
type LaneRequest = Exclude<SocketRequest, { readonly type: 'open_stream' | 'store_sql' | 'close_sql' | 'interrupt' }>;

export type SocketOptions = {
  readonly database: string;
  readonly version: HranaVersion;
  /** Of the request that opened the WebSocket; `hello` may bring another one. */
  readonly token: string | undefined;
  readonly databases: Databases;
  readonly gate: TokenGate;
  readonly settings: ServerSettings;
  /** Told of each request once it is answered, with the error if it failed. */
  readonly onAnswered: (type: string, error: unknown) => void;
};

/** Hrana over one WebSocket: what a client says, in which order it is answered, and how much of it may wait. */
export class SocketConversation {
  readonly #socket: WebSocket;
  readonly #options: SocketOptions;
  readonly #flow: Flow;
  readonly #lanes = new Map<number, Lane>();
  readonly #laneOfCursor = new Map<number, Lane>();
  readonly #storedSql = new StoredSql();
  #grant: Grant | undefined;
  #isStopping = false;
  #isAlive = true;

  constructor(socket: WebSocket, options: SocketOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#flow = new Flow(socket);
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('pong', () => {
      this.#isAlive = true;
    });
    // What it tells is told again by 'close'.
    socket.on('error', () => undefined);
  }

  get streams(): number {
    return this.#lanes.size;
  }

  /** Serves until the WebSocket is closed and everything that was open in it is, too. */
  async run(): Promise<void> {
    const { arrivalMsMax, pingMs } = this.#options.settings;
    const greeting = setTimeout(() => {
      if (this.#grant === undefined) this.#close(closeCodes.policy, 'no hello came');
    }, arrivalMsMax);
    const pulse = setInterval(() => this.#ping(), pingMs);
    await new Promise<void>((resolve) => this.#socket.once('close', resolve));
    clearTimeout(greeting);
    clearInterval(pulse);
    const reason = new Refusal('STREAM_EXPIRED', 'the stream has ended: its client went away');
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close(reason)));
  }

  /** Lets transactions come to their end, then closes. */
  stop(): void {
    this.#isStopping = true;
    this.#closeIfIdle();
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (isBinary) return this.#close(closeCodes.notText, 'messages are text');
    // ws has checked the text to be UTF-8, and gives one Buffer unless told otherwise.
    const bytes = data as Buffer;
    if (this.#grant === undefined && bytes.byteLength > limits.helloBytesMax)
      return this.#close(closeCodes.policy, 'the first message must be hello');
    let message: ClientMessage;
    try {
      message = decodeClientMessage(parseMessage(bytes.toString()));
    } catch (error) {
      return this.#close(closeCodes.protocolError, toWireError(error).message);
    }
    if (message.type === 'hello') return this.#greet(message.token ?? this.#options.token);
    if (this.#grant === undefined) return this.#close(closeCodes.protocolError, 'the first message must be hello');
    this.#flow.begin();
    this.#begin(message.requestId, message.request, this.#grant);
  }

  #greet(token: string | undefined): void {
    try {
      this.#grant = this.#options.gate.admit(token);
      this.#flow.send(helloOk);
    } catch (error) {
      this.#flow.send(encodeHelloError(toWireError(error)));
      this.#close(closeCodes.policy, toWireError(error).message);
    }
  }

  /** Reads a request at once, since texts are stored and named in the order of messages; what needs a stream waits in its lane. */
  #begin(requestId: number, fields: Fields, grant: Grant): void {
    const type = requestTypeOf(fields);
    try {
      this.#options.gate.recheck(grant);
      const request = decodeSocketRequest(fields, this.#options.version, (sqlId) => this.#storedSql.find(sqlId));
      if (request.type === 'store_sql' || request.type === 'close_sql')
        return this.#succeed(requestId, type, answerSqlRequest(request, this.#storedSql));
      if (request.type === 'open_stream')
        return this.#succeed(requestId, type, this.#openLane(request.streamId, grant));
      if (request.type === 'interrupt') return this.#succeed(requestId, type, this.#interrupt(request.streamId));
      if (request.type === 'close_stream' && !this.#lanes.has(request.streamId))
        return this.#succeed(requestId, type, encodeDone(type));
      this.#enqueue(requestId, type, this.#laneOf(request), request);
    } catch (error) {
      this.#fail(requestId, type, error);
    }
  }

  #enqueue(requestId: number, type: string, lane: Lane, request: LaneRequest): void {
    const { signal } = lane.stream;
    lane.run(async () => {
      await this.#flow.room();
      try {
        this.#options.gate.recheck(lane.grant);
        this.#succeed(requestId, type, await this.#answer(lane, request, signal), lane);
      } catch (error) {
        this.#fail(requestId, type, error, lane);
      }
    });
  }

  #openLane(streamId: number, grant: Grant): string {
    requireRight(grant, 'read');
    if (this.#isStopping) throw new Refusal('UNAVAILABLE', 'the server is stopping');
    if (this.#lanes.has(streamId)) throw new BatonError('PROTOCOL', `the stream ${streamId} is open already`);
    if (this.#lanes.size >= limits.streamsPerSocketMax)
      throw new BatonError('LIMIT', `${this.#lanes.size} streams are open; the limit is ${limits.streamsPerSocketMax}`);
    const { databases, database, settings } = this.#options;
    const options = { database, isReadOnly: !allows(grant.rights, 'write'), resultBytesMax: settings.resultBytesMax };
    this.#lanes.set(streamId, new Lane(new ClientStream(databases, options, settings), grant));
    return encodeDone('open_stream');
  }

  /** Nothing that was asked for waits for it: it would wait for what it has to interrupt. */
  #interrupt(streamId: number): string {
    this.#lanes.get(streamId)?.stream.interrupt();
    return encodeDone('interrupt');
  }

  async #answer(lane: Lane, request: LaneRequest, signal: AbortSignal): Promise<string> {
    switch (request.type) {
      case 'session':
        return lane.answer(request.request, request.options, signal);
      case 'close_stream':
        await lane.close();
        this.#lanes.delete(request.streamId);
        for (const [cursorId, owner] of this.#laneOfCursor) if (owner === lane) this.#laneOfCursor.delete(cursorId);
        return encodeDone('close_stream');
      case 'open_cursor':
        return lane.openCursor(request.cursorId, request.steps, request.options, signal);
      case 'fetch_cursor':
        return lane.fetch(request.cursorId, request.entriesMax);
      case 'close_cursor':
        await lane.closeCursor(request.cursorId);
        this.#laneOfCursor.delete(request.cursorId);
        return encodeDone('close_cursor');
      default:
        return request satisfies never;
    }
  }

  /** The lane a request waits in. A cursor's number is taken from here on, also when its opening fails. */
  #laneOf(request: LaneRequest): Lane {
    if (!('streamId' in request)) {
      const owner = this.#laneOfCursor.get(request.cursorId);
      if (owner === undefined) throw new BatonError('PROTOCOL', `the cursor ${request.cursorId} was not opened`);
      return owner;
    }
    const lane = this.#lanes.get(request.streamId);
    if (lane === undefined) throw new BatonError('PROTOCOL', `the stream ${request.streamId} was not opened`);
    if (request.type === 'open_cursor') this.#claimCursor(request.cursorId, lane);
    return lane;
  }

  #claimCursor(cursorId: number, lane: Lane): void {
    if (this.#laneOfCursor.has(cursorId)) throw new BatonError('PROTOCOL', `the cursor ${cursorId} is open already`);
    if (this.#laneOfCursor.size >= limits.streamsPerSocketMax)
      throw new BatonError('LIMIT', `${this.#laneOfCursor.size} cursors are open; the limit is that of streams`);
    this.#laneOfCursor.set(cursorId, lane);
  }

  #succeed(requestId: number, type: string, response: string, lane?: Lane): void {
    this.#flow.send(encodeResponseOk(requestId, response, lane?.stream.isInTransaction));
    this.#answered(type, undefined);
  }

  #fail(requestId: number, type: string, error: unknown, lane?: Lane): void {
    this.#flow.send(encodeResponseError(requestId, toWireError(error), lane?.stream.isInTransaction));
    this.#answered(type, error);
    // Revoked: what was open under the token ends with it.
    if (error instanceof Refusal && error.code === 'UNAUTHORIZED') this.#close(closeCodes.policy, error.message);
  }

  #answered(type: string, error: unknown): void {
    this.#flow.end();
    this.#options.onAnswered(type, error);
    this.#closeIfIdle();
  }

  #ping(): void {
    // A paused WebSocket reads no pong; its requests have time limits of their own.
    if (!this.#isAlive && !this.#socket.isPaused) return this.#socket.terminate();
    this.#isAlive = false;
    this.#socket.ping();
  }

  #closeIfIdle(): void {
    if (!this.#isStopping || this.#flow.outstanding > 0) return;
    if ([...this.#lanes.values()].some(({ isActive }) => isActive)) return;
    this.#close(closeCodes.goingAway, 'the server is stopping');
  }

  #close(code: number, reason: string): void {
    this.#socket.close(code, Buffer.from(reason).subarray(0, reasonBytesMax).toString().replace(/�+$/, ''));
  }
}
