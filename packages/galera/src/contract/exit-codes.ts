// Exit codes. A server takes a script's code for an errno: the donor's is broadcast, and the joiner's log shows its strerror. So each is the
// errno whose words are true of the cause. From 126 on shells mean something else, and servers take 126 and 127 for their own.
import type { BatonError, ErrorCode } from '@batondb/core/errors';

/** Linux numbers, all below 126; the words are those of strerror(3). */
const errno = {
  /** No such file or directory */
  ENOENT: 2,
  /** Permission denied */
  EACCES: 13,
  /** Device or resource busy */
  EBUSY: 16,
  /** File exists */
  EEXIST: 17,
  /** Not a directory */
  ENOTDIR: 20,
  /** Invalid argument */
  EINVAL: 22,
  /** No space left on device */
  ENOSPC: 28,
  /** Read-only file system */
  EROFS: 30,
  /** Broken pipe */
  EPIPE: 32,
  /** Protocol error */
  EPROTO: 71,
  /** Bad message */
  EBADMSG: 74,
  /** Message too long */
  EMSGSIZE: 90,
  /** Protocol not supported */
  EPROTONOSUPPORT: 93,
  /** Operation not supported */
  EOPNOTSUPP: 95,
  /** Address already in use */
  EADDRINUSE: 98,
  /** Connection reset by peer */
  ECONNRESET: 104,
  /** Connection timed out */
  ETIMEDOUT: 110,
  /** Connection refused */
  ECONNREFUSED: 111,
  /** No route to host */
  EHOSTUNREACH: 113,
  /** Stale file handle */
  ESTALE: 116,
  /** Remote I/O error: the one thing that is true when a node reads that another one's program failed. */
  EREMOTEIO: 121,
  /** Operation canceled */
  ECANCELED: 125,
} as const;

const errnoMax = 125;

const byCode: Readonly<Record<ErrorCode, keyof typeof errno>> = {
  USAGE: 'EINVAL',
  BAD_ENDPOINT: 'EINVAL',
  UNREACHABLE: 'ECONNREFUSED',
  UNKNOWN_HOST_KEY: 'EACCES',
  AGENT_MISSING: 'ENOENT',
  VERSION_MISMATCH: 'EPROTONOSUPPORT',
  NOT_FOUND: 'ENOENT',
  NOT_A_DIRECTORY: 'ENOTDIR',
  EXISTS: 'EEXIST',
  NO_PERMISSION: 'EACCES',
  READ_ONLY: 'EROFS',
  NO_SPACE: 'ENOSPC',
  NO_INODES: 'ENOSPC',
  PORT_TAKEN: 'EADDRINUSE',
  HOP_UNREACHABLE: 'EHOSTUNREACH',
  BUSY: 'EBUSY',
  UNSUPPORTED: 'EOPNOTSUPP',
  ACCESS_DENIED: 'EACCES',
  IN_USE: 'EBUSY',
  BAD_ARCHIVE: 'EBADMSG',
  PROTOCOL: 'EPROTO',
  LIMIT: 'EMSGSIZE',
  NOT_TRUSTED: 'EACCES',
  DIGEST_MISMATCH: 'EBADMSG',
  CONNECTION_LOST: 'ECONNRESET',
  STALLED: 'ETIMEDOUT',
  HISTORY_LOST: 'EPIPE',
  SOURCE_CHANGED: 'ESTALE',
  BACKUP_FAILED: 'EREMOTEIO',
  REPLICATION_FAILED: 'EREMOTEIO',
  STATEMENT_FAILED: 'EREMOTEIO',
  TIMED_OUT: 'ETIMEDOUT',
  REFUSED: 'ECONNREFUSED',
  OUTCOME_UNKNOWN: 'EREMOTEIO',
  UNAVAILABLE: 'EBUSY',
  DIVERGED: 'ESTALE',
  CHANGED: 'ESTALE',
  LOG_DAMAGED: 'EBADMSG',
  STAGING_DAMAGED: 'EBADMSG',
  CHILD_FAILED: 'EREMOTEIO',
  INTERRUPTED: 'ECANCELED',
  SYSTEM: 'EREMOTEIO',
  BUG: 'EREMOTEIO',
};

/** The exit code of a failure, never 0: the errno that the operating system gave, if it did, else the one of the error's code. */
export function errnoOf(error: BatonError): number {
  return error.code === 'SYSTEM' ? (systemErrno(error.cause) ?? errno.EREMOTEIO) : errno[byCode[error.code]];
}

/** Node has them with a minus, as the kernel returns them. */
function systemErrno(cause: unknown): number | undefined {
  if (!(cause instanceof Error) || !('errno' in cause) || typeof cause.errno !== 'number') return undefined;
  const number = Math.abs(cause.errno);
  return number > 0 && number <= errnoMax ? number : undefined;
}
