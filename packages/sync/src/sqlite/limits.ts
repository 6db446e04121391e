import type { GroupLimits } from '../group-commit.ts';

// Every bound of the SQLite sink, each with its reason.

/** What goes to the writer's thread at once, and as much again is read ahead: enough that a commit costs little beside it, little enough to hold twice. */
export const groupLimits: GroupLimits = { eventsMax: 10_000, charactersMax: 4_194_304 };

export const sqliteLimits = {
  /** Rows of one message to the thread while a table is loaded. */
  loadRowsMax: 1000,
  /** Messages of all loads that may be on their way to the thread: it never waits, and memory stays small. */
  loadMessagesMax: 4,
  /** Rows of loads between two commits. More gains nothing, and their pages would only wait in the write-ahead log. */
  loadCommitRows: 50_000,
  /** Parameters of one INSERT of several rows: beyond it, larger statements gain nothing. */
  insertParametersMax: 128,
  /** Prepared statements a table may have for updates that leave columns as they were, one for each set of columns. */
  updateStatementsMax: 64,
  /** Keys and rows that are read at once: a few milliseconds of work. */
  readRows: 1000,
  /** What is remembered of keys that were written lately. A failover loses seconds; this is minutes of a busy source. */
  touchedBytesMax: 33_554_432,
  /** How long another program may hold the file's write lock, such as one that makes an index, before we give up for now. */
  busyMsMax: 30_000,
  /** SQLite's own cache: the inner pages of large tables. */
  cacheKibibytes: 16_384,
} as const;
