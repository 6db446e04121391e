import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Lease } from './client.ts';
import type { EtcdAccess } from './members.ts';

// A lease that is kept alive by a thread of its own: the one that works may be busy for long, and a lease that runs out meanwhile would cost what it stands for.

/** What the thread is started with. */
export type LeaseThreadData = { readonly access: EtcdAccess; readonly clock: SharedArrayBuffer };
/** Which lease to keep; null: none. */
export type LeaseOrder = Lease | null;
/** etcd has said that a lease has ended. */
export type LeaseReport = { readonly ended: number };

/** Of a lease's time the part in which we rely on it: clocks differ in speed, and etcd's begins when it hears of us. */
const certainShare = 0.8;
/** How often in a lease's time it is prolonged. */
const beatsPerLease = 4;
const againMs = 100;

/** Until when a lease is certainly ours, by `process.hrtime`, if a lease was asked for at `sentNs`. */
export function certainUntil(sentNs: bigint, ttlSeconds: number): bigint {
  return sentNs + BigInt(Math.floor(ttlSeconds * certainShare * 1e9));
}

/** Who can prolong a lease. */
export type LeaseClient = {
  keepAlive(id: number, timeoutMs: number): Promise<Lease | undefined>;
};

/** Prolongs a lease until the signal ends it. Returns true when etcd says that it has ended. */
export async function keepLease(
  client: LeaseClient,
  { id, ttlSeconds }: Lease,
  prolong: (id: number, untilNs: bigint) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const beatMs = (ttlSeconds * 1000) / beatsPerLease;
  for (let waitMs = beatMs; ; ) {
    await delay(waitMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return false;
    const sentNs = process.hrtime.bigint();
    try {
      const kept = await client.keepAlive(id, beatMs);
      if (signal.aborted) return false;
      if (kept === undefined) return true;
      prolong(id, certainUntil(sentNs, kept.ttlSeconds));
      waitMs = beatMs;
    } catch {
      // Whatever it is, time tells: the clock stands when the lease is not prolonged.
      waitMs = againMs;
    }
  }
}

/** The thread, seen from the one that works. */
export class LeaseThread implements AsyncDisposable {
  readonly #worker: Worker;

  constructor(data: LeaseThreadData, onEnd: (lease: number) => void) {
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
    this.#worker = new Worker(new URL(`./lease-thread${extension}`, import.meta.url), { workerData: data });
    this.#worker.on('message', ({ ended }: LeaseReport) => onEnd(ended));
  }

  keep(order: LeaseOrder): void {
    this.#worker.postMessage(order);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }
}
