// Every bound of this package, each with its reason.

export const limits = {
  /** A request that is not answered by then is given up: etcd itself gives up after some seven seconds without a quorum. */
  requestMs: 5_000,
  /** A connection that does not come about by then: the next endpoint is tried. */
  connectMs: 2_000,
  /** Defragmentation stops a member for some seconds a gigabyte. */
  defragmentMs: 120_000,
  /** A connection that is silent for so long is asked whether it is alive; etcd refuses who asks more often than every 5 s. */
  silenceMs: 10_000,
  /** Time for the answer. */
  pingMs: 5_000,
  /** Operations in one transaction that every etcd accepts (`--max-txn-ops`). */
  transactionOperationsMax: 128,
  /** Bytes of one request that every etcd accepts, its own overhead taken off (`--max-request-bytes`, 1.5 MiB). */
  requestBytesMax: 1_500_000,
  /** A user's password in a file. */
  passwordFileBytesMax: 4_096,
} as const;
