import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { check, errnos, flags, flock } from '@batondb/core/files/libc';
import { makeDirectories } from '@batondb/core/files/make-directories';
import { toBatonError } from '@batondb/core/files/system-error';
import { announcedAt } from './announcement.ts';

/**
 * Takes a node's directory, which is made when it is missing. Throws IN_USE when another node has it, and what keeps it from being made. The
 * kernel gives the lock back when the process ends, however it ends.
 */
export function lockNodeDirectory(directory: string): Disposable {
  const fd = openLock(directory);
  const result = flock(fd, flags.LOCK_EX_NB);
  if (result < 0) {
    closeSync(fd);
    if (result === -errnos.EAGAIN) {
      const url = announcedAt(directory);
      throw new BatonError(
        'IN_USE',
        `${directory} is in use by another node${url === undefined ? '' : `: a server at ${url}`}`,
        {
          retryable: true,
          hint: `stop it first, ${url === undefined ? '' : `connect to ${url}, `}or choose another directory`,
        },
      );
    }
    check(result, 'flock', () => directory);
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}

function openLock(directory: string): number {
  const own = join(directory, '.baton');
  try {
    makeDirectories(own, 0o700);
    return openSync(join(own, 'lock'), 'a', 0o600);
  } catch (error) {
    throw toBatonError(error, { path: own });
  }
}
