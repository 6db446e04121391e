// Every bound on what a server sends to our client, each with its reason.

export const limits = {
  /** One message: a result of the server's `resultBytesMax` as JSON, where a control character becomes six. */
  messageBytesMax: 268_435_456,
  /** Columns of a result: SQLITE_MAX_COLUMN. */
  columnsMax: 32_767,
  /** Parameters of a statement: SQLITE_MAX_VARIABLE_NUMBER. */
  parametersMax: 32_766,
  /** Rows, steps and entries of one message: the message's own limit comes first, since each has at least some bytes. */
  membersMax: 33_554_432,
  /** Time in which a server has to answer a handshake and a hello. */
  helloMsMax: 15_000,
  /** A connection on which nothing came for so long is asked whether it is still there, and has as long to say so. */
  pingMs: 15_000,
  /** Entries of a cursor in one answer. */
  cursorEntriesMax: 4096,
} as const;
