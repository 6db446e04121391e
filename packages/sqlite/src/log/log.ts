// What keeps transactions: an ordered list of entries that has one writer at a time. It is in files (file-log.ts), or in an etcd cluster
// (etcd-log.ts).

/** Number of an entry, from 1 on, without holes. */
export type LogIndex = number;

/** Number of a leadership. Every process that leads a log has a higher one than all before it. */
export type Epoch = number;

/** One entry. The payload is the state machine's. */
export type LogEntry = { readonly index: LogIndex; readonly epoch: Epoch; readonly payload: Uint8Array };

/**
 * How an append ended. `accepted`: the entry lasts, and is the one at its index. `refused`: it is not in the log and never will be,
 * since somebody else leads. `unknown`: one of both, and only the next leader can tell.
 */
export type AppendOutcome = 'accepted' | 'refused' | 'unknown';

/** Where a log ends, and which leadership was just taken. */
export type Leadership = {
  readonly epoch: Epoch;
  readonly head: LogIndex;
  /** Aborted when somebody else leads, or may. Where nobody else can it never is. */
  readonly lost?: AbortSignal;
};

/** What every log offers. */
export interface ReplicatedLog extends AsyncDisposable {
  /**
   * Takes the lead with a new epoch; from then on no append under an older one is accepted. `head` is the last entry there is, and settles
   * what was unknown before. Waits while somebody else leads, or while nobody can, and calls `waits` then.
   */
  lead(signal: AbortSignal, waits?: () => void): Promise<Leadership>;
  /**
   * Adds the entry after the head, if `fence` is the present epoch. Throws a BatonError that is retryable when it is certain that nothing
   * was written and a later attempt may succeed; any other error means that this process can write no more.
   */
  append(entry: LogEntry, fence: Epoch): Promise<AppendOutcome>;
  /** Yields the entries after an index, and goes on with new ones until the signal ends it. Throws HISTORY_LOST below the trimmed index. */
  entries(after: LogIndex, signal: AbortSignal): AsyncIterable<LogEntry>;
  /** Lets the log forget entries through an index: a checkpoint or a snapshot holds them. It may keep more than it has to. */
  trim(through: LogIndex): Promise<void>;
  /** The last entry that is known to last. */
  readonly head: LogIndex;
}
