import type { Position, StreamEvent } from './stream.ts';
import type { KnownColumn, Row, Table, TableName } from './table.ts';

// The contract of what is read from. PostgreSQL is the first; MySQL, MariaDB and Baton's own SQLite are to fit, too.

/** How a sink's position stands to the history that the source has now. */
export type Resumption =
  /** The stream goes on after it. `position` is where: the same, or in the words of a new timeline. */
  | { readonly kind: 'continues'; readonly position: Position }
  /** The sink has what the source never had, or has no more: everything after `position` is not to be trusted (a failover lost it). */
  | { readonly kind: 'diverged'; readonly position: Position; readonly reason: string }
  /** The source no longer has what comes after it. A stream can begin at `position`, if everything is read anew beside it. */
  | { readonly kind: 'lost'; readonly position: Position; readonly reason: string };

export interface Source {
  /** For people: without a password. */
  readonly address: string;
  /** Connects to the node that can be read from. Throws retryable errors while there is none, and others for what time does not heal. */
  open(signal: AbortSignal): Promise<SourceSession>;
  /**
   * Looks at what must not go on for ever, whether anything is being read or not: a log that grows for us while a sink is away. Throws what ends a sync for good; what
   * time may heal is of no concern here, and is thrown as retryable.
   */
  guard?(): Promise<void>;
}

/** A connection to a source. After an error of any call it is of no use any more: a new one is opened. */
export interface SourceSession extends AsyncDisposable {
  /** The node that was found, for people. */
  readonly node: string;
  /** Where a stream begins that has no position yet: everything after it is sure to be there. */
  start(): Promise<Position>;
  resumption(stored: Position): Promise<Resumption>;
  /** What is published to us, as it is now. */
  tables(): Promise<readonly Table[]>;
  /** A state of these tables, all at one position. Only one at a time. */
  snapshot(tables: readonly Table[], signal: AbortSignal): Promise<RowSnapshot>;
  /** A state of these tables and what comes after it, beside whatever else reads this source, and without a trace in it. Only one at a time. */
  observe(tables: readonly Table[], signal: AbortSignal): Promise<Observation>;
  /**
   * Everything after a position. To be read once a session. It may not be read for as long as one likes: the source is told meanwhile that we live.
   * Throws HISTORY_LOST.
   */
  stream(after: Position, known: KnownTables, signal: AbortSignal): AsyncIterable<readonly StreamEvent[]>;
  /** The sink holds everything up to here durably: the source may forget it. Told with the next status, costs nothing. */
  acknowledge(position: Position): void;
  /** The position that a person means, such as `0/16B3748`. Throws USAGE. */
  parsePosition(text: string): Position;
  /** True when `position` is before `other` in this source's history. */
  isBefore(position: Position, other: Position): boolean;
  /** Reads a table anew while the stream runs: its rows appear in the stream, exact where they appear (Resync). */
  resync(request: ResyncRequest): void;
  /** What an operator wants to know. Cheap; asked every few seconds. */
  status(): Promise<SourceStatus>;
}

/** What a sink has, as far as a stream has to care. */
export type KnownTables = {
  /** By `Table.id`. A table that is another now, or not there any more, is told of where the stream first shows it. */
  readonly shapes: ReadonlyMap<string, KnownShape>;
  /** Rows there name their columns: they are read anew whenever columns come or go, also where they would only get NULL. */
  readonly rowsNameColumns: boolean;
  /** Rows that nothing tells apart cannot be held there. What a stream has of them before their table got a key is left out, since the table is read anew when it comes to that. */
  readonly needsKeys: boolean;
};

/** A table as a sink has it, in the source's own names. */
export type KnownShape = TableName & {
  readonly columns: readonly KnownColumn[];
  /** Names of the key's columns, in its order. */
  readonly key: readonly string[];
};

/** Rows that are to be read anew: all of a table, or those of some keys, of which those that are not there become deletes. */
export type ResyncRequest = {
  /** With the key by which rows are asked for: the source's own, or one that was declared. */
  readonly table: Table;
  /** Keys, in the key's order. Undefined: all rows. */
  readonly keys?: AsyncIterable<readonly Row[]>;
};

/** Tables at one position, to be read in parts, several at a time, each once. */
export interface RowSnapshot extends AsyncDisposable {
  /** Transactions before it are in the rows, those after it are not. */
  readonly position: Position;
  readonly tables: readonly TableSnapshot[];
}

/** A state and its future: what anybody who follows these tables has at any later position. */
export interface Observation extends RowSnapshot {
  /** True when what is at `position` of this source's present history has all that the state has. Throws DIVERGED for a position of another source. */
  isReachedBy(position: Position): boolean;
  /** Everything after the state's position. To be read once, beside the state's rows; the source keeps its log for it until it has ended. */
  changes(signal: AbortSignal): AsyncIterable<readonly StreamEvent[]>;
}

export interface TableSnapshot {
  readonly table: Table;
  /** Guesses of the source, for progress. */
  readonly estimatedRows: number;
  readonly estimatedBytes: number;
  readonly parts: readonly RowPart[];
}

/** What stands around the JSON of each row. */
export type JsonFrame = { readonly head: string; readonly tail: string };

/** Rows as text: `length` is how many, `bytes` are UTF-8. */
export type JsonRows = { readonly length: number; readonly bytes: Buffer };

export interface RowPart {
  /** Batches of rows, in no order. May be begun again after a failure as long as the snapshot lives. */
  read(signal: AbortSignal): AsyncIterable<readonly Row[]>;
  /** The same rows as what row-json.ts makes of them, each in a frame. Undefined where a source has no faster way to it. */
  readJson?(frame: JsonFrame, signal: AbortSignal): AsyncIterable<JsonRows>;
}

export type SourceStatus = {
  readonly node: string;
  /** The newest position of the source. */
  readonly newest: Position;
  /** Log that the source keeps for us, and how much more it may become before we are cut off. Undefined: no bound. */
  readonly retainedBytes: number;
  readonly remainingBytes: number | undefined;
  /** Log between what is acknowledged and the newest. */
  readonly lagBytes: number;
};
