// What those who look at a replication may take of it.

export const operationsLimits: {
  readonly connectionsMax: number;
  readonly arrivalMsMax: number;
  readonly stallMsMax: number;
  readonly answerBytesMax: number;
} = {
  /** A few pages, a monitoring system and a command: more is a fault of one of them. */
  connectionsMax: 256,
  /** A request is a line and some headers. */
  arrivalMsMax: 10_000,
  /** Whoever does not read an answer of some kilobytes in this time is gone. */
  stallMsMax: 30_000,
  /** A status has a line for every table: a hundred thousand of them. */
  answerBytesMax: 33_554_432,
};
