// What an operator may set, with all defaults. What a client can send is bounded in hrana/limits.ts.

export type ServerSettings = {
  /** A stream over HTTP that nobody has used for so long is closed, and what it had open is rolled back. */
  readonly streamIdleMsMax: number;
  /** An explicit transaction that is open for longer is rolled back: it keeps other writers waiting. */
  readonly transactionMsMax: number;
  /** A statement or batch that runs longer is interrupted and undone. */
  readonly callMsMax: number;
  /** Streams over HTTP that are open between two requests. */
  readonly streamsMax: number;
  /** Connections, of both kinds. */
  readonly connectionsMax: number;
  /** Rows of one answer. A cursor has no such limit. */
  readonly resultBytesMax: number;
  /** Time in which a stopping server lets requests and transactions come to their end. */
  readonly stopMsMax: number;
  /** Time in which a request has to arrive, and a WebSocket has to say hello. */
  readonly arrivalMsMax: number;
  /** Time in which a client has to take some of an answer. */
  readonly stallMsMax: number;
  /** A SQLite file that is sent to become a database. */
  readonly uploadBytesMax: number;
  /** A WebSocket is asked this often whether it is still there, and has as long to say so. */
  readonly pingMs: number;
  /** Names besides `localhost` and the loopback addresses that clients without a token may know this machine by. */
  readonly hosts: readonly string[];
  /** Origins of web pages that may use this server, such as `https://app.example`. */
  readonly origins: readonly string[];
};

/** Long enough for people and slow functions, short enough that an abandoned transaction is noticed as a pause and not as a fault. */
export const defaultSettings: ServerSettings = {
  streamIdleMsMax: 60_000,
  transactionMsMax: 30_000,
  callMsMax: 600_000,
  streamsMax: 1024,
  connectionsMax: 4096,
  resultBytesMax: 33_554_432,
  stopMsMax: 10_000,
  arrivalMsMax: 30_000,
  stallMsMax: 60_000,
  uploadBytesMax: 68_719_476_736,
  pingMs: 30_000,
  hosts: [],
  origins: [],
};
