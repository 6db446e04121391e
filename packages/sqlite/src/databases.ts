import type { Duplex } from 'node:stream';
import type { SqlError } from './engine/sql-error.ts';
import type { Column, Description } from './engine/statement.ts';
import type { NamedValue, SqlValue } from './engine/values.ts';

// What clients can ask of databases, whoever serves them: the server in server/ asks, the node answers. Of values, a `bigint` is an INTEGER,
// a `number` is a REAL, bytes are a BLOB.

/** One statement with its values. A name wins over a position; a value without a parameter, and a parameter without, is an error. */
export type Statement = {
  readonly sql: string;
  /** For ?1, ?2 and so on. */
  readonly values: readonly SqlValue[];
  readonly namedValues: readonly NamedValue[];
  /** False: rows are stepped over, and none is kept. */
  readonly wantRows: boolean;
};

/** A condition on the steps of a batch before this one, by their numbers from 0 on. `holds` in hrana/conditions.ts judges it. */
export type Condition =
  | { readonly type: 'ok' | 'error'; readonly step: number }
  | { readonly type: 'not'; readonly condition: Condition }
  | { readonly type: 'and' | 'or'; readonly conditions: readonly Condition[] }
  | { readonly type: 'is_autocommit' };

/** One step of a batch. It runs if its condition holds by then; without one it runs in any case. */
export type Step = { readonly statement: Statement; readonly condition: Condition | undefined };

export type Row = readonly SqlValue[];

/** What a statement did: counts as sqlite3_changes64() and sqlite3_last_insert_rowid() tell them after it. */
export type Effect = { readonly affectedRows: bigint; readonly lastInsertRowid: bigint };

/** What a statement gave. */
export type StatementResult = { readonly columns: readonly Column[]; readonly rows: readonly Row[] } & Effect;

/** What became of a step. */
export type StepOutcome =
  | { readonly type: 'done'; readonly result: StatementResult }
  | { readonly type: 'failed'; readonly error: SqlError }
  | { readonly type: 'skipped' };

/** What comes out of a batch, piece by piece: of each step that runs its begin, its rows, and its end or error. */
export type BatchEvent =
  | { readonly type: 'begin'; readonly step: number; readonly columns: readonly Column[] }
  | { readonly type: 'rows'; readonly rows: readonly Row[] }
  | ({ readonly type: 'end' } & Effect)
  | { readonly type: 'failed'; readonly step: number; readonly error: SqlError };

/** What a client may say beside its statements. */
export type CallOptions = {
  /** Names the transaction that commits in this call, for `Databases.receipt`. One call commits at most one under it; a key that one has is refused with USAGE. */
  readonly transactionKey?: string;
  /** The call waits until the database is at this position or after it. */
  readonly atLeast?: string;
  /** Where it is done. `leader`: by the node that leads, whose state is the newest. Default: a replica does what it can. */
  readonly level?: 'leader';
};

/**
 * One connection to one database; calls come one at a time. What SQLite answers to a statement is thrown as a SqlError, what
 * went wrong around it as a BatonError. No reply reveals what the log may still refuse.
 *
 * An aborted signal interrupts what runs and undoes the statement; what the log has been asked to accept is not taken back.
 */
export interface Session {
  /** Whether no explicit transaction is open, as of the last reply. */
  readonly isAutocommit: boolean;
  /** The position of the last write that this session was told is accepted, in a form that `atLeast` understands. */
  readonly position: string | undefined;
  execute(statement: Statement, options: CallOptions, signal: AbortSignal): Promise<StatementResult>;
  /** The outcomes, one for each step. A failed step ends nothing; conditions decide what follows. */
  batch(steps: readonly Step[], options: CallOptions, signal: AbortSignal): Promise<readonly StepOutcome[]>;
  /** A batch whose rows are pulled, some at a time. Leaving the loop early undoes the statement that is running and runs no more. */
  cursor(steps: readonly Step[], options: CallOptions, signal: AbortSignal): AsyncIterable<readonly BatchEvent[]>;
  /** Statements with semicolons between them, up to the first that fails. */
  sequence(sql: string, options: CallOptions, signal: AbortSignal): Promise<void>;
  describe(sql: string, signal: AbortSignal): Promise<Description>;
  /** Rolls back what is open and gives everything free, an open cursor too. May be called at any time, also during a call and again. */
  close(): Promise<void>;
}

