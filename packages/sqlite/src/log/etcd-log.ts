import { assert, BatonError } from '@batondb/core/errors';
import { EtcdBudget, EtcdClient, EtcdUpkeep, type OperationResult, Seat, type Tenure } from '@batondb/etcd';
import { readEntries } from './etcd-entries.ts';
import { checkHistory, type History } from './etcd-history.ts';
import { decodeHead, EtcdKeys, emptyHead, encodeEntry, encodeHead, entryBytes, type Head } from './etcd-keys.ts';
import type { EtcdLogPlan } from './etcd-settings.ts';
import { EtcdTrimmer } from './etcd-trimmer.ts';
import type { AppendOutcome, Epoch, Leadership, LogEntry, LogIndex, ReplicatedLog } from './log.ts';

// A log in an etcd cluster, for several nodes of which one leads at a time. Every append is one transaction that compares the leader's key and the
// head, and advances the head (E1, E2). The fence gives safety; the lease only says when another node may try.

/** What we lead with, and the epoch that it was given. */
type Lead = { readonly tenure: Tenure; readonly epoch: Epoch };

export class EtcdLog implements ReplicatedLog {
  readonly #keys: EtcdKeys;
  readonly #client: EtcdClient;
  readonly #seat: Seat;
  readonly #budget: EtcdBudget;
  readonly #upkeep: EtcdUpkeep;
  readonly #trimmer: EtcdTrimmer;
  readonly #closed = new AbortController();
  #head: Head = emptyHead;
  #lead: Lead | undefined;

  private constructor(plan: EtcdLogPlan, gate: SharedArrayBuffer, client: EtcdClient) {
    this.#keys = new EtcdKeys(plan.prefix);
    this.#client = client;
    this.#seat = new Seat(client, { ...plan, key: this.#keys.leader }, gate);
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
    const { epoch: epochKey, head: headKey } = this.#keys;
    let epoch = 0;
    const claim = {
      look: [{ range: { key: epochKey } }, { range: { key: headKey } }],
      claim: ([found, head]: readonly OperationResult[]) => {
        const known = found?.kvs[0];
        epoch = Math.max(Number(known?.value ?? 0), decodeHead(head?.kvs[0]?.value, this.#keys).epoch) + 1;
        return {
          when: [{ key: epochKey, modRevision: known?.modRevision ?? 0 }],
          do: [
            { put: epochKey, value: String(epoch) },
            { range: { key: headKey } },
            { range: { ...this.#keys.entriesAfter(0), limit: 1 } },
          ],
        };
      },
    };
    const tenure = await this.#seat.take(claim, AbortSignal.any([given, this.#closed.signal]), waits);
    const [, head, oldest] = tenure.results;
    this.#head = decodeHead(head?.kvs[0]?.value, this.#keys);
    this.#trimmer.begin(oldest?.kvs[0], this.#head);
    this.#lead = { tenure, epoch };
    return { epoch, head: this.#head.index, lost: tenure.lost };
  }

  async append(entry: LogEntry, fence: Epoch): Promise<AppendOutcome> {
    const tenure = this.#tenure;
    if (tenure === undefined || fence !== this.#lead?.epoch) return 'refused';
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
        this.#seat.end(tenure);
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
    await this.#seat[Symbol.asyncDispose]();
    this.#client[Symbol.dispose]();
  }

  /** Undefined when we do not lead. */
  get #tenure(): Tenure | undefined {
    const { tenure } = this.#seat;
    return tenure === this.#lead?.tenure ? tenure : undefined;
  }

  #failed(error: unknown, tenure: Tenure): AppendOutcome {
    if (!(error instanceof BatonError)) throw error;
    if (error.code === 'OUTCOME_UNKNOWN') {
      this.#seat.end(tenure);
      return 'unknown';
    }
    if (error.code === 'NO_SPACE') this.#budget.refuse(error);
    const { code, message, hint } = error;
    // Nothing was written, and who looks after the etcd can help.
    throw new BatonError(code, message, { retryable: true, ...(hint === undefined ? {} : { hint }), cause: error });
  }
}
