// Every bound of the settings, each with its reason.

export const limits = {
  /** Time to read the option files: they are small and local, or on a mount that hangs. */
  optionFilesMsMax: 30_000,
  /** Data connections of one transfer; more than this only fights for the same disks. */
  streamsMax: 32,
  /** Threads of the backup tool. */
  backupThreadsMax: 64,
  /** A day: whoever waits longer has forgotten a node. */
  waitSecondsMax: 86_400,
  /** A file of certificates. The store of a machine has some 220 KB. */
  certificateBytesMax: 1_048_576,
  /** Certificates in one place. The store of a machine has some 150. */
  authoritiesMax: 1000,
  /**
   * An authority of more certificates is no cluster's own: stores of machines hold every public one, of which anybody gets a certificate. A cluster has one, its intermediates,
   * and those that came before.
   */
  ownAuthoritiesMax: 16,
} as const;