/** How a session is opened. */
export type SessionOptions = {
  readonly database: string;
  /** Every statement that would write is refused with SQLITE_READONLY. */
  readonly isReadOnly: boolean;
  /** Rows of one execute or batch: a statement that gives more fails with SQLITE_TOOBIG and is undone. A cursor has no such limit. */
  readonly resultBytesMax: number;
};

/** What became of a transaction that was sent with a key. */
export type Receipt =
  | { readonly state: 'committed'; readonly position: string }
  | { readonly state: 'absent' }
  | { readonly state: 'pending' };

/** Whether requests can be answered now; if not, why. */
export type Readiness = { readonly isReady: true } | { readonly isReady: false; readonly reason: string };

/** Another node that a server has let in. The connection is the node's from then on. */
export type Peer = {
  readonly socket: Duplex;
  /** Where it connects from. */
  readonly address: string;
  /** Throws when it would not be let in any more. */
  readonly recheck: () => void;
};

/** What other nodes ask for. */
export interface Peers {
  /** Serves a follower with the log, until one of both ends it. */
  serveLog(peer: Peer): Promise<void>;
  /** Sends a snapshot of everything. */
  serveSnapshot(peer: Peer): Promise<void>;
}

/** A database as operators see it. */
export type DatabaseListing = { readonly name: string; readonly bytes: number };

/** A database as an ordinary SQLite file, at one position. It is held until it is disposed of. */
export type DatabaseFile = AsyncDisposable & {
  readonly bytes: number;
  readonly position: string;
  /** Of all bytes, hexadecimal. */
  readonly blake3: string;
  readonly content: () => AsyncIterable<Uint8Array>;
};

/** How a file becomes a database. `replaces`: whoever has the name is dropped, and its file kept. `called`: what errors call the file. */
export type ImportFile = { readonly replaces: boolean; readonly called: string };

/** A backup that was made: where it lies on the server, and of which position it is. */
export type FileBackup = { readonly path: string; readonly position: string };

/** What an operator can ask of databases. Positions are in a form that `atLeast` understands. */
export interface Operations {
  /** Where files that are to be imported may lie meanwhile. */
  readonly incoming: string;
  list(signal: AbortSignal): Promise<readonly DatabaseListing[]>;
  /** False: it was there. Throws USAGE for what is no name. */
  create(name: string): Promise<boolean>;
  /** Its file is kept. Throws NOT_FOUND. */
  drop(name: string): Promise<string>;
  /** Throws NOT_FOUND, LIMIT. */
  openFile(name: string, signal: AbortSignal): Promise<DatabaseFile>;
  /** Throws EXISTS, UNSUPPORTED, DIGEST_MISMATCH, CHANGED, USAGE. */
  importFile(path: string, name: string, options: ImportFile): Promise<string>;
  /** Makes a backup now. Throws USAGE where none are configured. */
  backup(signal: AbortSignal): Promise<FileBackup>;
}

/** All databases that a server serves. */
export interface Databases {
  /** Cheap: a client that executes one statement opens a session for it. Throws NOT_FOUND for a database that does not exist. */
  open(options: SessionOptions, signal: AbortSignal): Promise<Session>;
  receipt(transactionKey: string, signal: AbortSignal): Promise<Receipt>;
  /** Undefined: other nodes get nothing here. */
  readonly peers?: Peers;
  readiness(): Readiness;
  /** Undefined: there is nothing to operate. */
  readonly operations?: Operations;
  /** What `/status` shows: databases, positions, the log, replicas. Values of JSON. */
  status(signal: AbortSignal): Promise<Readonly<Record<string, unknown>>>;
}
