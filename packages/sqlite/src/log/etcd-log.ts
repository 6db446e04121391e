import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { assert, BatonError } from '@batondb/core/errors';
import { EtcdClient, type KeyValue, type Lease, type Operation, testFences } from '@batondb/etcd';
import { EtcdBudget } from './etcd-budget.ts';
import { readEntries } from './etcd-entries.ts';
import { checkHistory, type History } from './etcd-history.ts';
import {
  decodeHead,
  decodeLeader,
  EtcdKeys,
  emptyHead,
  encodeEntry,
  encodeHead,
  entryBytes,
  type Head,
} from './etcd-keys.ts';
import { certainUntil, LeaseThread } from './etcd-lease.ts';
import type { EtcdLogPlan } from './etcd-settings.ts';
import { EtcdTrimmer } from './etcd-trimmer.ts';
import { EtcdUpkeep } from './etcd-upkeep.ts';
import type { AppendOutcome, Epoch, Leadership, LogEntry, LogIndex, ReplicatedLog } from './log.ts';
import { ReadGate } from './read-gate.ts';

// A log in an etcd cluster, for several nodes of which one leads at a time. Every append is one transaction that compares the leader's key and the
// head, and advances the head (E1, E2). The fence gives safety; the lease only says when another node may try.

const againMs = 200;
/** How long the end of a node waits for an etcd that does not answer. */
const farewellMs = 1_000;

/** One time of leading. */
type Tenure = {
  readonly epoch: Epoch;
  /** The fence: what the leader's key was created with. */
  readonly createRevision: number;
  readonly lease: Lease;
  readonly lost: AbortController;
};

/** How things are before somebody leads. */
type Vacancy = {
  readonly leader: KeyValue | undefined;
  readonly epoch: KeyValue | undefined;
  readonly head: KeyValue | undefined;
  readonly revision: number;
};

export class EtcdLog implements ReplicatedLog {
  readonly #plan: EtcdLogPlan;
  readonly #keys: EtcdKeys;
  readonly #client: EtcdClient;
  readonly #gate: ReadGate;
  readonly #leases: LeaseThread;
  readonly #budget: EtcdBudget;
  readonly #upkeep: EtcdUpkeep;
  readonly #trimmer: EtcdTrimmer;
  readonly #closed = new AbortController();
  /** Names this process in the leader's key, also where it does not know whether it wrote it. */
  readonly #session = randomUUID();
  #isTested = false;
  #head: Head = emptyHead;
  #tenure: Tenure | undefined;

  private constructor(plan: EtcdLogPlan, gate: SharedArrayBuffer, client: EtcdClient) {
    this.#plan = plan;
    this.#keys = new EtcdKeys(plan.prefix);
    this.#client = client;
    this.#gate = new ReadGate(gate);
    this.#leases = new LeaseThread({ access: plan.access, gate }, (lease) => this.#leaseEnded(lease));
    this.#budget = new EtcdBudget(client, plan);
    this.#upkeep = new EtcdUpkeep(client, plan, this.#budget);
    this.#trimmer = new EtcdTrimmer(client, this.#keys, plan);
  }

  /**
   * Opens the log below a prefix for a directory that is at `history`; a log that is not there yet is made for a new one. Returns it with its name. Throws
   * USAGE, EXISTS, DIVERGED, HISTORY_LOST, UNREACHABLE, ACCESS_DENIED.
   */
  static async open(
    plan: EtcdLogPlan,
    gate: SharedArrayBuffer,
    history: History,
  ): Promise<{ readonly log: EtcdLog; readonly logId: string }> {
    const client = new EtcdClient(plan.access);
    try {
      const logId = await checkHistory(client, plan, history);
      return { log: new EtcdLog(plan, gate, client), logId };
    } catch (error) {
      client[Symbol.dispose]();
      throw error;
    }
  }

  get head(): LogIndex {
    return this.#head.index;
  }

