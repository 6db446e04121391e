import { assert } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Connection } from './transport.ts';

/** Connections that were accepted and not taken yet, in order; one consumer. Bounded like the handshakes they come from. */
export class ConnectionQueue {
  readonly #waiting: Connection[] = [];
  #taker: ((connection: Connection | undefined) => void) | undefined;
  #isClosed = false;

  /** Adds a connection; false when there is no room, and then it is destroyed. */
  offer(connection: Connection): boolean {
    if (this.#isClosed || this.#waiting.length >= limits.handshakesMax) {
      connection.destroy();
      return false;
    }
    const taker = this.#taker;
    this.#taker = undefined;
    if (taker === undefined) this.#waiting.push(connection);
    else taker(connection);
    return true;
  }

  /** The next connection; undefined after `close()`. Rejects with the signal's reason. */
  next(signal?: AbortSignal): Promise<Connection | undefined> {
    assert(this.#taker === undefined, 'one accept at a time');
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason);
        return;
      }
      const first = this.#waiting.shift();
      if (first !== undefined || this.#isClosed) {
        resolve(first);
        return;
      }
      const onAbort = (): void => {
        this.#taker = undefined;
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#taker = (connection) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(connection);
      };
    });
  }

  /** Destroys what waits; nothing is given out afterwards. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const waiting = this.#waiting.splice(0);
    this.#taker?.(undefined);
    this.#taker = undefined;
    await Promise.all(waiting.map((connection) => connection[Symbol.asyncDispose]()));
  }
}
