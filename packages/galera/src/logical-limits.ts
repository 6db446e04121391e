// Every bound of the method `logical`, each with its reason.

export const logicalLimits = {
  /** Each is held against changes of its definition by a lock of its own, and has a line in a list that both sides keep in memory. */
  tablesMax: 100_000,
  /** One row: what a server and its clients take at most. */
  packetBytesMax: 1_073_741_824,
  /** From the start of the temporary server to its first answer: it makes its files, or reads small ones. */
  startMsMax: 120_000,
  /** Its end: it writes all that it has in memory. */
  endMsMax: 600_000,
  /** One table's checksum. */
  checksumMsMax: 86_400_000,
  /** The list of checksums that a donor sends: a hundred thousand names of 128 characters. */
  checksumsBytesMax: 134_217_728,
} as const;
