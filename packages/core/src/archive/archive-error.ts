import { BatonError } from '../errors.ts';
import { printable } from '../files/names.ts';

/** Longer paths are cut in messages. */
const shownBytesMax = 200;

/** A member's path for people, in quotes and not longer than a line. */
export function shownPath(path: Uint8Array): string {
  const cut = path.length > shownBytesMax ? `${printable(path.subarray(0, shownBytesMax))}…` : printable(path);
  return `'${cut}'`;
}

/** An archive that is damaged, or holds what is never unpacked. `path`: of the member; undefined where there is none yet. */
export function badArchive(path: Uint8Array | undefined, reason: string, hint?: string): BatonError {
  const message = path === undefined ? `the archive ${reason}` : `member ${shownPath(path)} ${reason}`;
  return new BatonError('BAD_ARCHIVE', message, {
    hint: hint ?? 'nothing of it was unpacked; find out where it comes from, or make it anew',
  });
}
