import type { ErrorRecord } from '@batondb/core/errors';
import type { SourceStatus } from './source.ts';
import type { Position } from './stream.ts';

// What an operator can be told of a running sync.

/** `waiting`: another process owns the sink. `retrying`: something failed that time may heal. */
export type SyncPhase = 'connecting' | 'waiting' | 'dumping' | 'streaming' | 'paused' | 'retrying' | 'stopped';

/** How far the dump of one table is. */
export type TableProgress = {
  readonly table: string;
  readonly rows: number;
  readonly estimatedRows: number;
  readonly isDone: boolean;
};

/** A moment of a sync. Counts are since the process began. */
export type SyncStatus = {
  readonly phase: SyncPhase;
  readonly sinceMs: number;
  readonly source: string;
  readonly sink: string;
  /** The sink holds everything up to here. */
  readonly position: Position | undefined;
  /** Tables of the sink are not at one position yet. */
  readonly isOpen: boolean;
  /** How old the newest transaction was when the sink had it; undefined before the first. */
  readonly delayMs: number | undefined;
  /** Since when there is something that the sink does not have; undefined: nothing is known of. */
  readonly behindSinceMs: number | undefined;
  readonly counts: {
    readonly transactions: number;
    readonly inserts: number;
    readonly updates: number;
    readonly deletes: number;
    readonly truncates: number;
    readonly dumpedRows: number;
    readonly retries: number;
    /** Failovers that had lost transactions which the sink had. */
    readonly divergences: number;
  };
  /** Of the dump that goes on or was last. */
  readonly tables: readonly TableProgress[];
  /** Tables that are being read anew. */
  readonly resyncing: readonly string[];
  readonly sourceStatus: SourceStatus | undefined;
  readonly lastError: ErrorRecord | undefined;
};

/** What a sync tells when it happens. */
export type SyncEvent =
  /** Another process owns the sink. */
  | { readonly type: 'waiting'; readonly owner: string }
  | { readonly type: 'connected'; readonly node: string; readonly position: Position | undefined }
  /** The position does not follow from what the source has: everything is read anew, and only differences are written. */
  | { readonly type: 'reconciling'; readonly reason: string }
  /** Transactions that the sink has are lost: their rows are read anew. */
  | { readonly type: 'diverged'; readonly reason: string; readonly position: Position }
  | { readonly type: 'dumping'; readonly tables: readonly string[]; readonly position: Position }
  | {
      readonly type: 'dumped';
      readonly table: string;
      readonly rows: number;
      readonly written: number;
      readonly deleted: number;
    }
  | { readonly type: 'streaming'; readonly position: Position }
  /** The tables of the sink are at one position again. */
  | { readonly type: 'consistent'; readonly position: Position }
  | { readonly type: 'resync'; readonly table: string; readonly state: 'begin' | 'end' }
  | { readonly type: 'reshaped'; readonly table: string }
  | { readonly type: 'dropped'; readonly table: string }
  /** Something that goes on, and that a person should know. */
  | { readonly type: 'notice'; readonly message: string }
  | { readonly type: 'retrying'; readonly error: ErrorRecord; readonly inMs: number };
