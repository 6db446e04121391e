import { check, errnos, fallocate, flags, pwrite } from './libc.ts';

// Writes content without allocating what is zero.

/** The block size of nearly every file system here: a smaller hole saves nothing. */
const blockBytes = 4096;
const zeros = Buffer.alloc(blockBytes);

function isZero(content: Uint8Array, start: number, end: number): boolean {
  return zeros.compare(content, start, end, 0, end - start) === 0;
}

// First index from `firstEnd` on where blocks stop being zero, or data.
function endOfRun(content: Uint8Array, firstEnd: number, zero: boolean): number {
  let end = firstEnd;
  while (end < content.length) {
    const next = Math.min(end + blockBytes, content.length);
    if (isZero(content, end, next) !== zero) break;
    end = next;
  }
  return end;
}

/**
 * Writes `content` at `offset`, leaving out aligned blocks of zeros. Below `existingBytes` the file may hold older bytes, which
 * are taken out instead. Does not change the file's size beyond the last data: the caller sets it. Throws SystemError.
 */
export function writeSparse(
  fd: number,
  offset: number,
  content: Uint8Array,
  existingBytes: number,
  path: () => string,
): void {
  for (let start = 0; start < content.length; ) {
    // Blocks are aligned in the file, not in the piece.
    const firstEnd = Math.min(start + blockBytes - ((offset + start) % blockBytes), content.length);
    const zero = isZero(content, start, firstEnd);
    const end = endOfRun(content, firstEnd, zero);
    if (!zero) check(pwrite(fd, content.subarray(start, end), offset + start), 'pwrite', path);
    else if (offset + start < existingBytes) clear(fd, offset + start, content.subarray(start, end), path);
    start = end;
  }
}

function clear(fd: number, offset: number, zeroContent: Uint8Array, path: () => string): void {
  const result = fallocate(fd, flags.FALLOC_KEEP_SIZE_PUNCH_HOLE, offset, zeroContent.length);
  if (result === -errnos.EOPNOTSUPP || result === -errnos.ENOSYS)
    check(pwrite(fd, zeroContent, offset), 'pwrite', path);
  else check(result, 'fallocate', path);
}
