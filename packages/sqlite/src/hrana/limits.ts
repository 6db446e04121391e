// Every bound on what a client sends, each with its reason. What an operator may want otherwise is a setting (server/settings.ts).

export const limits = {
  /** One message: a pipeline over HTTP, a frame over WebSocket. SQLite itself stops at 1 GB a value, which base64 would double here. */
  messageBytesMax: 33_554_432,
  /** Messages that are being received, all together: beyond it clients are told to come back. */
  receivingBytesMax: 268_435_456,
  /** Text of one statement: SQLITE_MAX_SQL_LENGTH is 1,000,000 by default; scripts for `sequence` are longer. */
  sqlCharactersMax: 16_777_216,
  /** SQLITE_MAX_VARIABLE_NUMBER. */
  valuesMax: 32_766,
  /** A parameter's name. SQLite has no limit of its own; nobody writes longer ones. */
  nameCharactersMax: 1024,
  /** Steps of a batch. A bulk insert has one a row; each becomes some 200 bytes of answer even when it is skipped. */
  stepsMax: 65_536,
  /** Requests of a pipeline, for the same reason. */
  requestsMax: 16_384,
  /** Conditions within conditions: stock clients nest three deep, and each level is a call deeper on our stack. */
  conditionDepthMax: 32,
  /** Conditions of one step, counted with those inside. */
  conditionsMax: 4096,
  /** SQL texts kept for one stream (HTTP) or connection (WebSocket). Stock clients keep up to 100 of up to 5,000 characters. */
  storedSqlMax: 1024,
  storedSqlCharactersMax: 8_388_608,
  /** A baton or a token as it is sent: ours are shorter. */
  credentialCharactersMax: 4096,
  /** A message before hello: nobody has said yet who they are, and hello is small. */
  helloBytesMax: 16_384,
  /** Streams of one WebSocket: each is a connection of SQLite. Stock clients open one for each thing that runs at the same time. */
  streamsPerSocketMax: 512,
  /** Requests of one WebSocket that wait for an answer: beyond it we stop reading until some are answered. */
  outstandingMax: 256,
  /** Answers that wait in a WebSocket for a client to read them: beyond it nothing more is begun for that client. */
  unreadBytesMax: 16_777_216,
  /** Entries in one answer of a cursor, and about how many bytes: enough that a round trip costs little beside them. */
  cursorEntriesMax: 4096,
  cursorBytes: 1_048_576,
  /** A part of a path that names a database or a transaction's key. */
  databaseCharactersMax: 100,
  transactionKeyCharactersMax: 128,
  /** A level: one word. */
  levelCharactersMax: 20,
  /** A position as a header. */
  positionCharactersMax: 128,
} as const;
