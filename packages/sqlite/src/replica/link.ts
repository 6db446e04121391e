import type { Duplex } from 'node:stream';
import { BatonError, fromErrorRecord, toErrorRecord } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import { Assembler } from './assembler.ts';
import { decodeMessage, encodeMessage, type Message } from './messages.ts';

/** How often a link looks whether the other side is silent: in steps, so that a pause of this process itself accuses nobody. */
const looksPerSilence = 10;
/** Time for the other side to take the last message. */
const lastWordsMs = 1000;

/**
 * Messages over an upgraded connection, pulled: what is not asked for stays in the network. A side that is silent for too long ends it.
 */
export class Link implements Disposable {
  readonly #socket: Duplex;
  readonly #assembler = new Assembler();
  readonly #messages: AsyncGenerator<Buffer<ArrayBuffer>, void>;
  readonly #timer: NodeJS.Timeout;
  #failure: Error | undefined;
  #silentLooks = 0;
  #isWaiting = false;

  constructor(socket: Duplex, silenceMs: number = limits.replicaSilenceMs) {
    this.#socket = socket;
    socket.on('error', (error) => this.#fail(broken(error)));
    socket.on('close', () => this.#fail(broken()));
    this.#messages = this.#read();
    this.#timer = setInterval(() => this.#look(silenceMs), silenceMs / looksPerSilence);
    this.#timer.unref();
  }

  /** The next message as bytes. Throws CONNECTION_LOST, LIMIT, PROTOCOL, and what the other side said when it ended the link. */
  async receiveBytes(): Promise<Buffer<ArrayBuffer>> {
    this.#isWaiting = true;
    this.#silentLooks = 0;
    const next = await this.#messages.next();
    this.#isWaiting = false;
    if (next.done === true) throw this.#failure ?? broken();
    return next.value;
  }

  /** The next message. Throws as `receiveBytes` does, and DIGEST_MISMATCH. */
  async receive(): Promise<Message> {
    const message = decodeMessage(await this.receiveBytes());
    if (message.type === 'end') throw fromErrorRecord(message.error);
    return message;
  }

  /** Throws what ended the link, if something did. */
  expectOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Sends a message; resolves when the network has taken most of it. Throws CONNECTION_LOST. */
  async send(message: Message): Promise<void> {
    this.expectOpen();
    if (this.#socket.write(encodeMessage(message))) return;
    const { promise: drained, resolve } = Promise.withResolvers<void>();
    this.#socket.once('drain', resolve);
    this.#socket.once('close', resolve);
    await drained;
    this.#socket.off('drain', resolve);
    this.#socket.off('close', resolve);
    this.expectOpen();
  }

  /** Says why, and ends. */
  end(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#socket.end(encodeMessage({ type: 'end', error: toErrorRecord(error) }));
    this.#fail(error instanceof Error ? error : broken());
    // The other side reads it and closes; one that does not is not waited for.
    setTimeout(() => this.#socket.destroy(), lastWordsMs).unref();
  }

  [Symbol.dispose](): void {
    this.#fail(broken());
    this.#socket.destroy();
  }

  async *#read(): AsyncGenerator<Buffer<ArrayBuffer>, void> {
    try {
      for await (const chunk of this.#socket as AsyncIterable<Buffer>) {
        this.#silentLooks = 0;
        yield* this.#assembler.push(chunk);
      }
    } catch (error) {
      this.#fail(error instanceof BatonError ? error : broken(error));
      this.#socket.destroy();
    }
  }

  #look(silenceMs: number): void {
    // Who does not listen cannot say that nothing comes.
    if (!this.#isWaiting) return;
    this.#silentLooks += 1;
    if (this.#silentLooks <= looksPerSilence) return;
    this.#fail(
      new BatonError('CONNECTION_LOST', `the other side said nothing for ${silenceMs} ms`, { retryable: true }),
    );
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    clearInterval(this.#timer);
  }
}

function broken(cause?: unknown): BatonError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new BatonError('CONNECTION_LOST', `the connection between leader and follower broke${why}`, {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}
