import { BatonError } from '@batondb/core/errors';
import { frameTypes } from '@batondb/core/protocol/frame';
import { Link } from '@batondb/core/transfer/link';
import type { Connection } from '@batondb/core/transport/transport';
import { wireLimits } from './limits.ts';
import { decodeMessage, encodeMessage, type LooseMessage, type Message, type NumberedMessage } from './messages.ts';

/** What a control channel calls. None of these may throw. */
export type ControlEvents = {
  /** A numbered message, each once and in order. */
  readonly onMessage: (message: NumberedMessage) => void;
  readonly onLoose: (message: LooseMessage) => void;
  /** The connection broke; another one may be attached. */
  readonly onLost: (error: Error) => void;
  /** The peer says what makes no sense, so that another connection would not help. */
  readonly onNonsense: (error: Error) => void;
};

/**
 * The conversation of a session over one connection after the other. Each side numbers what it says and keeps it; whoever reconnects
 * learns how much the other has, and says the rest again. So every numbered message arrives once and in order.
 */
export class ControlChannel {
  readonly #events: ControlEvents;
  readonly #said: NumberedMessage[] = [];
  /** The last one of each kind that was not said yet. */
  readonly #loose = new Map<string, LooseMessage>();
  #received = 0;
  #link: Link | undefined;
  /** How many of #said the peer has for certain, as it said when it connected. */
  #confirmed = 0;
  /** How many of #said it has, or were written on this connection. */
  #written = 0;
  #wake = Promise.withResolvers<void>();
  #settled = Promise.withResolvers<void>();

  constructor(events: ControlEvents) {
    this.#events = events;
  }

  /** Numbered messages of the peer that are here. */
  get received(): number {
    return this.#received;
  }

  get isAttached(): boolean {
    return this.#link !== undefined;
  }

  /** Goes on over this connection, whose peer is proven and has `peerReceived` of our messages. An earlier connection is ended. */
  attach(connection: Connection, peerReceived: number): void {
    this.#link?.connection.destroy();
    const link = new Link(connection);
    this.#link = link;
    if (peerReceived > this.#said.length) {
      this.#link = undefined;
      connection.destroy();
      const said = `the peer has ${peerReceived} messages, and ${this.#said.length} were said`;
      this.#events.onNonsense(new BatonError('PROTOCOL', said));
      return;
    }
    this.#confirmed = peerReceived;
    this.#written = peerReceived;
    void this.#serve(link);
  }

  /** Says a message, now or over the next connection. */
  say(message: NumberedMessage): void {
    if (this.#said.length >= wireLimits.messagesMax) {
      throw new BatonError('LIMIT', `${wireLimits.messagesMax} messages were said in this session, which is the limit`);
    }
    this.#said.push(message);
    this.#signal();
  }

  /** Says a message of which only the last counts, if there is a connection. */
  sayLoosely(message: LooseMessage): void {
    if (this.#link === undefined) return;
    this.#loose.set(message.type === 'held' ? `held ${message.transfer}` : message.type, message);
    this.#signal();
  }

  /** Resolves when all that was said is with the operating system, or after `msMax`: a peer may have to come back for it. */
  async flushed(msMax: number): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
      this.#settle();
    }, msMax);
    while (!late.signal.aborted && this.#written < this.#said.length) await this.#settled.promise;
    clearTimeout(timer);
  }

  /** Ends the connection: politely, so that what was said last arrives. */
  async close(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    this.#signal();
    if (link === undefined) return;
    await link.connection.end().catch(() => undefined);
    await link[Symbol.asyncDispose]();
  }

  async #serve(link: Link): Promise<void> {
    const ended = new AbortController();
    try {
      await Promise.race([this.#read(link), this.#write(link), link.keepAlive(ended.signal)]);
    } catch (error) {
      if (this.#link !== link) return;
      this.#link = undefined;
      // What was on its way may be lost.
      this.#written = this.#confirmed;
      link.connection.destroy();
      const isLoss = error instanceof BatonError && error.code === 'CONNECTION_LOST';
      if (isLoss) this.#events.onLost(error);
      else this.#events.onNonsense(error as Error);
    } finally {
      ended.abort();
      this.#signal();
    }
  }

  async #read(link: Link): Promise<never> {
    for (;;) {
      const frame = await link.read();
      if (this.#link !== link) throw new BatonError('CONNECTION_LOST', 'the connection was given up');
      if (frame.type === frameTypes.ping) continue;
      if (frame.type !== frameTypes.message) {
        throw new BatonError('PROTOCOL', `a frame of type ${frame.type} arrived where a message was due`);
      }
      const { message, number } = decodeMessage(frame.payload);
      if (number === 0) this.#takeLoose(message);
      else this.#take(message, number);
    }
  }

  #take(message: Message, number: number): void {
    // Said again after a break.
    if (number <= this.#received) return;
    if (number !== this.#received + 1) {
      throw new BatonError('PROTOCOL', `message ${number} arrived after message ${this.#received}`);
    }
    this.#received = number;
    if (message.type === 'unknown') return;
    if (!isNumbered(message)) throw new BatonError('PROTOCOL', `${message.type} has number ${number}, and takes none`);
    this.#events.onMessage(message);
  }

  #takeLoose(message: Message): void {
    if (message.type === 'held' || message.type === 'progress') this.#events.onLoose(message);
    else if (message.type !== 'unknown') throw new BatonError('PROTOCOL', `${message.type} arrived without a number`);
  }

  async #write(link: Link): Promise<never> {
    for (;;) {
      if (this.#link !== link) throw new BatonError('CONNECTION_LOST', 'the connection was given up');
      const wake = this.#wake.promise;
      const message = this.#said[this.#written];
      if (message !== undefined) {
        await link.write(frameTypes.message, encodeMessage(message, this.#written + 1));
        if (this.#link === link) this.#written += 1;
        this.#settle();
        continue;
      }
      const [loose] = this.#loose;
      if (loose === undefined) {
        await wake;
        continue;
      }
      this.#loose.delete(loose[0]);
      await link.write(frameTypes.message, encodeMessage(loose[1]));
    }
  }

  #signal(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  #settle(): void {
    this.#settled.resolve();
    this.#settled = Promise.withResolvers();
  }
}

function isNumbered(message: Message): message is NumberedMessage {
  return ['failed', 'offer', 'accept', 'transfer', 'finish', 'verified'].includes(message.type);
}
