import type { Readable, Writable } from 'node:stream';
import { BatonError, fromErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { writeJsonFrame } from './frames.ts';
import type { Message, RequestName, RequestParams, RequestResult } from './messages.ts';
import { parseMessage, parseParams, parseRequestName, parseResult } from './schemas.ts';

// Requests, replies and events over one pair of streams. Both sides ping, and take a silent peer for dead.

/** What a side does with what the other one asks and tells. */
export type ChannelHandlers = {
  /** Answers a request; what it throws goes back as a refusal. */
  readonly request?: (name: RequestName, params: unknown) => Promise<unknown>;
  /** Takes an event. */
  readonly event?: (event: unknown) => void;
};

type Waiting = { readonly resolve: (result: unknown) => void; readonly reject: (error: Error) => void };

/** One side of the conversation after the greeting. */
export class ControlChannel {
  readonly #output: Writable;
  readonly #handlers: ChannelHandlers;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #end: BatonError | undefined;

  constructor(output: Writable, handlers: ChannelHandlers) {
    this.#output = output;
    this.#handlers = handlers;
    // A peer that is gone shows as a failed write first; the reading side reports it.
    output.on('error', (cause) => this.close(lost('the connection to the other side broke', cause)));
  }

  /** Asks the other side. Rejects with its refusal, or CONNECTION_LOST. */
  async request<N extends RequestName>(name: N, params: RequestParams<N>): Promise<RequestResult<N>> {
    if (this.#end !== undefined) throw this.#end;
    const id = ++this.#lastId;
    const reply = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    // The conversation may end while the request is still being written: then nobody waits for the reply yet.
    reply.catch(() => undefined);
    try {
      await this.#send({ kind: 'request', id, name, params });
      return parseResult(name, await reply);
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Tells the other side something. */
  async tell(event: unknown): Promise<void> {
    await this.#send({ kind: 'event', event });
  }

  /** Serves what arrives until the stream ends or the other side falls silent; then every open request is rejected. */
  async run(values: AsyncIterable<unknown>, input: Readable): Promise<void> {
    // A2: counted in beats of our own pulse: while this process itself stands still, nobody else is silent.
    let silentMs = 0;
    const pulse = setInterval(() => {
      silentMs += limits.pingMs;
      if (silentMs >= limits.silenceMsMax) {
        const error = lost(`nothing was heard for ${limits.silenceMsMax / 1000} s`);
        this.close(error);
        input.destroy();
      } else if (this.#output.writableLength < limits.controlBytesMax) void this.#send({ kind: 'ping' });
    }, limits.pingMs);
    try {
      for await (const value of values) {
        silentMs = 0;
        this.#take(parseMessage(value));
      }
      this.close(lost('the other side ended the conversation'));
    } catch (error) {
      this.close(error instanceof BatonError ? error : lost('the connection to the other side broke', error));
    } finally {
      clearInterval(pulse);
    }
  }

  /** Why the conversation ended; undefined while it goes on. */
  get endReason(): BatonError | undefined {
    return this.#end;
  }

  /** Ends the conversation from our side: every open request is rejected with `reason`. */
  close(reason: BatonError): void {
    this.#end ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }

  #take(received: Message): void {
    switch (received.kind) {
      case 'request':
        void this.#answer(received.id, received.name, received.params);
        return;
      case 'reply':
        this.#settle(received.id)?.resolve(received.result);
        return;
      case 'refusal':
        this.#settle(received.id)?.reject(fromErrorRecord(received.error));
        return;
      case 'event':
        this.#handlers.event?.(received.event);
        return;
      case 'ping':
        return;
      default:
        received satisfies never;
    }
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  async #answer(id: number, name: string, params: unknown): Promise<void> {
    try {
      const known = parseRequestName(name);
      const result = await this.#handlers.request?.(known, parseParams(known, params));
      await this.#send({ kind: 'reply', id, result });
    } catch (error) {
      await this.#send({ kind: 'refusal', id, error: toErrorRecord(error) });
    }
  }

  async #send(sent: Message): Promise<void> {
    if (this.#output.writable) await writeJsonFrame(this.#output, sent);
  }
}

function lost(text: string, cause?: unknown): BatonError {
  return new BatonError('CONNECTION_LOST', text, { retryable: true, ...(cause === undefined ? {} : { cause }) });
}
