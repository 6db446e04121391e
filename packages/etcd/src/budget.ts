import { BatonError } from '@batondb/core/errors';
import { formatBytes } from '@batondb/core/text/format';
import type { EtcdClient } from './client.ts';

// Keeps us from filling an etcd. One that has reached its quota refuses everybody's writes, until a person has compacted and defragmented it; so
// ours are refused before.

/** How long what was seen is good for, and how much may be written meanwhile; near a bound it is looked before every one. */
const lookMs = 5_000;
const lookBytes = 8_388_608;
/** How often it is looked while writes are refused. */
const againMs = 1_000;
/**
 * What is left of the quota: an etcd needs room to be compacted in, and a member tells its size as of its last batch, which is up to 100 ms and
 * several megabytes old.
 */
const reserveShare = 1 / 16;
const reserveBytesMin = 16_777_216;

export type BudgetPlan = {
  /** For people. */
  readonly address: string;
  /** etcd may have so many bytes in use, of ours and of others, before writes are refused. */
  readonly budgetBytes: number;
  /** etcd's own quota, where etcd does not tell it: before 3.6. */
  readonly quotaBytes: number;
};

/** How full the fullest member is. */
type Seen = { readonly usedBytes: number; readonly fileBytes: number; readonly quotaBytes: number };

export class EtcdBudget {
  readonly #client: EtcdClient;
  readonly #plan: BudgetPlan;
  #over: BatonError | undefined;
  #seen: Seen | undefined;
  #seenMs = Number.NEGATIVE_INFINITY;
  #writtenBytes = 0;
  #looking: Promise<void> | undefined;

  constructor(client: EtcdClient, plan: BudgetPlan) {
    this.#client = client;
    this.#plan = plan;
  }

  /** Writes are refused. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** Throws NO_SPACE when nothing more may be written; else counts what is about to be. */
  async expectRoom(bytes: number): Promise<void> {
    const ageMs = performance.now() - this.#seenMs;
    const isBlind = this.#seen === undefined || this.#isFull(this.#seen, this.#writtenBytes + bytes);
    if (this.#over === undefined ? isBlind : ageMs > againMs) await this.look();
    else if (ageMs > lookMs || this.#writtenBytes > lookBytes) void this.look();
    if (this.#over !== undefined) throw this.#over;
    this.#writtenBytes += bytes;
  }

  /** etcd itself has refused for want of space. */
  refuse(error: BatonError): void {
    this.#over = error;
    this.#seenMs = performance.now();
  }

  /** Looks how full etcd is. When it cannot be seen, what was seen last is kept: a write will tell more. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch(() => undefined)
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #look(): Promise<void> {
    this.#writtenBytes = 0;
    const [statuses, alarms] = await Promise.all([this.#client.statuses(), this.#client.alarms()]);
    const usedBytes = Math.max(...statuses.map((status) => status.usedBytes));
    const fileBytes = Math.max(...statuses.map((status) => status.fileBytes));
    const quotaBytes = Math.min(...statuses.map((status) => status.quotaBytes ?? this.#plan.quotaBytes));
    this.#seen = { usedBytes, fileBytes, quotaBytes };
    this.#seenMs = performance.now();
    this.#over = this.#judge(
      this.#seen,
      alarms.some(({ kind }) => kind === 'no-space'),
    );
  }

  #judge(seen: Seen, isAlarmed: boolean): BatonError | undefined {
    const { address, budgetBytes } = this.#plan;
    if (isAlarmed) {
      return noSpace(
        `${address} is out of space, and its alarm is on`,
        'compact and defragment it, then etcdctl alarm disarm',
      );
    }
    if (!this.#isFull(seen, 0)) return undefined;
    const { usedBytes, fileBytes, quotaBytes } = seen;
    if (usedBytes >= budgetBytes) {
      return noSpace(
        `${address} has ${formatBytes(usedBytes)} in use, of a budget of ${formatBytes(budgetBytes)}`,
        'see that it is compacted (etcd: --auto-compaction-retention), or raise the budget (--etcd-budget, budgetBytes)',
      );
    }
    return noSpace(
      `the file of ${address} has ${formatBytes(fileBytes)}, and its quota is ${formatBytes(quotaBytes)}`,
      'defragment it (etcdctl defrag), or raise its quota, and say so (--etcd-quota, quotaBytes)',
    );
  }

  #isFull({ usedBytes, fileBytes, quotaBytes }: Seen, grownBytes: number): boolean {
    const reserveBytes = Math.max(quotaBytes * reserveShare, reserveBytesMin);
    return usedBytes + grownBytes >= this.#plan.budgetBytes || fileBytes + grownBytes >= quotaBytes - reserveBytes;
  }
}

function noSpace(message: string, hint: string): BatonError {
  return new BatonError('NO_SPACE', `${message}: nothing is written`, { retryable: true, hint });
}