  async lead(given: AbortSignal, waits: () => void = () => undefined): Promise<Leadership> {
    const signal = AbortSignal.any([given, this.#closed.signal]);
    for (;;) {
      signal.throwIfAborted();
      try {
        const found = await this.#look(signal);
        if (found.leader === undefined) {
          const leadership = await this.#claim(found);
          if (leadership !== undefined) return leadership;
        } else if (decodeLeader(found.leader.value)?.session === this.#session) {
          // A leader's key is deleted and created anew: put again, it would keep the revision that a late append of ours compares (E1).
          await this.#removeLeader(found.leader.createRevision);
        } else {
          waits();
          await this.#untilVacant(found.revision, signal);
        }
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof BatonError && (error.retryable || error.code === 'OUTCOME_UNKNOWN'))) throw error;
        waits();
        await delay(againMs, undefined, { signal });
      }
    }
  }

  async append(entry: LogEntry, fence: Epoch): Promise<AppendOutcome> {
    const tenure = this.#tenure;
    if (tenure === undefined || fence !== tenure.epoch) return 'refused';
    assert(entry.index === this.#head.index + 1, 'L1: the log has no holes');
    const bytes = this.#head.bytes + entryBytes(entry.payload);
    await this.#budget.expectRoom(entry.payload.length);
    const head = { index: entry.index, epoch: fence, bytes };
    try {
      const { succeeded } = await this.#client.txn({
        when: [
          { key: this.#keys.leader, createRevision: tenure.createRevision },
          this.#head.index === 0
            ? { key: this.#keys.head, version: 0 }
            : { key: this.#keys.head, value: encodeHead(this.#head) },
        ],
        do: [
          { put: this.#keys.entry(entry.index), value: encodeEntry(entry, bytes) },
          { put: this.#keys.head, value: encodeHead(head) },
        ],
      });
      if (!succeeded) {
        this.#end(tenure);
        return 'refused';
      }
    } catch (error) {
      return this.#failed(error, tenure);
    }
    this.#head = head;
    this.#trimmer.note(head);
    return 'accepted';
  }

  entries(after: LogIndex, signal: AbortSignal): AsyncIterable<LogEntry> {
    return readEntries(this.#client, this.#keys, after, AbortSignal.any([signal, this.#closed.signal]));
  }

  async trim(through: LogIndex): Promise<void> {
    const tenure = this.#tenure;
    if (tenure === undefined) return;
    // The newest entry stays: whoever does not know what became of it looks for it.
    await this.#trimmer.trim(Math.min(through, this.#head.index - 1), this.#head, tenure.createRevision);
  }

  /** A backup holds everything through an index. Once it is called, what is in none stays, within reason. */
  backedUp(through: LogIndex): void {
    this.#trimmer.backedUp = through;
  }

  /** What can be done while nobody waits. */
  async maintain(): Promise<void> {
    if (this.#tenure !== undefined) await this.#upkeep.run();
  }

  /** Gives the lead back, so that another node need not wait for the lease to end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new BatonError('INTERRUPTED', 'the log is closed'));
    const tenure = this.#tenure;
    if (tenure !== undefined) {
      this.#end(tenure);
      const farewell = this.#removeLeader(tenure.createRevision).catch(() => undefined);
      await Promise.race([farewell, delay(farewellMs)]);
    }
    await this.#leases[Symbol.asyncDispose]();
    this.#client[Symbol.dispose]();
  }

  async #look(signal: AbortSignal): Promise<Vacancy> {
    const { leader, epoch, head } = this.#keys;
    const { results, revision } = await this.#client.look(
      { when: [], do: [leader, epoch, head].map((key): Operation => ({ range: { key } })) },
      signal,
    );
    const [leaderKey, epochKey, headKey] = results.map(({ kvs }) => kvs[0]);
    return { leader: leaderKey, epoch: epochKey, head: headKey, revision };
  }

  /** Tries to be the leader. Undefined: somebody else was faster. */
  async #claim({ epoch: known, head: seen }: Vacancy): Promise<Leadership | undefined> {
    const { leader, epoch: epochKey, head: headKey } = this.#keys;
    const sentNs = process.hrtime.bigint();
    const lease = await this.#client.grantLease(this.#plan.leaseSeconds);
    if (!this.#isTested) await testFences(this.#client, this.#keys.prefix, lease.id);
    this.#isTested = true;
    const epoch = Math.max(Number(known?.value ?? 0), decodeHead(seen?.value, this.#keys).epoch) + 1;
    const value = JSON.stringify({ session: this.#session, node: `${hostname()} ${process.pid}` });
    const { succeeded, revision, results } = await this.#client.txn({
      when: [
        { key: leader, version: 0 },
        { key: epochKey, modRevision: known?.modRevision ?? 0 },
      ],
      do: [
        { put: leader, value, lease: lease.id },
        { put: epochKey, value: String(epoch) },
        { range: { key: headKey } },
        { range: { ...this.#keys.entriesAfter(0), limit: 1 } },
      ],
    });
    if (!succeeded) {
      await this.#client.revokeLease(lease.id);
      return undefined;
    }
    this.#head = decodeHead(results[2]?.kvs[0]?.value, this.#keys);
    this.#trimmer.begin(results[3]?.kvs[0], this.#head);
    const tenure: Tenure = { epoch, createRevision: revision, lease, lost: new AbortController() };
    this.#tenure = tenure;
    this.#gate.hold(lease.id, certainUntil(sentNs, lease.ttlSeconds));
    this.#leases.keep(lease);
    void this.#watchOver(tenure);
    return { epoch, head: this.#head.index, lost: tenure.lost.signal };
  }

  /** Waits until the leader's key is gone. */
  async #untilVacant(revision: number, signal: AbortSignal): Promise<void> {
    const watch = this.#client.watch({ key: this.#keys.leader, fromRevision: revision + 1 }, signal);
    for await (const { events } of watch) if (events.some(({ type }) => type === 'delete')) return;
  }

  /** Notices when the leader's key is not ours any more, whoever took it. */
  async #watchOver(tenure: Tenure): Promise<void> {
    const { signal } = tenure.lost;
    const key = this.#keys.leader;
    while (!signal.aborted) {
      try {
        const { kvs, revision } = await this.#client.range({ key }, signal);
        if (kvs[0]?.createRevision !== tenure.createRevision) return this.#end(tenure);
        for await (const { events } of this.#client.watch({ key, fromRevision: revision + 1 }, signal))
          if (events.length > 0) return this.#end(tenure);
      } catch {
        // Appends are fenced and reads end with the lease: this only hastens it, and goes on when etcd answers.
        await delay(againMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  #leaseEnded(lease: number): void {
    if (this.#tenure?.lease.id === lease) this.#end(this.#tenure);
  }

  /** We do not lead any more, or cannot say that we do. */
  #end(tenure: Tenure): void {
    if (this.#tenure !== tenure) return;
    this.#tenure = undefined;
    this.#gate.release();
    this.#leases.keep(null);
    tenure.lost.abort();
    // It would end by itself; nobody has to wait for it.
    this.#client.revokeLease(tenure.lease.id).catch(() => undefined);
  }

  #failed(error: unknown, tenure: Tenure): AppendOutcome {
    if (!(error instanceof BatonError)) throw error;
    if (error.code === 'OUTCOME_UNKNOWN') {
      this.#end(tenure);
      return 'unknown';
    }
    if (error.code === 'NO_SPACE') this.#budget.refuse(error);
    const { code, message, hint } = error;
    // Nothing was written, and who looks after the etcd can help.
    throw new BatonError(code, message, { retryable: true, ...(hint === undefined ? {} : { hint }), cause: error });
  }

  async #removeLeader(createRevision: number): Promise<void> {
    const { leader } = this.#keys;
    await this.#client.txn({ when: [{ key: leader, createRevision }], do: [{ delete: leader }] });
  }
}
