/** Groups of values that wait, at work or ready: enough to keep every worker busy, little enough to be no memory. */
const groupsMax = 24;
/** What one batch weighs at most, unless a single group weighs more: a coordinator holds a few of each of its many hosts. */
const batchWeightMax = 128_000;

type Group<T> = { values: readonly T[] | undefined };

/**
 * Groups of values that are made ahead, in parallel, and handed out in their order, several to a batch. The maker waits for
 * room, the taker for the first group.
 */
export class BatchQueue<T> {
  readonly #weigh: (value: T) => number;
  readonly #groups: Group<T>[] = [];
  readonly #waiting = new Set<() => void>();
  #isEnded = false;
  #failure: { readonly error: unknown } | undefined;
  #taking: Promise<unknown> = Promise.resolve();

  constructor(weigh: (value: T) => number) {
    this.#weigh = weigh;
  }

  /** Appends a group, once there is room for it. */
  async put(values: Promise<readonly T[]>): Promise<void> {
    const group: Group<T> = { values: undefined };
    values.then(
      (ready) => {
        group.values = ready;
        this.changed();
      },
      (error: unknown) => this.fail(error),
    );
    this.#groups.push(group);
    await this.room(() => this.#groups.length < groupsMax);
  }

  /** Waits until a condition holds that `changed` is told of. Throws what failed. */
  async room(isThere: () => boolean): Promise<void> {
    while (!isThere()) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Something that a condition of `room` asks about has changed. */
  changed(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** No more groups. */
  end(): void {
    this.#isEnded = true;
    this.changed();
  }

  /** From now on everything throws `error`: what was made before it is of no use without the rest. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.changed();
  }

  /** What is ready, at least a group. Calls are answered in their order. `isLast`: there will be nothing more. */
  next(): Promise<{ readonly values: readonly T[]; readonly isLast: boolean }> {
    const taken = this.#taking.then(() => this.#take());
    this.#taking = taken.catch(() => undefined);
    return taken;
  }

  async #take(): Promise<{ readonly values: readonly T[]; readonly isLast: boolean }> {
    const isThere = () => this.#groups[0]?.values !== undefined || (this.#isEnded && this.#groups.length === 0);
    await this.room(() => isThere() || this.#failure !== undefined);
    const values: T[] = [];
    let weight = 0;
    for (let group = this.#groups[0]; group?.values !== undefined; group = this.#groups[0]) {
      const more = group.values.reduce((sum, value) => sum + this.#weigh(value), 0);
      if (values.length > 0 && weight + more > batchWeightMax) break;
      for (const value of group.values) values.push(value);
      weight += more;
      this.#groups.shift();
    }
    this.changed();
    return { values, isLast: this.#isEnded && this.#groups.length === 0 };
  }

  #change(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}
