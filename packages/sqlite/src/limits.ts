// Every bound of this package, each with its reason.

export const limits = {
  /** A log entry. Larger transactions are cut into parts; an etcd log has a lower bound of its own. */
  entryBytesMax: 4_194_304,
  /** An entry of a log on etcd, which takes requests of 1.5 MiB: with its keys it stays well below. */
  etcdEntryBytesMax: 1_048_576,
  /** An etcd that has not answered by then is given up for the moment. */
  etcdRequestMs: 5_000,
  /** A leader's lease: below, an etcd that elects a leader of its own would cost ours the lead. */
  leaseSecondsMin: 1,
  /** Who waits for a transaction of unknown outcome is told so after this time. */
  unknownMsMax: 10_000,
  /** A segment of the file log: a few entries of the largest size, and zero-filled in some 10 ms. */
  segmentBytes: 16_777_216,
  /** Segments kept for reuse, so that appending needs no metadata of the file system. */
  spareSegmentsMax: 4,
  /** A database's name: with its suffix it is a file's name, and a part of a URL. */
  databaseNameBytesMax: 100,
  /** An idempotency key: a UUID, or what a client's own numbering needs. */
  receiptKeyBytesMax: 128,
  /** Receipts that are remembered. The oldest are forgotten; 10,000 are some seconds at the highest rates and days at usual ones. */
  receiptsMax: 10_000,
  /** Transactions of one group: their ends are in the entry's head, which has to stay small beside its pages. */
  groupTransactionsMax: 1024,
  /** A snapshot stays for whoever joins by it after its connection broke, or has still to ask for what follows it. */
  snapshotLingerMs: 30_000,
  /** Pages of an imported database that are one transaction: written in some milliseconds, so that others are not held up. */
  importBytes: 1_048_576,
  /** A backup that failed is tried again after so long, or at its next time: a full or missing disk is not mended in seconds. */
  backupRetryMs: 300_000,
  /** Space that an import leaves to the log: what is written before a checkpoint, and what others write meanwhile. */
  importReserveBytes: 134_217_728,
  /** One page: what SQLite allows. */
  pageBytesMin: 512,
  pageBytesMax: 65_536,
  /** Entries that travel to a follower together: large enough that a message costs nothing beside its pages, small enough to apply in milliseconds. */
  batchBytes: 1_048_576,
  /** Entries of one message, so that small ones do not become a list of hundreds of thousands. */
  batchEntriesMax: 4096,
  /** A message between leader and follower: a batch may end with an entry of the largest size. */
  replicaMessageBytesMax: 8_388_608,
  /** A message that is no batch: identities, positions, a reason. */
  replicaTextBytesMax: 16_384,
  /** Histories that a log remembers it was restored from: a follower that was away for more restores than that is told to begin anew. */
  originsMax: 16,
  /** Nodes between a leader and a follower of a follower of it; more of them are a mistake. */
  upstreamMax: 16,
  /** Followers of one node: each is read for and written to on its own. */
  followersMax: 64,
  /** How often a follower hears of a leader that has nothing new, unless it asks for more. */
  replicaPingMs: 1000,
  replicaPingMsMin: 20,
  /** A side that says nothing for so long is gone: several pings, and any usual pause of a process or a network. */
  replicaSilenceMs: 10_000,
  /** Pauses between attempts to reach a leader: at once at first, and not too rarely for one that comes back. */
  reconnectMsMin: 100,
  reconnectMsMax: 5000,
} as const;
