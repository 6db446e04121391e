import { BatonError } from '@batondb/core/errors';
import { formatBytes } from '@batondb/core/text/format';
import type { EtcdClient } from '@batondb/etcd';
import type { EtcdLogPlan } from './etcd-settings.ts';

// Keeps us from filling an etcd. One that has reached its quota refuses everybody's writes, until a person has compacted and defragmented it; so
// ours are refused before (E7).

/** How long what was seen is good for, and how much may be appended meanwhile. */
const lookMs = 5_000;
const lookBytes = 8_388_608;
/** How often it is looked while writes are refused. */
const againMs = 1_000;
/** What is left of the quota: an etcd needs room to be compacted in. */
const quotaReserve = 1 / 16;

type Plan = Pick<EtcdLogPlan, 'budgetBytes' | 'quotaBytes' | 'address'>;

export class EtcdBudget {
  readonly #client: EtcdClient;
  readonly #plan: Plan;
  #over: BatonError | undefined;
  #seenMs = Number.NEGATIVE_INFINITY;
  #appendedBytes = 0;
  #looking: Promise<void> | undefined;

  constructor(client: EtcdClient, plan: Plan) {
    this.#client = client;
    this.#plan = plan;
  }

  /** Writes are refused. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** Throws NO_SPACE when nothing more may be appended; else counts what is about to be. */
  async expectRoom(bytes: number): Promise<void> {
    const ageMs = performance.now() - this.#seenMs;
    if (this.#over !== undefined ? ageMs > againMs : ageMs > lookMs || this.#appendedBytes > lookBytes) {
      const looking = this.look();
      // Who may still write does not wait, unless much was written since anybody looked.
      if (this.#over !== undefined || this.#appendedBytes > 2 * lookBytes) await looking;
    }
    if (this.#over !== undefined) throw this.#over;
    this.#appendedBytes += bytes;
  }

  /** etcd itself has refused for want of space. */
  refuse(error: BatonError): void {
    this.#over = error;
    this.#seenMs = performance.now();
  }

  /** Looks how full etcd is. When it cannot be seen, what was seen last is kept: an append will tell more. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch(() => undefined)
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #look(): Promise<void> {
    this.#appendedBytes = 0;
    const [statuses, alarms] = await Promise.all([this.#client.statuses(), this.#client.alarms()]);
    const usedBytes = Math.max(...statuses.map((status) => status.usedBytes));
    const fileBytes = Math.max(...statuses.map((status) => status.fileBytes));
    const quotaBytes = Math.min(...statuses.map((status) => status.quotaBytes ?? this.#plan.quotaBytes));
    this.#seenMs = performance.now();
    this.#over = this.#judge(
      usedBytes,
      fileBytes,
      quotaBytes,
      alarms.some(({ kind }) => kind === 'no-space'),
    );
  }

  #judge(usedBytes: number, fileBytes: number, quotaBytes: number, isAlarmed: boolean): BatonError | undefined {
    const { address, budgetBytes } = this.#plan;
    if (isAlarmed)
      return noSpace(
        `${address} is out of space, and its alarm is on`,
        'compact and defragment it, then etcdctl alarm disarm',
      );
    if (usedBytes >= budgetBytes) {
      return noSpace(
        `${address} has ${formatBytes(usedBytes)} in use, of a budget of ${formatBytes(budgetBytes)}`,
        'see that it is compacted (etcd: --auto-compaction-retention), or raise budgetBytes',
      );
    }
    if (fileBytes < quotaBytes * (1 - quotaReserve)) return undefined;
    return noSpace(
      `the file of ${address} has ${formatBytes(fileBytes)}, and its quota is ${formatBytes(quotaBytes)}`,
      'defragment it (etcdctl defrag), or raise its quota and quotaBytes',
    );
  }
}

function noSpace(message: string, hint: string): BatonError {
  return new BatonError('NO_SPACE', `${message}: nothing is written`, { retryable: true, hint });
}
