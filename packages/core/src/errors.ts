// Every failure a person can meet, in one place: this registry is the documentation of the codes.

/** What each code means. A code is stable: scripts match on it. */
export const errorCodes = {
  // The command or its input
  USAGE: 'the command line or a configuration file asks for something that does not exist or cannot be combined',
  BAD_ENDPOINT: 'a source or target is not of the form [user@]host:path or a local path',
  // Before a byte moves
  UNREACHABLE: 'a host did not answer, or refused the login',
  UNKNOWN_HOST_KEY: 'the host key of a host is not known, or is not the one that is known',
  AGENT_MISSING: 'no baton was found on a host',
  VERSION_MISMATCH: 'two sides have no protocol version in common',
  NOT_FOUND: 'a path does not exist',
  NOT_A_DIRECTORY: 'a path is not a directory',
  EXISTS: 'the final path exists already, and nothing existing is ever overwritten',
  NO_PERMISSION: 'the operating system refused access',
  READ_ONLY: 'the file system is mounted read-only',
  NO_SPACE: 'too little space is left on a file system',
  NO_INODES: 'too few inodes are left on a file system',
  PORT_TAKEN: 'no port of the asked range is free',
  HOP_UNREACHABLE: 'one host of a hop cannot reach the other on its data port',
  BUSY: 'another copy is at work on the same staging directory',
  UNSUPPORTED: 'this machine or file system lacks something the copy needs',
  ACCESS_DENIED: 'a database server refused a user, a password, or something that a user may not do',
  IN_USE: 'a running program uses a directory that is to be filled or replaced',
  // On the way
  BAD_ARCHIVE: 'an archive is damaged, or holds what is never unpacked',
  PROTOCOL: 'bytes arrived that the protocol does not allow',
  LIMIT: 'something from outside is larger than the limit for it',
  NOT_TRUSTED: 'a peer is not who the coordinator named, or belongs to another job',
  DIGEST_MISMATCH: 'bytes are not what their digest says',
  CONNECTION_LOST: 'a connection broke or a host stopped answering',
  STALLED: 'a host answers but its copy does not advance',
  // The source
  HISTORY_LOST: 'the source no longer has what a target needs: a stream can be read once',
  SOURCE_CHANGED: 'source files changed, shrank or vanished while they were copied',
  BACKUP_FAILED: 'a backup was not taken, unpacked or prepared to its end',
  REPLICATION_FAILED: 'replication could not be stopped, or could not be started again',
  // Databases that Baton keeps itself
  STATEMENT_FAILED: 'a database engine refused a statement',
  TIMED_OUT: 'a statement, a transaction or a read took longer than it may',
  REFUSED: 'a transaction was not accepted, since this node does not lead its log any more',
  OUTCOME_UNKNOWN: 'nobody can say yet whether a transaction was accepted',
  UNAVAILABLE: 'a node cannot answer now, and the same request may succeed later or elsewhere',
  DIVERGED: 'two states do not follow from one another',
  CHANGED: 'a file was changed by another program since it was closed',
  LOG_DAMAGED: 'a log has lost what was acknowledged, or its records make no sense',
  // The rest
  STAGING_DAMAGED: 'what an earlier copy left cannot be read',
  CHILD_FAILED: 'a program that was started ended with an error',
  INTERRUPTED: 'a person or a signal ended the copy',
  SYSTEM: 'the operating system reported an error that has no code of its own',
  BUG: 'an assumption of the program itself did not hold',
} as const;

/** One of the registered codes. */
export type ErrorCode = keyof typeof errorCodes;

/** How a {@link BatonError} is made: what happened, whether trying again can help, and the next step. */
export type BatonErrorOptions = {
  /** True when the same attempt may succeed later without anybody's help. Default: false. */
  readonly retryable?: boolean;
  /** The next step for a person, as a sentence without a capital and without a full stop. */
  readonly hint?: string;
  /** The host it happened on, as the user named it. */
  readonly host?: string;
  readonly cause?: unknown;
};

/** A failure of the world (never of the program): it names the thing, both values and the next step. */
export class BatonError extends Error {
  override readonly name = 'BatonError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly hint: string | undefined;
  readonly host: string | undefined;

  constructor(code: ErrorCode, message: string, options: BatonErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.hint = options.hint;
    this.host = options.host;
  }
}

/** The form in which an error crosses a process boundary. */
export type ErrorRecord = {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
  readonly hint?: string;
  readonly host?: string;
};

/** Any thrown thing as a record; what is no BatonError is SYSTEM (it has an errno) or BUG. */
export function toErrorRecord(error: unknown): ErrorRecord {
  if (error instanceof BatonError) {
    return {
      code: error.code,
      message: error.message,
      retryable: error.retryable,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.host === undefined ? {} : { host: error.host }),
    };
  }
  const isSystem = error instanceof Error && 'errno' in error;
  return {
    code: isSystem ? 'SYSTEM' : 'BUG',
    message: error instanceof Error ? error.message : String(error),
    retryable: false,
  };
}

/** The error a record stands for. An unknown code (a newer peer's) becomes SYSTEM. */
export function fromErrorRecord(record: ErrorRecord): BatonError {
  const code = Object.hasOwn(errorCodes, record.code) ? record.code : 'SYSTEM';
  return new BatonError(code, record.message, {
    retryable: record.retryable,
    ...(record.hint === undefined ? {} : { hint: record.hint }),
    ...(record.host === undefined ? {} : { host: record.host }),
  });
}

/** Stops the program when one of its own invariants does not hold. `message` starts with the invariant's number. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}
