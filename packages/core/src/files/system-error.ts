import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import { BatonError, type ErrorCode } from '../errors.ts';

// Failed system calls, and what they mean to a person.

const namesByNumber = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) {
  // Two numbers have two names on Linux; the ones that manual pages use win.
  if (name === 'EWOULDBLOCK' || name === 'ENOTSUP') continue;
  namesByNumber.set(number, name);
}

/** The name of an error number (2 or -2), such as ENOENT. Numbers without a name become `errno 117`. */
export function errnoName(errno: number): string {
  return namesByNumber.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`;
}

function describe(errno: number): string {
  try {
    return getSystemErrorMessage(-errno) ?? errnoName(errno);
  } catch {
    return errnoName(errno);
  }
}

/** A system call that failed. `errno` is positive; `path` is for people. */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  readonly errno: number;
  /** The errno's name, such as ENOENT. */
  readonly code: string;
  readonly syscall: string;
  readonly path: string;

  constructor(errno: number, syscall: string, path: string) {
    super(`${path}: ${describe(Math.abs(errno))} (${syscall}: ${errnoName(errno)})`);
    this.errno = Math.abs(errno);
    this.code = errnoName(errno);
    this.syscall = syscall;
    this.path = path;
  }
}

/**
 * Passes a result of libc.ts on, or throws it as a SystemError when it is a negative errno.
 * `path` is only called for a failure: turning bytes into text costs more than the system call.
 */
export function check(result: number, syscall: string, path: () => string): number {
  if (result < 0) throw new SystemError(-result, syscall, path());
  return result;
}

const meanings: Readonly<Record<string, { code: ErrorCode; message: string; hint?: string; retryable?: boolean }>> = {
  ENOENT: {
    code: 'NOT_FOUND',
    message: 'does not exist',
    hint: 'check the path, and that nothing removed it meanwhile',
  },
  EACCES: {
    code: 'NO_PERMISSION',
    message: 'permission denied',
    hint: 'run as a user who may access it, such as root',
  },
  EPERM: {
    code: 'NO_PERMISSION',
    message: 'operation not permitted',
    hint: 'run as its owner or as root, and look for chattr +i',
  },
  EROFS: {
    code: 'READ_ONLY',
    message: 'is on a read-only file system',
    hint: 'mount it read-write, or choose another directory',
  },
  ENOSPC: {
    code: 'NO_SPACE',
    message: 'no space or no inodes left on the file system',
    hint: 'make space and run the same command again: it continues',
  },
  EDQUOT: {
    code: 'NO_SPACE',
    message: 'the disk quota is used up',
    hint: 'raise the quota or make space, and run the same command again: it continues',
  },
  EEXIST: { code: 'EXISTS', message: 'exists already', hint: 'move it away or choose another name' },
  ENOTDIR: { code: 'NOT_A_DIRECTORY', message: 'is not a directory, or a part of its path is not' },
  EMFILE: {
    code: 'SYSTEM',
    message: 'too many open files in this process',
    hint: 'raise the limit with ulimit -n',
    retryable: true,
  },
  ENFILE: {
    code: 'SYSTEM',
    message: 'too many open files on this machine',
    hint: 'raise fs.file-max',
    retryable: true,
  },
  EIO: { code: 'SYSTEM', message: 'input/output error', hint: 'the disk may be failing: look at dmesg' },
  EFBIG: {
    code: 'SYSTEM',
    message: 'too large for this file system',
    hint: 'choose a file system that holds larger files, or raise ulimit -f',
  },
  ENAMETOOLONG: { code: 'SYSTEM', message: 'the name is too long for this file system' },
  ESTALE: { code: 'SYSTEM', message: 'the network file system has lost it', retryable: true },
};

/**
 * Any thrown thing as a BatonError: a SystemError, or an error of Node with a `code`, by its errno's meaning; what has no errno
 * is BUG. A BatonError is passed through. `path` overrides the error's own path, `host` names the machine.
 */
export function toBatonError(
  error: unknown,
  where: { readonly path?: string; readonly host?: string } = {},
): BatonError {
  if (error instanceof BatonError) return error;
  const host = where.host === undefined ? {} : { host: where.host };
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') {
    return new BatonError('BUG', error instanceof Error ? error.message : String(error), { ...host, cause: error });
  }
  const ownPath = 'path' in error && typeof error.path === 'string' ? error.path : undefined;
  const path = where.path ?? ownPath;
  const meaning = meanings[error.code];
  if (meaning === undefined)
    return new BatonError(
      'SYSTEM',
      path === undefined || path === ownPath ? error.message : `${path}: ${error.message}`,
      { ...host, cause: error },
    );
  const syscall = 'syscall' in error && typeof error.syscall === 'string' ? `${error.syscall}: ` : '';
  return new BatonError(
    meaning.code,
    `${path === undefined ? '' : `${path}: `}${meaning.message} (${syscall}${error.code})`,
    {
      ...host,
      ...(meaning.hint === undefined ? {} : { hint: meaning.hint }),
      retryable: meaning.retryable ?? false,
      cause: error,
    },
  );
}
