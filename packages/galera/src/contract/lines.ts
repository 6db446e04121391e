/** What a donor's process says to its server, a line each. */
export const donorLines = {
  /** The server holds back writes and makes `tables_flushed` in the data directory, with its position. */
  flushTables: 'flush tables',
  /** The cluster goes on: without it everybody waits until we end. */
  continue: 'continue',
  /** The donor is free, and Synced again. */
  done: 'done',
} as const;
