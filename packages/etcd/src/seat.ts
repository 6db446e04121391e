import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import type { EtcdClient, Lease } from './client.ts';
import { certainUntil, LeaseThread } from './lease.ts';
import { LeaseClock } from './lease-clock.ts';
import type { EtcdAccess } from './members.ts';
import type { KeyValue, Operation, OperationResult, Transaction } from './messages.ts';
import { testFences } from './self-test.ts';

// A seat that one process of several has: a key with a lease. Its create revision is the fence, which every write of whoever sits there compares; the lease
// only says when another one may try.

const againMs = 200;
/** How long the end of a process waits for an etcd that does not answer. */
const farewellMs = 1_000;

export type SeatPlan = {
  readonly access: EtcdAccess;
  readonly key: string;
  /** Below it the self-test of fences has its key. */
  readonly prefix: string;
  readonly leaseSeconds: number;
  /** Names this process in the key, also where it does not know whether it wrote it. Default: one that is made up. */
  readonly session?: string;
};

/** What is read before the seat is taken, and what is done with it in one transaction: only if `when` holds, too. */
export type SeatClaim = {
  readonly look: readonly Operation[];
  readonly claim: (looked: readonly OperationResult[]) => Pick<Transaction, 'when' | 'do'>;
};

/** One time of having the seat. */
export type Tenure = {
  /** The fence. */
  readonly createRevision: number;
  readonly lease: Lease;
  /** Aborted when the seat is another's, or may be. */
  readonly lost: AbortSignal;
  /** What the claim's operations gave. */
  readonly results: readonly OperationResult[];
};

export class Seat implements AsyncDisposable {
  readonly #client: EtcdClient;
  readonly #plan: SeatPlan;
  readonly #clock: LeaseClock;
  readonly #leases: LeaseThread;
  readonly #closed = new AbortController();
  readonly #session: string;
  #isTested = false;
  #held: { readonly tenure: Tenure; readonly lost: AbortController } | undefined;

  /** `memory` begins with the cells of a LeaseClock. */
  constructor(client: EtcdClient, plan: SeatPlan, memory: SharedArrayBuffer = new SharedArrayBuffer(LeaseClock.bytes)) {
    this.#client = client;
    this.#plan = plan;
    this.#clock = new LeaseClock(memory);
    this.#session = plan.session ?? randomUUID();
    this.#leases = new LeaseThread({ access: plan.access, clock: memory }, (lease) => {
      if (this.#held?.tenure.lease.id === lease) this.end(this.#held.tenure);
    });
  }

  get tenure(): Tenure | undefined {
    return this.#held?.tenure;
  }

  /** Waits until the seat is free, and takes it. `onWait` is told who has it, or undefined while etcd does not answer. */
  async take(
    claim: SeatClaim,
    given: AbortSignal,
    onWait: (holder: string | undefined) => void = () => undefined,
  ): Promise<Tenure> {
    const signal = AbortSignal.any([given, this.#closed.signal]);
    for (;;) {
      signal.throwIfAborted();
      try {
        const { results, revision } = await this.#client.look(
          { when: [], do: [{ range: { key: this.#plan.key } }, ...claim.look] },
          signal,
        );
        const holder = results[0]?.kvs[0];
        if (holder === undefined) {
          const tenure = await this.#claim(claim.claim(results.slice(1)));
          if (tenure !== undefined) return tenure;
        } else if (decodeHolder(holder)?.session === this.#session) {
          // The key is deleted and created anew: put again, it would keep the revision that a late write of ours compares.
          await this.#remove(holder.createRevision);
        } else {
          onWait(decodeHolder(holder)?.node ?? holder.value.toString());
          await this.#untilVacant(revision, signal);
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof BatonError && (error.retryable || error.code === 'OUTCOME_UNKNOWN'))) throw error;
        onWait(undefined);
        await delay(againMs, undefined, { signal });
      }
    }
  }

  /** The seat is not ours any more, or we cannot say that it is. */
  end(tenure: Tenure): void {
    const held = this.#held;
    if (held?.tenure !== tenure) return;
    this.#held = undefined;
    this.#clock.release();
    this.#leases.keep(null);
    held.lost.abort(
      new BatonError('REFUSED', `${this.#plan.key} is not held by this process any more`, { retryable: true }),
    );
    // It would end by itself; nobody has to wait for it.
    this.#client.revokeLease(tenure.lease.id).catch(() => undefined);
  }

  /** Gives the seat back, so that nobody need wait for the lease to end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new BatonError('INTERRUPTED', `${this.#plan.key} is given back`));
    const { tenure } = this;
    if (tenure !== undefined) {
      this.end(tenure);
      const farewell = this.#remove(tenure.createRevision).catch(() => undefined);
      await Promise.race([farewell, delay(farewellMs)]);
    }
    await this.#leases[Symbol.asyncDispose]();
  }

  /** Undefined: somebody else was faster. */
  async #claim({ when, do: operations }: Pick<Transaction, 'when' | 'do'>): Promise<Tenure | undefined> {
    const { key, leaseSeconds, prefix } = this.#plan;
    const sentNs = process.hrtime.bigint();
    const lease = await this.#client.grantLease(leaseSeconds);
    if (!this.#isTested) await testFences(this.#client, prefix, lease.id);
    this.#isTested = true;
    const value = JSON.stringify({ session: this.#session, node: `${hostname()} ${process.pid}` });
    const { succeeded, revision, results } = await this.#client.txn({
      when: [{ key, version: 0 }, ...when],
      do: [{ put: key, value, lease: lease.id }, ...operations],
    });
    if (!succeeded) {
      await this.#client.revokeLease(lease.id);
      return undefined;
    }
    const lost = new AbortController();
    const tenure: Tenure = { createRevision: revision, lease, lost: lost.signal, results: results.slice(1) };
    this.#held = { tenure, lost };
    this.#clock.hold(lease.id, certainUntil(sentNs, lease.ttlSeconds));
    this.#leases.keep(lease);
    void this.#watchOver(tenure);
    return tenure;
  }

  async #untilVacant(revision: number, signal: AbortSignal): Promise<void> {
    const watch = this.#client.watch({ key: this.#plan.key, fromRevision: revision + 1 }, signal);
    for await (const { events } of watch) if (events.some(({ type }) => type === 'delete')) return;
  }

  /** Notices when the key is not ours any more, whoever took it. */
  async #watchOver(tenure: Tenure): Promise<void> {
    const { lost: signal } = tenure;
    const { key } = this.#plan;
    while (!signal.aborted) {
      try {
        const { kvs, revision } = await this.#client.range({ key }, signal);
        if (kvs[0]?.createRevision !== tenure.createRevision) return this.end(tenure);
        for await (const { events } of this.#client.watch({ key, fromRevision: revision + 1 }, signal))
          if (events.length > 0) return this.end(tenure);
      } catch {
        // Writes are fenced, and the clock stands with the lease: this only hastens it, and goes on when etcd answers.
        await delay(againMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #remove(createRevision: number): Promise<void> {
    const { key } = this.#plan;
    await this.#client.txn({ when: [{ key, createRevision }], do: [{ delete: key }] });
  }
}

function decodeHolder({ value }: KeyValue): { readonly session?: string; readonly node?: string } | undefined {
  try {
    return JSON.parse(value.toString()) as { readonly session?: string; readonly node?: string };
  } catch {
    return undefined;
  }
}
