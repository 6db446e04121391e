import type { ErrorCode } from '@batondb/core/errors';

// What the process tells the one that started it. When several things went wrong the largest code wins, so the order of the
// numbers is the order of gravity. docs/exit-codes.md says the same at length.

/** Exit codes by cause. */
export const exitCodes = {
  ok: 0,
  usage: 2,
  sourceChanged: 20,
  different: 25,
  refused: 30,
  targetFailed: 40,
  sourceFailed: 45,
  connection: 50,
  verification: 60,
  bug: 70,
  /** 128 + SIGHUP, SIGINT, SIGPIPE, SIGTERM, as a shell reports them. */
  hangup: 129,
  interrupted: 130,
  pipeClosed: 141,
  terminated: 143,
} as const;

/** What each exit code means, for `baton help exit-codes`. */
export const exitCodeMeanings: readonly (readonly [number, string])[] = [
  [exitCodes.ok, 'every target is complete and verified, or compared and the same'],
  [exitCodes.usage, 'the command line or a configuration file is wrong; nothing was started'],
  [exitCodes.sourceChanged, 'copied or compared, but files changed, vanished or could not be read meanwhile'],
  [exitCodes.different, 'compared, and a target is not the same as the source (baton verify)'],
  [exitCodes.refused, 'refused before a byte moved: a host, path, port, version or free space does not fit'],
  [
    exitCodes.targetFailed,
    'a target could not be written: no space or inodes, no permission, read-only, the name appeared',
  ],
  [
    exitCodes.sourceFailed,
    'a command or a backup failed: that of --exec, a backup tool, the login at the database, replication',
  ],
  [exitCodes.connection, 'a host or connection was lost, or stalled; the same command continues'],
  [
    exitCodes.verification,
    'a digest, a peer, the protocol or an archive was not what it has to be; nothing of it was kept',
  ],
  [exitCodes.bug, 'an error in baton itself; please report it'],
  [exitCodes.hangup, 'the terminal was lost (SIGHUP); the same command continues'],
  [exitCodes.interrupted, 'interrupted (Ctrl-C, SIGINT); the same command continues'],
  [exitCodes.pipeClosed, 'nobody reads the output any more; the same command continues'],
  [exitCodes.terminated, 'terminated (SIGTERM); the same command continues'],
];

/** The exit code of a failure after the plan was made. Total, so that a new error code cannot be forgotten. */
const exitCodeOfError: Readonly<Record<ErrorCode, number>> = {
  USAGE: exitCodes.usage,
  BAD_ENDPOINT: exitCodes.usage,
  SOURCE_CHANGED: exitCodes.sourceChanged,
  HISTORY_LOST: exitCodes.connection,
  UNKNOWN_HOST_KEY: exitCodes.refused,
  AGENT_MISSING: exitCodes.refused,
  VERSION_MISMATCH: exitCodes.refused,
  NOT_FOUND: exitCodes.targetFailed,
  NOT_A_DIRECTORY: exitCodes.targetFailed,
  EXISTS: exitCodes.targetFailed,
  NO_PERMISSION: exitCodes.targetFailed,
  READ_ONLY: exitCodes.targetFailed,
  NO_SPACE: exitCodes.targetFailed,
  NO_INODES: exitCodes.targetFailed,
  BUSY: exitCodes.targetFailed,
  UNSUPPORTED: exitCodes.targetFailed,
  IN_USE: exitCodes.targetFailed,
  STAGING_DAMAGED: exitCodes.targetFailed,
  SYSTEM: exitCodes.targetFailed,
  UNREACHABLE: exitCodes.connection,
  PORT_TAKEN: exitCodes.connection,
  HOP_UNREACHABLE: exitCodes.connection,
  CONNECTION_LOST: exitCodes.connection,
  STALLED: exitCodes.connection,
  CHILD_FAILED: exitCodes.sourceFailed,
  BACKUP_FAILED: exitCodes.sourceFailed,
  ACCESS_DENIED: exitCodes.sourceFailed,
  REPLICATION_FAILED: exitCodes.sourceFailed,
  STATEMENT_FAILED: exitCodes.sourceFailed,
  TIMED_OUT: exitCodes.sourceFailed,
  REFUSED: exitCodes.connection,
  UNAVAILABLE: exitCodes.connection,
  OUTCOME_UNKNOWN: exitCodes.connection,
  DIVERGED: exitCodes.verification,
  CHANGED: exitCodes.verification,
  LOG_DAMAGED: exitCodes.verification,
  BAD_ARCHIVE: exitCodes.verification,
  PROTOCOL: exitCodes.verification,
  LIMIT: exitCodes.verification,
  NOT_TRUSTED: exitCodes.verification,
  DIGEST_MISMATCH: exitCodes.verification,
  INTERRUPTED: exitCodes.interrupted,
  BUG: exitCodes.bug,
};

/**
 * The exit code of one failure. Before the plan (`hasMoved` false) nothing has been written, so whatever a host or path is
 * at fault is `refused`; only usage, interruption and bugs stay themselves.
 */
export function exitCodeOf(code: ErrorCode, hasMoved: boolean): number {
  const exitCode = exitCodeOfError[code];
  const isRefusal = !hasMoved && exitCode > exitCodes.usage && exitCode < exitCodes.bug;
  return isRefusal ? exitCodes.refused : exitCode;
}

/** Whether the same command, given again, continues where a failure stopped it (after what the error's hint asks for). */
export function canRerun(code: ErrorCode): boolean {
  const exitCode = exitCodeOfError[code];
  // The same archive would be refused again.
  if (code === 'BAD_ARCHIVE') return false;
  return [
    exitCodes.targetFailed,
    exitCodes.sourceFailed,
    exitCodes.connection,
    exitCodes.verification,
    exitCodes.interrupted,
  ].some((one) => one === exitCode);
}
