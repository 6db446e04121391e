// Every bound of the PostgreSQL source, each with its reason.

export const streamLimits = {
  /** A file with passwords: thousands of lines. */
  passwordFileBytesMax: 1_048_576,
  /** A statement of ours on the catalog, or a chunk of rows: what takes longer is waiting for something that a person has to know of. */
  statementMs: 120_000,
  /** When a primary was found among several hosts, the others get so long to say that they are a newer one; when there is none, those that answer are asked as often while another one hangs. */
  otherHostsMs: 1000,
  /** How often the server hears of us, whatever the sink does: far below any wal_sender_timeout that makes sense. */
  statusMs: 1000,
  /** The same while the server waits for us to be stopped. */
  hurriedStatusMs: 50,
  /** How often a sink hears of a place up to which there was nothing for it: each is a write, which others may have to bear, too. So many may come at once. */
  placeMs: 1000,
  placesMax: 10,
  /** A server that says nothing for so long is asked for a word, and taken for dead when none comes within the double. */
  silenceMs: 30_000,
  /** What was received and not decoded yet, before reading pauses. */
  receivedBytesMax: 4_194_304,
  /** Events of one batch: some milliseconds of a sink's work. */
  batchEventsMax: 1024,
  /** A transaction that is not committed yet stays in memory up to this, and all of them together up to the second: what is beyond goes to files. */
  unfinishedBytesMax: 1_048_576,
  allUnfinishedBytesMax: 33_554_432,
  /** A read from and a write to such a file. */
  spillBlockBytes: 262_144,
  /** Transactions that are remembered as streamed: one of them may not be visible to a read yet while it waits for its standby. */
  streamedMax: 131_072,
  /** Rows of a chunk that is read anew: in memory until the stream has passed it. */
  chunkRows: 5000,
  chunkBytesMax: 33_554_432,
  /** Keys of one statement: with up to 32 columns each, below the 65,535 parameters that it may have. */
  keysMax: 1000,
  /** Keys that transactions touched while a chunk was read. With more of them it is read again. */
  touchedMax: 200_000,
  /** A table whose rows have no key is read anew as a whole. */
  keylessRowsMax: 200_000,
  /** How often a chunk is read that changes under the hand. */
  chunkAttempts: 20,
  /** The log has to move on before a chunk can be told; when nobody writes for so long, we do. */
  nudgeMs: 100,
  /** How often the catalog is looked at for tables that have come, gone or changed their names. */
  catalogMs: 5000,
  /** An administrator who stops the server waits for us: a sink gets so long to take what is under way. */
  shutdownMs: 5_000,
} as const;
