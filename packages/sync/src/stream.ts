import type { Row, Table } from './table.ts';

// What a source tells: transactions, one after the other, each whole and in the order of their commits. They come as events, in batches of what was
// there anyway, so that a transaction of any size needs no memory.

/** Where a source's history is: its own text, which nobody else reads. Equal texts are equal positions. */
export type Position = string;

/** A row is there now. A sink that has one of the same key replaces it. */
export type Insert = { readonly kind: 'insert'; readonly table: Table; readonly row: Row };
/**
 * A row is another now. `old` is there when its key has changed, or when its table's old rows come whole. Fields of `row` that are not known are as
 * they were: in `old`, if they are known there, else in what the sink has.
 */
export type Update = { readonly kind: 'update'; readonly table: Table; readonly row: Row; readonly old?: Row };
/** A row is gone. `old` has its key at least. Of a table without a key it has all fields, and one row that equals it is gone. */
export type Delete = { readonly kind: 'delete'; readonly table: Table; readonly old: Row };
export type Truncate = { readonly kind: 'truncate'; readonly tables: readonly Table[] };
/** A table has this shape from now on; also told of a table that is new. Rows that a sink has keep what they have. */
export type Reshape = { readonly kind: 'reshape'; readonly table: Table };
/** A table is no more, and neither are its rows. */
export type Drop = { readonly kind: 'drop'; readonly table: Table };
/**
 * Between the two, rows of a table come anew as inserts, beside its changes: all of them, or those of some keys. A sink remembers where it is, so that a restart
 * begins them again.
 */
export type Resync = {
  readonly kind: 'resync';
  readonly table: Table;
  readonly state: 'begin' | 'end';
  readonly scope: 'table' | 'keys';
};

export type Change = Insert | Update | Delete | Truncate | Reshape | Drop | Resync;

export type Begin = {
  readonly kind: 'begin';
  /** The source's own number of the transaction, for people. */
  readonly transaction: string;
  /** Where it commits. Before the position of a snapshot exactly when the snapshot has it. */
  readonly commitsAt: Position;
  /** Milliseconds since 1970; undefined where the source does not tell. */
  readonly committedAtMs: number | undefined;
};

export type Commit = {
  readonly kind: 'commit';
  /** Everything up to here has been told. */
  readonly position: Position;
  readonly committedAtMs: number | undefined;
  /** Tables are not at one position yet: a dump or a repair was newer than the stream. Readers are shown what was before. Default: false. */
  readonly isOpen?: boolean;
};

/** No transaction is open, and up to here there is nothing more for this sink. */
export type Reached = { readonly kind: 'reached'; readonly position: Position; readonly isOpen?: boolean };

export type StreamEvent = Begin | Change | Commit | Reached;
