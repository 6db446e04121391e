// Bounds of what this room reads, each with its reason.

export const limits = {
  /** `grastate.dat` has five lines; a node that was tampered with gets no larger one read. */
  grastateBytesMax: 65_536,
  /** A journal has some hundred bytes an entry at the top: this is room for a hundred thousand databases. */
  journalBytesMax: 67_108_864,
  /** What `--wsrep-recover` says on stderr until it has said its position: some hundred lines, more after a crash. */
  recoverOutputBytesMax: 4_194_304,
  /** Names that a message lists before it says how many more there are. */
  namesQuotedMax: 5,
} as const;
