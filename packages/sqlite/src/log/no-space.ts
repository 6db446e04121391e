import { BatonError } from '@batondb/core/errors';

/** True for a failed write of a file that found the disk, or the user's quota, full. */
export function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Why something could not be written, as a sentence, with the next step. It may be tried again. */
export function noSpace(message: string, cause: unknown): BatonError {
  return new BatonError('NO_SPACE', message, {
    retryable: true,
    hint: 'make space; writing goes on by itself then',
    cause,
  });
}
