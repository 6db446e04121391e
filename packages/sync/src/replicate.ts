import { setTimeout as delay } from 'node:timers/promises';
import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { Gate } from './gate.ts';
import { Mapping, type MappingOptions } from './mapping/mapping.ts';
import { Run, type RunOptions } from './run.ts';
import type { Sink } from './sink.ts';
import type { Source, SourceSession } from './source.ts';
import type { Replication, SyncEvent, SyncStatus } from './status.ts';
import { Tally } from './tally.ts';

export type ReplicatorOptions = RunOptions & {
  /** What the operator calls it. */
  readonly name: string;
  readonly source: Source;
  readonly sink: Sink;
  readonly mapping: MappingOptions;
  readonly onEvent: (event: SyncEvent) => void;
  /** Between two tries: from `msMin`, doubled each time that nothing came of one. Default: `usualRetry`. */
  readonly retry?: { readonly msMin: number; readonly msMax: number };
};

/** How often the source is asked how it stands. */
const statusMs = 5_000;
const guardMs = 30_000;
/** A disk that is full is looked at twice a minute. */
const usualRetry = { msMin: 250, msMax: 30_000 };
/** Who only does not answer is asked every second: a failover is over when the new primary answers, and the sync is not to stand still for longer. */
const absentMsMax = 1_000;
const absences: readonly ErrorCode[] = ['UNREACHABLE', 'CONNECTION_LOST', 'UNAVAILABLE'];

/**
 * Keeps a sink supplied from a source: own the sink, dump what it lacks, then the stream. What time may heal is tried again for as long as it takes, each time from what
 * the sink says that it has (Y3).
 */
export class Replicator implements Replication {
  readonly #options: ReplicatorOptions;
  readonly #tally: Tally;
  readonly #gate = new Gate();
  readonly #mapping: Mapping;
  #run: Run | undefined;

  constructor(options: ReplicatorOptions) {
    this.#options = options;
    this.#tally = new Tally(options.onEvent);
    this.#mapping = new Mapping(options.mapping);
  }

  /** Ends when the options say so, or quietly with the signal. Throws what time does not heal. To be called once. */
  async run(signal: AbortSignal): Promise<void> {
    const givenUp = new AbortController();
    using _ = this.#guard(givenUp);
    try {
      await this.#tryAgain(AbortSignal.any([signal, givenUp.signal]));
      if (givenUp.signal.aborted) throw givenUp.signal.reason;
    } catch (error) {
      this.#tally.ended(error);
      throw error;
    }
    this.#tally.ended();
  }

  /** Nothing more is given to the sink until `resume`. The source keeps what comes meanwhile. */
  pause(): void {
    this.#gate.close();
  }

  resume(): void {
    this.#gate.open();
  }

  /** Reads a table anew beside the stream. Throws NOT_FOUND; UNAVAILABLE while there is no stream. */
  resync(table: string): void {
    if (this.#run === undefined) {
      throw new BatonError('UNAVAILABLE', 'nothing is being streamed now, so no table can be read anew beside it', {
        retryable: true,
      });
    }
    this.#run.resync(table);
  }

  status(): SyncStatus {
    const { name, source, sink } = this.#options;
    return this.#tally.status({ name, source: source.address, sink: sink.address }, this.#gate.isClosed);
  }

  async #tryAgain(signal: AbortSignal): Promise<void> {
    const { msMin, msMax } = this.#options.retry ?? usualRetry;
    let waitMs = msMin;
    while (!signal.aborted) {
      const before = this.#tally.durables;
      try {
        return await this.#once(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof BatonError) || !error.retryable) throw error;
        if (this.#tally.durables > before) waitMs = msMin;
        if (absences.includes(error.code)) waitMs = Math.min(waitMs, absentMsMax);
        this.#tally.retrying(error, waitMs);
        await delay(waitMs, undefined, { signal }).catch(() => undefined);
        waitMs = Math.min(waitMs * 2, msMax);
      }
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const tally = this.#tally;
    tally.connecting();
    await using sink = await this.#options.sink.own(
      signal,
      (owner) => tally.waiting(owner),
      (table, error) => tally.recorded(table, error),
    );
    const either = AbortSignal.any([signal, sink.lost]);
    try {
      await using session = await this.#options.source.open(either);
      tally.connected(session.node, sink.state);
      using _ = this.#watch(session);
      this.#run = new Run({ session, sink, tally, mapping: this.#mapping, gate: this.#gate }, this.#options);
      await this.#run.toEnd(either);
    } catch (error) {
      if (sink.lost.aborted && !signal.aborted) throw sink.lost.reason;
      throw error;
    } finally {
      this.#run = undefined;
    }
  }

  /** Looks after the source also while the sink is away, and nothing is read. */
  #guard(givenUp: AbortController): Disposable {
    const { source } = this.#options;
    const look = (): void =>
      void source.guard?.().catch((error: unknown) => {
        if (error instanceof BatonError && !error.retryable) givenUp.abort(error);
      });
    const timer = setInterval(look, guardMs);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  /** Asks the source now and then how it stands. A question that fails is asked again: what is wrong shows elsewhere. */
  #watch(session: SourceSession): Disposable {
    const look = (): void =>
      void session.status().then(
        (status) => this.#tally.saw(status),
        () => undefined,
      );
    look();
    const timer = setInterval(look, statusMs);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }
}
