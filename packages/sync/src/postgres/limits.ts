// Bounds of what a PostgreSQL server may send, each with its reason.

export const postgresLimits = {
  /** A table cannot have more columns (MaxHeapAttributeNumber). */
  columnsMax: 1600,
  /** A row, or a value, as text. One string of V8 holds 512 MiB, and what is escaped in JSON may be twice as long. */
  rowBytesMax: 268_435_456,
  /** A message of a server: it cannot make a larger one. */
  messageBytesMax: 1_073_741_824,
  /** Tables of one TRUNCATE: far more than anybody has in one statement, and no more memory than a message's own bytes. */
  truncatedMax: 1_000_000,
  /** An array has at most as many (MAXDIM). */
  dimensionsMax: 6,
  /** Types within types: far more than anybody has, and far less than our stack holds. */
  nestingMax: 100,
  /** Text before it is decoded value by value: below it one string is made of a whole message, and the values are cut from it. */
  messageAsOneTextBytesMax: 4096,
} as const;
