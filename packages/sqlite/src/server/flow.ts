import type { WebSocket } from 'ws';
import { limits } from '../hrana/limits.ts';

/**
 * How much of a WebSocket's traffic may wait, in both directions: requests without an answer, past which we stop reading and the network holds
 * the client up, as the specification asks for; and answers that the client has not read, past which nothing new is begun (H8).
 */
export class Flow {
  readonly #socket: WebSocket;
  #outstanding = 0;
  #waiting: (() => void)[] = [];

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.once('close', () => this.#wake());
  }

  /** Requests that are not answered yet. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** A request has come. */
  begin(): void {
    this.#outstanding += 1;
    if (this.#outstanding >= limits.outstandingMax && !this.#socket.isPaused) this.#socket.pause();
  }

  /** It has been answered. */
  end(): void {
    this.#outstanding -= 1;
    if (this.#outstanding < limits.outstandingMax && this.#socket.isPaused) this.#socket.resume();
  }

  send(text: string): void {
    if (this.#isOpen) this.#socket.send(text, () => this.#wake());
  }

  /** Resolves when the client has read enough of what it was sent, or is gone. */
  async room(): Promise<void> {
    while (this.#isOpen && this.#socket.bufferedAmount > limits.unreadBytesMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
