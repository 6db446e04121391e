import type { ErrorRecord } from '@batondb/core/errors';
import type { Position } from './stream.ts';

// What a replication says of itself: for people, for /status and for /metrics. Plain values, which are JSON as they are.

/** What a replication is doing. */
export type SyncPhase =
  /** Source or sink are being reached. */
  | 'connecting'
  /** Another process owns the sink; we take over when it ends. */
  | 'waiting'
  /** Rows are read beside the stream: the first time, or since what came after the sink's position is lost. */
  | 'dumping'
  /** The stream is followed. */
  | 'streaming'
  /** Somebody asked for it; the source is told that we live, and nothing is applied. */
  | 'paused'
  /** Something failed that can pass; `lastError` says what, `retryAtMs` when it is tried again. */
  | 'retrying'
  /** It is over: all that was asked for is done, a signal came, or an error that time does not heal. */
  | 'ended';

/** One table, by the name that it has at the sink. */
export type TableProgress = {
  readonly table: string;
  /** `waiting` for its dump, `dumping`, `resyncing` beside the stream, or `current`. */
  readonly state: 'waiting' | 'dumping' | 'resyncing' | 'current';
  /** Rows that were read since the dump or resync of it began. 0 for a table that was current when we started. */
  readonly rows: number;
  /** A guess of the source. Undefined where none was made. */
  readonly estimatedRows: number | undefined;
};

/** Counts since the process started; they never fall. */
export type SyncCounts = {
  readonly transactions: number;
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly truncates: number;
  /** Changed, new and dropped tables. */
  readonly reshapes: number;
  readonly dumpedRows: number;
  readonly resyncedRows: number;
  /** Failures after which it was tried again. */
  readonly retries: number;
  /** Rows that were kept aside. */
  readonly recordedRows: number;
  /** Keys that were repaired after a failover that lost transactions. */
  readonly repairedKeys: number;
};

/** A failover after which the sink held what the source never had. */
export type Divergence = { readonly atMs: number; readonly position: Position; readonly reason: string };

export type SyncStatus = {
  /** What the operator calls this replication. */
  readonly name: string;
  /** Both without a password. */
  readonly source: string;
  readonly sink: string;
  readonly phase: SyncPhase;
  /** Milliseconds since 1970, as all that ends with AtMs. */
  readonly phaseAtMs: number;
  readonly startedAtMs: number;
  /** The node of the source that is read. Undefined: none at present. */
  readonly node: string | undefined;
  /** Who owns the sink, while another process does. */
  readonly owner: string | undefined;
  /** What the sink holds durably. */
  readonly position: Position | undefined;
  /** When the newest transaction that the sink holds was committed at the source. */
  readonly committedAtMs: number | undefined;
  /** Tables are not at one position: readers see what was before. */
  readonly isOpen: boolean;
  /** What the source said last. Undefined: it was not asked yet. */
  readonly newest: Position | undefined;
  readonly lagBytes: number | undefined;
  /** 0 when the sink holds everything that the source has told. */
  readonly lagSeconds: number | undefined;
  /** Log that the source keeps for us, and how much more it may become before we are cut off (undefined: no bound). */
  readonly retainedBytes: number | undefined;
  readonly remainingBytes: number | undefined;
  readonly tables: readonly TableProgress[];
  readonly counts: SyncCounts;
  /** Over the last seconds. */
  readonly rowsPerSecond: number;
  readonly transactionsPerSecond: number;
  readonly lastError: (ErrorRecord & { readonly atMs: number }) | undefined;
  readonly retryAtMs: number | undefined;
  readonly lastDivergence: Divergence | undefined;
};

/** What is worth a line in a log when it happens. */
export type SyncEvent =
  /** The phase is another one now. `detail` says more, for people: the owner that is waited for, the position from which it goes on. */
  | { readonly kind: 'phase'; readonly phase: SyncPhase; readonly detail: string }
  | { readonly kind: 'connected'; readonly node: string }
  | { readonly kind: 'table-dumped'; readonly table: string; readonly rows: number; readonly durationMs: number }
  | { readonly kind: 'table-resynced'; readonly table: string; readonly rows: number }
  | { readonly kind: 'table-reshaped'; readonly table: string }
  | { readonly kind: 'table-dropped'; readonly table: string }
  /** What came after the sink's position is gone: everything is read anew, and only differences are written. */
  | { readonly kind: 'history-lost'; readonly position: Position; readonly reason: string }
  | { readonly kind: 'diverged'; readonly position: Position; readonly reason: string }
  /** These rows are read anew after a failover that lost transactions. */
  | { readonly kind: 'repairing'; readonly keys: number }
  | { readonly kind: 'row-recorded'; readonly table: string; readonly error: ErrorRecord }
  /** `isRepeated`: the same was told less than a minute ago. */
  | { readonly kind: 'retry'; readonly error: ErrorRecord; readonly inMs: number; readonly isRepeated: boolean };

/** A replication that runs, as its operator reaches it. */
export interface Replication {
  status(): SyncStatus;
  /** Stops applying after the transaction at hand. The source keeps its log meanwhile. Without effect when it is paused. */
  pause(): void;
  resume(): void;
  /** Reads a table anew beside the stream; `table` as in `TableProgress`. Throws NOT_FOUND for one that is not replicated, UNAVAILABLE while nothing is streamed. */
  resync(table: string): void;
}
