import { BatonError } from '@batondb/core/errors';
import type { EtcdClient } from '@batondb/etcd';
import type { EtcdBudget } from './etcd-budget.ts';
import type { EtcdLogPlan } from './etcd-settings.ts';

/** How often an etcd is compacted that we look after, and how often when it is full. */
const usualMs = 60_000;
const urgentMs = 2_000;
/** What a file may hold that is not in use. */
const idleBytesMax = 67_108_864;

/** Looks after an etcd for which nobody else cares: only where it was allowed. */
export class EtcdUpkeep {
  readonly #client: EtcdClient;
  readonly #plan: EtcdLogPlan;
  readonly #budget: EtcdBudget;
  #lastMs = performance.now();

  constructor(client: EtcdClient, plan: EtcdLogPlan, budget: EtcdBudget) {
    this.#client = client;
    this.#plan = plan;
    this.#budget = budget;
  }

  /** Compacts; defragments when it pays or is needed; disarms the alarm when there is space again. What fails is tried again later. */
  async run(): Promise<void> {
    const { isOver } = this.#budget;
    const dueMs = isOver ? urgentMs : usualMs;
    if (!this.#plan.etcdMaintenance || performance.now() - this.#lastMs < dueMs) return;
    this.#lastMs = performance.now();
    try {
      const { revision } = await this.#client.range({ key: this.#plan.prefix, countOnly: true });
      await this.#client.compact(revision);
      const statuses = await this.#client.statuses();
      const idleBytes = Math.max(...statuses.map(({ fileBytes, usedBytes }) => fileBytes - usedBytes));
      if (isOver || idleBytes > idleBytesMax) await this.#client.defragment();
      if (isOver) await this.#client.disarmSpaceAlarms();
      await this.#budget.look();
    } catch (error) {
      if (!(error instanceof BatonError)) throw error;
    }
  }
}
