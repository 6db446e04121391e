import { BatonError } from '../errors.ts';
import { check, errnos, flags, flock } from './libc.ts';

/**
 * Takes the lock of an open directory (not an O_PATH one), or throws BatonError BUSY when somebody else has it. The kernel frees
 * it when the descriptor is closed or the process dies; disposing frees it before.
 */
export function lockDirectory(dirfd: number): Disposable {
  const result = flock(dirfd, flags.LOCK_EX_NB);
  if (result === -errnos.EAGAIN) {
    throw new BatonError('BUSY', 'another copy is at work on the same staging directory', {
      retryable: true,
      hint: 'wait for it to end, or stop it',
    });
  }
  check(result, 'flock', () => 'the staging directory');
  return { [Symbol.dispose]: () => void flock(dirfd, flags.LOCK_UN) };
}
