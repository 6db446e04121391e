import { setTimeout as delay } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { Epoch, Leadership, LogEntry, LogIndex, ReplicatedLog } from '../log/log.ts';
import type { ReadGate } from '../log/read-gate.ts';
import { refused, unknown } from './answers.ts';
import { formatPosition, type Position } from './position.ts';
import type { Store } from './store.ts';

// Whether this node leads its log, and what it applies of others' entries until it does: the lead is held only with everything applied that was accepted
// before it. It also finds out what became of an entry of its own of which nobody knew.

/** How long it is waited for space for what the log has accepted. */
const spaceMs = 500;

/** What the state machine does about it. */
export type LeadPlace = {
  readonly store: Store;
  readonly log: ReplicatedLog;
  /** Told whether this node leads. */
  readonly gate: ReadGate;
  /** Applies an entry of another node, or of this one before it was started. */
  readonly apply: (entry: LogEntry) => Promise<void>;
  /** Publishes the entry that was unknown: the log has it. */
  readonly publish: (entry: LogEntry) => void;
  /** Drops everything that is not published, and calls `forget`. */
  readonly drop: (error: BatonError) => void;
  /** Called when everything is applied, right before this node leads. */
  readonly begin: () => void;
};

/** The lead of a log, as one node has it or waits for it. */
export class Lead {
  readonly #place: LeadPlace;
  readonly #stopped = new AbortController();
  #epoch: Epoch = 0;
  #isHeld = false;
  #leadership: Leadership | undefined;
  /** The entry of which nobody knows whether the log has it. */
  #unknown: LogEntry | undefined;
  /** How often everything unpublished was dropped. */
  #drops = 0;

  constructor(place: LeadPlace) {
    this.#place = place;
  }

  get epoch(): Epoch {
    return this.#epoch;
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** What is held, unless it was lost. */
  get present(): Leadership | undefined {
    const { lost } = this.#leadership ?? {};
    return this.#isHeld && lost?.aborted === false ? this.#leadership : undefined;
  }

  /** This node does not lead any more, as far as it knows. */
  lose(): void {
    this.#set(false);
  }

  /** Everything unpublished was dropped. */
  forget(): void {
    this.#drops += 1;
    this.#unknown = undefined;
  }

  /** Who waits for the lead gives up. */
  stop(): void {
    this.#stopped.abort(new BatonError('INTERRUPTED', 'the node is closed'));
  }

  /**
   * Takes the lead with all that is in the log applied. While another node leads, its entries are applied; calls `waits` then. Throws what the log and the
   * store throw.
   */
  async take(given: AbortSignal, waits: () => void): Promise<Leadership> {
    const ended = new AbortController();
    const signal = AbortSignal.any([given, this.#stopped.signal, ended.signal]);
    const { promise: failed, reject } = Promise.withResolvers<never>();
    let following: Promise<void> | undefined;
    const leading = this.#place.log.lead(signal, () => {
      following ??= this.#applyLog(signal).catch(reject);
      waits();
    });
    // Who applies and cannot go on has no use for the lead.
    const leadership = await Promise.race([leading, failed]).finally(() => {
      leading.catch(() => undefined);
      ended.abort();
    });
    await following;
    this.#epoch = leadership.epoch;
    await this.#applyLog(AbortSignal.any([given, this.#stopped.signal]), leadership.head);
    this.#expectSound();
    if (this.#unknown !== undefined) this.#place.drop(refused());
    this.#place.begin();
    this.#leadership = leadership;
    this.#set(true);
    return leadership;
  }

  /**
   * The next leader resolves what is unknown, be it this node or another one: what the log has at our index is ours, or it is not (M5). Calls `overdue` when
   * that takes long. Throws REFUSED when what follows in the group is gone.
   */
  async resolve(entry: LogEntry, overdue: (error: BatonError) => void): Promise<void> {
    this.#unknown = entry;
    const drops = this.#drops;
    const timer = setTimeout(() => overdue(unknown(entry)), limits.unknownMsMax);
    try {
      await this.take(this.#stopped.signal, () => undefined);
    } catch (error) {
      throw unknown(entry, error);
    } finally {
      clearTimeout(timer);
    }
    if (this.#drops !== drops) throw refused();
  }

  /** Applies entries that the log of another node has accepted, in their order. Throws PROTOCOL, what the store throws, and what keeping them throws. */
  async follow(entries: Iterable<LogEntry>): Promise<Position> {
    const { store, apply } = this.#place;
    for (const entry of entries) {
      const { epoch, index } = store.position;
      if (entry.index !== index + 1 || entry.epoch < epoch) {
        throw new BatonError(
          'PROTOCOL',
          `entry ${entry.epoch}.${entry.index} came, and this node is at ${epoch}.${index}`,
        );
      }
      await apply(entry);
    }
    return store.position;
  }

  #set(leads: boolean): void {
    this.#isHeld = leads;
    this.#place.gate.isLeading = leads;
  }

  #expectSound(): void {
    const { isSound, position, record } = this.#place.store;
    if (isSound) return;
    throw new BatonError(
      'DIVERGED',
      `the database files hold pages of entries through ${formatPosition(record.foldingThrough!)}, and the log ends at ${formatPosition(position)}`,
      { hint: 'restore a backup, or begin again with a snapshot of another node' },
    );
  }

  /** Applies entries of others, or of this node before it was started, through one, or until the signal ends it. */
  async #applyLog(signal: AbortSignal, through: LogIndex = Number.POSITIVE_INFINITY): Promise<void> {
    const { log, store } = this.#place;
    while (!signal.aborted && store.position.index < through) {
      try {
        for await (const entry of log.entries(store.position.index, signal)) {
          await this.#take(entry);
          if (entry.index >= through) break;
        }
        return;
      } catch (error) {
        if (!(error instanceof BatonError && error.code === 'NO_SPACE')) throw error;
        await delay(spaceMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Applies an entry of the log, which may be the one that this node does not know of. */
  async #take(entry: LogEntry): Promise<void> {
    const own = this.#unknown;
    const isOwn =
      own?.index === entry.index && own.epoch === entry.epoch && Buffer.compare(own.payload, entry.payload) === 0;
    if (!isOwn) return await this.#place.apply(entry);
    this.#place.publish(own);
    this.#unknown = undefined;
  }
}
