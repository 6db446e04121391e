// Every bound of a comparison, each with its reason.

export const verifyLimits = {
  /** Sums of digests of a table: at a hundred million rows one that differs leads to some thousand that are read again. A mebibyte. */
  buckets: 65_536,
  /** How often a sink is looked at until it has come to the source's state. */
  lookMs: 250,
  /** A sink that has not moved for so long is not fed: the source tells of its place several times in it, even when nobody writes. */
  stallMs: 30_000,
  /** Of one value in a report, in characters. */
  valueCharacters: 1_000,
} as const;
