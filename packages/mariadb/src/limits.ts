// Every bound of this package, each with its reason.

export const limits = {
  /** What a statement may answer. The largest is the status of replication: some 10 KiB a channel, at most 256 channels. */
  answerBytesMax: 8_388_608,
  /** Time for a statement that only reads, the client's start and login included. */
  readMsMax: 60_000,
  /** Time for a program to say its version. Its start from a slow disk takes seconds; one that hangs must not hold up who asks. */
  versionMsMax: 30_000,
  /** What it may say meanwhile. */
  versionBytesMax: 65_536,
  /** Time for a thread of replication to stop: it finishes what it is applying, which may be a long ALTER TABLE. */
  stopMsMax: 300_000,
  /** Time for the threads of replication to be seen running after they were started. */
  restartMsMax: 30_000,
  /** Time during which a watchdog tries to start replication on a server that does not answer. */
  watchdogMsMax: 600_000,
  /** Time for a watchdog to say that it is ready. */
  watchdogReadyMsMax: 15_000,
  /** One line of what a backup tool says. The longest quote a path, or a list of GTIDs. */
  lineBytesMax: 65_536,
  /** Characters of an error that a watchdog answers with: six times as many, as JSON may need, still fit into a line. */
  errorCharactersMax: 8192,
  /** A file that says where a backup ends: a line per binlog or channel, the longest a set of GTIDs. */
  infoBytesMax: 4_194_304,
  /** Lines kept of such a file. */
  infoLinesMax: 10_000,
  /** A path in a stream: FN_REFLEN of the tools, which refuse longer ones too. */
  streamPathBytesMax: 511,
  /** Content of one chunk of a stream. The tools write 10 MiB; their readers hold one in memory. */
  chunkBytesMax: 1_073_741_824,
  /** Entries of the map of one sparse chunk (Percona): eight bytes each, of pages of at least 4 KiB in a chunk. */
  sparseEntriesMax: 1_048_576,
  /** Files open at the same time in a stream: one for each of the tool's threads, and some. */
  openFilesMax: 4096,
  /** `sun_path` of a Unix socket (unix(7)), without its final NUL. */
  socketPathBytesMax: 107,
  /** A channel's name: 64 characters in MySQL, 64 bytes in MariaDB. */
  channelNameBytesMax: 256,
} as const;
