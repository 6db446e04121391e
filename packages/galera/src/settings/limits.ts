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
} as const;
