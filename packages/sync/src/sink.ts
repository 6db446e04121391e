import type { ErrorRecord } from '@batondb/core/errors';
import type { JsonFrame, JsonRows } from './source.ts';
import type { Position, StreamEvent } from './stream.ts';
import type { KnownColumn, Row, Table, TableName } from './table.ts';

// The contract of what is written to. Data and position go in one atomic step, and that step proves that nobody else has become the owner (Y1, Y2).

/** What a sink remembers of a table. */
export type TableRecord = TableName & {
  /** `Table.id`. */
  readonly id: string;
  /** What the source calls it, where that is something else. */
  readonly original?: TableName;
  readonly columns: readonly KnownColumn[];
  /** Names of the key's columns, in its order. */
  readonly key: readonly string[];
  /** Transactions before it are in the rows that were dumped. Undefined: the dump was not finished. */
  readonly dumpedAt: Position | undefined;
  /** Rows were being read anew when this was written. */
  readonly isResyncing: boolean;
};

/** What a sink remembers. All of it changes with the data or not at all. */
export type SinkState = {
  /** Everything up to here is in the sink. Undefined: nothing was ever begun here. */
  readonly position: Position | undefined;
  /** Tables are not at one position: readers see what was before. */
  readonly isOpen: boolean;
  /** By `nameOf`. */
  readonly tables: ReadonlyMap<string, TableRecord>;
};

export interface Sink {
  /** For people: without a password. */
  readonly address: string;
  /**
   * Becomes the only writer. Waits while another process is it; `onWait` is told once, of whom. Throws USAGE for a place that holds something else.
   */
  own(
    signal: AbortSignal,
    onWait: (owner: string) => void,
    /** A row that the sink cannot hold was kept aside; where that was not asked for, it is an error instead. `table` is the sink's name of it. */
    onRecorded: (table: string, error: ErrorRecord) => void,
  ): Promise<OwnedSink>;
}

/** After an error of any call it is of no use any more: it is owned anew, and its state then says what happened. */
export interface OwnedSink extends AsyncDisposable {
  readonly state: SinkState;
  /** Aborted when another one has become the owner, or may have; the reason is a BatonError. */
  readonly lost: AbortSignal;
  /**
   * A new beginning at a position: it is recorded, the sink is open, and no table counts as dumped. Rows that are there stay until a dump of their table has
   * ended; tables that are not in `tables` are dropped. With `isDumped` their rows are said to be right as they are: every table counts as dumped at the position.
   */
  begin(position: Position, tables: readonly Table[], isDumped: boolean): Promise<void>;
  /** Begins the dump of a table; it replaces whatever rows the table has, of which only those that differ are written. */
  load(table: Table): Promise<TableLoad>;
  /**
   * Applies what a stream tells, and yields positions that are durable now. How much goes together is the sink's own choice; when nothing more is there to be read it
   * does not wait. It reads ahead while it writes, within a limit.
   */
  apply(batches: AsyncIterable<readonly StreamEvent[]>): AsyncIterable<Position>;
  /** Each row names its columns, so all of them are others when a column comes or goes. Default: false. */
  readonly rowsNameColumns?: boolean;
  /** Rows that nothing tells apart cannot be held. Default: false. */
  readonly needsKeys?: boolean;
  /** Keys of all rows of a table; what cannot be read back (a stream of lines) has none. */
  keys?(table: Table): AsyncIterable<readonly Row[]>;
  /**
   * For a repair after a failover that lost transactions: keys of all rows that were written after the newest remembered position for which `isKnown` is true.
   * Undefined: what the sink remembers does not reach back so far.
   */
  touchedAfter?(isKnown: (position: Position) => boolean): Promise<AsyncIterable<TouchedRows> | undefined>;
  /** Sets the position back after a failover that lost transactions. The sink is open, and these tables count as being read anew. */
  rewind?(position: Position, tables: readonly TableName[]): Promise<void>;
}

/** Without keys: what was written does not tell which rows it was (a table without a key, or one that was truncated); the whole table is to be read anew. */
export type TouchedRows = { readonly table: TableRecord; readonly keys: readonly Row[] | undefined };

export interface TableLoad extends AsyncDisposable {
  /** May be called by several at a time. Resolves when more may come. */
  write(rows: readonly Row[]): Promise<void>;
  /** Where all that the sink wants of a row is its JSON in a frame: another way to write it. */
  readonly json?: { readonly frame: JsonFrame; readonly write: (rows: JsonRows) => Promise<void> };
  /** All rows were written: those that were not among them go, and the table counts as dumped, in one step. Disposed before: it does not. */
  finish(dumpedAt: Position): Promise<LoadResult>;
}

export type LoadResult = { readonly rows: number; readonly written: number; readonly deleted: number };

/** A sink at one consistent position, to be compared with its source. Reading it changes nothing and needs no ownership. */
export interface SinkView extends AsyncDisposable {
  readonly state: SinkState & { readonly position: Position };
  /** What a row of the source has to be in this sink. */
  expect(table: Table, row: Row): HeldRow;
  /** What the sink holds of a table, in no order. */
  rows(table: TableName): AsyncIterable<readonly HeldRow[]>;
}

/** A row in a sink's own form, made such that equal rows are equal texts. */
export type HeldRow = { readonly key: string; readonly value: string };
