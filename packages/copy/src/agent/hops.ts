import { setTimeout as sleep } from 'node:timers/promises';
import { toErrorRecord } from '@batondb/core/errors';
import { type HopOptions, sendToHop } from '@batondb/core/transfer/hop-sender';
import { RateLimit } from '@batondb/core/transfer/rate-limit';
import type { UnitSupply } from '@batondb/core/transfer/supply';
import type { Identity } from '@batondb/core/transport/certificate';
import type { RequestParams } from '../control/messages.ts';
import type { Membership, Report } from './agent.ts';
import { hopOptions, retryDelayMs } from './connect.ts';

type SendParams = RequestParams<'send'>;
type HopParams = SendParams['hops'][number];

/** The hops this host feeds. The coordinator says which; each goes on until its receiver has all, or it is taken away. */
export class HopSet implements Disposable {
  readonly #identity: Identity;
  readonly #membership: Membership;
  readonly #report: Report;
  readonly #running = new Map<string, AbortController>();

  constructor(identity: Identity, membership: Membership, report: Report) {
    this.#identity = identity;
    this.#membership = membership;
    this.#report = report;
  }

  /** Ends the hops that are not named any more and starts those that are new. */
  update(supply: Promise<UnitSupply>, readsMax: number, params: SendParams): void {
    const wanted = new Map(params.hops.map((hop) => [`${hop.to}/${hop.epoch}`, hop]));
    for (const [key, controller] of this.#running) {
      if (wanted.has(key)) continue;
      controller.abort();
      this.#running.delete(key);
    }
    for (const [key, hop] of wanted) {
      if (this.#running.has(key)) continue;
      const controller = new AbortController();
      this.#running.set(key, controller);
      void this.#feed(supply, hop, this.#options(hop, params, readsMax), controller.signal);
    }
  }

  [Symbol.dispose](): void {
    for (const controller of this.#running.values()) controller.abort();
    this.#running.clear();
  }

  #options(hop: HopParams, params: SendParams, readsMax: number): HopOptions {
    const { bytesPerSecond } = params;
    return hopOptions(this.#identity, this.#membership, hop, {
      streams: params.streams,
      compression: params.compression,
      rateLimit: bytesPerSecond === undefined ? undefined : new RateLimit(bytesPerSecond),
      // One more than there are workers, so that none waits while its result is taken.
      readsMax: readsMax + 1,
    });
  }

  async #feed(
    supply: Promise<UnitSupply>,
    { to, epoch }: HopParams,
    options: HopOptions,
    signal: AbortSignal,
  ): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await sendToHop(await supply, options, signal);
        this.#report({ type: 'hop-done', to, epoch });
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#report({ type: 'hop-failed', to, epoch, error: toErrorRecord(error) });
        await sleep(retryDelayMs(attempt), undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
