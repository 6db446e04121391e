// Who feeds whom. Member 0 is the source, members 1 to n are the targets in the order of the plan. No I/O: the coordinator
// asks what changed and tells the hosts.
//
// R1: every target that still needs data has exactly one sender, and following senders always ends at the source.
// R2: every change of a target's sender has a new route number (epoch), so that an old sender is refused.

export type Topology = 'chain' | 'star';

/** The member number of the source. */
export const source = 0;

type Target = { upstream: number; epoch: number; isFinished: boolean; readonly avoided: Set<number> };

/** The senders of all targets, now. */
export class Routing {
  readonly #topology: Topology;
  readonly #targets = new Map<number, Target>();
  readonly #lost = new Set<number>();
  /** Targets as the chain runs; a laggard moves to its end. */
  #order: number[];

  constructor(order: readonly number[], topology: Topology) {
    this.#order = [...order];
    this.#topology = topology;
    for (const [index, number] of order.entries()) {
      const upstream = topology === 'star' ? source : (order[index - 1] ?? source);
      this.#targets.set(number, { upstream, epoch: 1, isFinished: false, avoided: new Set() });
    }
  }

  /** The sender of a target. */
  upstream(target: number): number {
    return this.#target(target).upstream;
  }

  /** The number of a target's route. */
  epoch(target: number): number {
    return this.#target(target).epoch;
  }

  /** The targets that a member is to feed. */
  fedBy(member: number): { to: number; epoch: number }[] {
    if (this.#lost.has(member)) return [];
    return this.#children(member).map((to) => ({ to, epoch: this.epoch(to) }));
  }

  /** A target has everything: it needs no sender any more, and goes on feeding others. */
  finish(target: number): void {
    this.#target(target).isFinished = true;
  }

  /** A target is gone or of no use. Returns the targets that have another sender now. */
  lose(member: number): number[] {
    this.#lost.add(member);
    return this.#children(member).filter((child) => this.#reassign(child) || this.#startOver(child));
  }

  /** The way from its sender to a target does not work. Returns whether the target has another sender now. */
  avoid(target: number): boolean {
    const entry = this.#target(target);
    entry.avoided.add(entry.upstream);
    return this.#reassign(target) || this.#startOver(target);
  }

  /**
   * A target holds up those behind it: they get its sender, and it goes to the end of the chain, as far as it may still be
   * fed from there. Returns the targets that have another sender now.
   */
  demote(target: number): number[] {
    const { upstream } = this.#target(target);
    const moved = this.#children(target);
    if (moved.length === 0) return [];
    for (const child of moved) this.#assign(child, upstream);
    this.#order = [...this.#order.filter((number) => number !== target), target];
    return this.#reassign(target) ? [...moved, target] : moved;
  }

  /** Whether a target still feeds others that need data. */
  hasChildren(target: number): boolean {
    return this.#children(target).length > 0;
  }

  /** The unfinished targets whose sender is `member`, lost or not. */
  #children(member: number): number[] {
    const children: number[] = [];
    for (const [to, target] of this.#targets) {
      if (target.upstream === member && !target.isFinished && !this.#lost.has(to)) children.push(to);
    }
    return children;
  }

  /** Every other way was tried: the first ones may work again. */
  #startOver(target: number): boolean {
    const { avoided, upstream } = this.#target(target);
    avoided.clear();
    avoided.add(upstream);
    return this.#reassign(target);
  }

  #reassign(target: number): boolean {
    const { avoided, upstream } = this.#target(target);
    const candidates = this.#candidates(target).filter((member) => !avoided.has(member) && !this.#lost.has(member));
    const chosen = candidates.find((member) => !this.#isBehind(member, target));
    if (chosen === undefined || chosen === upstream) return false;
    this.#assign(target, chosen);
    return true;
  }

  /** Senders to consider: in a chain the nearest before it, then the source, then whoever is left. */
  #candidates(target: number): number[] {
    const at = this.#order.indexOf(target);
    const before = this.#order.slice(0, at).reverse();
    const after = this.#order.slice(at + 1);
    return this.#topology === 'chain' ? [...before, source, ...after] : [source, ...before, ...after];
  }

  /** Whether `member` gets its data, over any number of hops, from `target`: then it cannot feed it (R1). */
  #isBehind(member: number, target: number): boolean {
    for (let at = member; at !== source; at = this.#target(at).upstream) if (at === target) return true;
    return false;
  }

  #assign(target: number, upstream: number): void {
    const entry = this.#target(target);
    entry.upstream = upstream;
    entry.epoch++;
  }

  #target(number: number): Target {
    const target = this.#targets.get(number);
    if (target === undefined) throw new Error(`R1: there is no target ${number}`);
    return target;
  }
}
