import { BatonError } from '@batondb/core/errors';
import { formatDuration } from '@batondb/core/text/format';

const looksPerLimit = 20;

/** Aborts when nothing happens for too long (G6). Disposing of it ends it. */
export class StallGuard implements Disposable {
  readonly #ended = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #aliveMs = performance.now();

  /** `what` is a sentence about what is missed: `nothing has come from the donor`. */
  constructor(what: string, silenceMsMax: number) {
    this.#timer = setInterval(() => {
      if (performance.now() - this.#aliveMs < silenceMsMax) return;
      clearInterval(this.#timer);
      const error = new BatonError('STALLED', `${what} for ${formatDuration(silenceMsMax)}`, {
        hint: 'look at the disks and the error logs of both nodes; sst-idle-timeout in [sst] is the limit',
      });
      this.#ended.abort(error);
    }, silenceMsMax / looksPerLimit);
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Something happened. */
  alive(): void {
    this.#aliveMs = performance.now();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
