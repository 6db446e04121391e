import { BatonError } from '@batondb/core/errors';
import type { EtcdBudget } from './budget.ts';
import type { EtcdClient } from './client.ts';

/** How often an etcd is compacted that we look after, and how often when it is full. */
const usualMs = 60_000;
const urgentMs = 2_000;
/** What a file may hold that is not in use. */
const idleBytesMax = 67_108_864;

export type UpkeepPlan = { readonly etcdMaintenance: boolean; readonly prefix: string };

/** When an etcd was looked after last: it outlives an ownership, which ends when etcd is full and begins again. */
export class UpkeepClock {
  lastMs: number = performance.now();
}

/** Looks after an etcd for which nobody else cares: only where it was allowed. */
export class EtcdUpkeep {
  readonly #client: EtcdClient;
  readonly #plan: UpkeepPlan;
  readonly #budget: EtcdBudget;
  readonly #clock: UpkeepClock;

  constructor(client: EtcdClient, plan: UpkeepPlan, budget: EtcdBudget, clock: UpkeepClock = new UpkeepClock()) {
    this.#client = client;
    this.#plan = plan;
    this.#budget = budget;
    this.#clock = clock;
  }

  /**
   * Compacts, up to a revision that readers may still need (default: the newest); defragments when it pays or is needed; disarms the alarm when there is space again. What fails is tried
   * again later.
   */
  async run(needed: number = Number.POSITIVE_INFINITY): Promise<void> {
    const { isOver } = this.#budget;
    const dueMs = isOver ? urgentMs : usualMs;
    if (!this.#plan.etcdMaintenance || performance.now() - this.#clock.lastMs < dueMs) return;
    this.#clock.lastMs = performance.now();
    try {
      const { revision } = await this.#client.range({ key: this.#plan.prefix, countOnly: true });
      await this.#client.compact(Math.min(revision, needed));
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
