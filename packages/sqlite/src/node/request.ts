import type { BatchEvent, Step, StepOutcome } from '../databases.ts';
import type { SqlResult } from '../engine/connection.ts';
import type { Description } from '../engine/statement.ts';
import type { NumberMode, SqlArguments } from '../engine/values.ts';
import type { Position } from '../machine/position.ts';
import type { BackupStatus } from '../snapshot/backup-schedule.ts';
import type { Pinned } from '../snapshot/pinned-state.ts';
import type { Restored } from '../snapshot/restore.ts';

// What can be asked of a node's threads. All of it can be cloned from thread to thread.

/** A statement and its parameters. */
export type SqlStatement = { readonly sql: string; readonly args?: SqlArguments };

/** Statements to run on one database. */
export type RunRequest = {
  readonly database: string;
  readonly statements: readonly SqlStatement[];
  /** All of them or none: in a transaction of their own. Not in a session that is in one. */
  readonly isAtomic: boolean;
  /** Number of a session; undefined: nobody's, each statement by itself. */
  readonly session?: number;
  /** Idempotency key of the transaction that the statements end. */
  readonly key?: string;
  readonly timeoutMs: number;
  readonly rowsMax: number;
  readonly numbers: NumberMode;
};

/** What statements gave, and a position at which all of it is so. */
export type RunReply = {
  readonly results: readonly SqlResult[];
  readonly position: Position;
  /** The key's transaction was committed before, at the position; nothing was run. */
  readonly isRepeated: boolean;
  /** Of a session: no transaction is open afterwards. */
  readonly isAutocommit: boolean;
};

/** Who asks, and how the call is interrupted: when the number in shared memory is not below that of the call. */
export type Turn = {
  readonly call: number;
  readonly interrupted: Int32Array;
  readonly timeoutMs: number;
};

/** A call of a session that speaks SQL only. */
export type SessionTurn = Turn & {
  readonly session: number;
  /** Idempotency key of the transaction that the call commits. */
  readonly key?: string;
};

/** What became of a step, as it can be cloned: errors are packed. */
export type PackedOutcome =
  | Exclude<StepOutcome, { readonly type: 'failed' }>
  | { readonly type: 'failed'; readonly error: unknown };
export type PackedEvent =
  | Exclude<BatchEvent, { readonly type: 'failed' }>
  | { readonly type: 'failed'; readonly step: number; readonly error: unknown };

/** What a session's call came to. A call that is rejected instead leaves no transaction open. */
export type Visit<T> = {
  readonly value: { readonly done: T } | { readonly error: unknown };
  /** Where it is accepted, if the call wrote. */
  readonly position?: Position;
  readonly isAutocommit: boolean;
};

/** What is known of an idempotency key. `absent`: it was never committed, or so long ago that it is forgotten. */
export type ReceiptState =
  | { readonly state: 'committed'; readonly position: Position }
  | { readonly state: 'absent' }
  | { readonly state: 'pending' };

/** A database as the threads know it. */
export type DatabaseInfo = { readonly name: string; readonly id: number; readonly pageBytes: number };

/** How much there is of a database, published. */
export type DatabaseStatus = DatabaseInfo & {
  readonly pageCount: number;
  readonly sequence: number;
  readonly checksum: string;
};

export type NodeStatus = {
  /** Names the log: nodes with another one have another history. */
  readonly logId: string;
  /** Names of the logs that this one was restored from, the newest first. */
  readonly origins: readonly string[];
  /** `standby`: another node leads the same log, and this one waits. */
  readonly role: 'leader' | 'standby' | 'follower';
  /** Until this entry is applied, what is here is no state at all: a crash cut a checkpoint short. */
  readonly soundFrom: number;
  /** The URL of the node that is followed. */
  readonly follows?: string;
  readonly position: Position;
  /** Through which entry the databases' own files hold everything. */
  readonly checkpoint: Position;
  readonly logBytes: number;
  readonly databases: readonly DatabaseStatus[];
  readonly sessions: number;
  /** Why nothing can be written any more, and what to do. */
  readonly failure?: string;
  /** Where they are configured. */
  readonly backups?: BackupStatus;
  /** Where this directory's state came from, if it was restored at this start. */
  readonly restored?: Restored;
};

/** Steps whose rows have a limit together. */
export type StepsRequest = { readonly steps: readonly Step[]; readonly resultBytesMax: number };

/** Pages that follow those that a hidden database has. */
export type ImportPages = {
  readonly database: number;
  readonly first: number;
  readonly content: Uint8Array<ArrayBuffer>;
};

/** Which name a hidden database is to have, and what it should be. */
export type ImportEnd = {
  readonly database: number;
  readonly name: string;
  readonly replaces: boolean;
  readonly checksum: bigint;
};

/** The requests of a writer's thread, by name, with what they take and give. */
export type WriterCalls = {
  readonly run: (request: RunRequest) => RunReply;
  readonly describe: (request: { readonly database: string; readonly sql: string }) => Description;
  readonly openDatabase: (request: { readonly name: string; readonly pageBytes: number }) => DatabaseInfo;
  readonly dropDatabase: (request: { readonly name: string }) => Position;
  readonly openSession: (request: { readonly database: string; readonly isReadOnly: boolean }) => number;
  readonly steps: (request: SessionTurn & StepsRequest) => Visit<readonly PackedOutcome[]>;
  readonly script: (request: SessionTurn & { readonly sql: string }) => Visit<null>;
  readonly describeIn: (request: SessionTurn & { readonly sql: string }) => Visit<Description>;
  readonly beginCursor: (request: SessionTurn & { readonly steps: readonly Step[] }) => Visit<null>;
  /** The next events; undefined at the end. */
  readonly pull: (request: SessionTurn) => Visit<readonly PackedEvent[] | null>;
  readonly endCursor: (request: SessionTurn) => Visit<null>;
  /** Those who wait look whether they were interrupted. */
  readonly wake: (request: null) => null;
  readonly closeSession: (request: { readonly session: number }) => null;
  readonly receipt: (request: { readonly key: string }) => ReceiptState;
  /** Applies a message with entries of the leader's log, whose memory is handed over. */
  readonly follow: (request: Uint8Array) => Position;
  readonly beginFollowing: (request: { readonly logId: string; readonly follows: string }) => null;
  /** A verified backup holds everything through a position. */
  readonly backedUp: (request: Position) => null;
  readonly checkpoint: (request: null) => Position;
  readonly status: (request: null) => NodeStatus;
  /** Opens a hidden database. Returns its number. */
  readonly beginImport: (request: {
    readonly name: string;
    readonly replaces: boolean;
    readonly pageBytes: number;
  }) => number;
  readonly importPages: (request: ImportPages) => Position;
  readonly endImport: (request: ImportEnd) => Position;
  readonly dropImport: (request: { readonly database: number }) => null;
  /** Holds the newest state in which no transaction is half there. */
  readonly pinState: (request: null) => Pinned;
  readonly close: (request: null) => null;
};

/** The requests of a reader's thread. */
export type ReaderCalls = {
  readonly query: (request: RunRequest & { readonly info: DatabaseInfo }) => RunReply | 'writes';
  /** One statement outside of a transaction. */
  readonly read: (
    request: Turn & StepsRequest & { readonly info: DatabaseInfo },
  ) => readonly PackedOutcome[] | 'writes';
  readonly close: (request: null) => null;
};
