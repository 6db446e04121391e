import { limits } from '../limits.ts';
import type { Extent } from '../protocol/entry.ts';
import { check, errnos, flags, lseek } from './libc.ts';

// Where a sparse file has data.

/** Fills the smallest holes until at most `max` extents are left. Extents are ascending and do not touch. */
export function mergeExtents(extents: readonly Extent[], max: number): Extent[] {
  const surplus = extents.length - max;
  if (surplus <= 0) return [...extents];
  const holeBefore = (index: number): number =>
    extents[index]!.offset - extents[index - 1]!.offset - extents[index - 1]!.length;
  const smallestFirst = Array.from({ length: extents.length - 1 }, (_, index) => index + 1).sort(
    (a, b) => holeBefore(a) - holeBefore(b),
  );
  const filled = new Set(smallestFirst.slice(0, surplus));
  const merged: { offset: number; length: number }[] = [];
  for (const [index, { offset, length }] of extents.entries()) {
    const last = merged.at(-1);
    if (last !== undefined && filled.has(index)) last.length = offset + length - last.offset;
    else merged.push({ offset, length });
  }
  return merged;
}

/**
 * The data of an open file below `sizeBytes`; undefined when all of it is data or the file system does not tell. Holes are
 * what the kernel guarantees to read as zeros. Throws SystemError.
 */
export function readExtents(fd: number, sizeBytes: number, path: () => string): readonly Extent[] | undefined {
  let extents: Extent[] = [];
  for (let at = 0; at < sizeBytes; ) {
    const start = lseek(fd, at, flags.SEEK_DATA);
    if (start === -errnos.ENXIO) break;
    if (start === -errnos.EINVAL || start === -errnos.EOPNOTSUPP) return undefined;
    check(start, 'lseek', path);
    if (start >= sizeBytes) break;
    const hole = lseek(fd, start, flags.SEEK_HOLE);
    // ENXIO: the file was cut off between the two calls; reading it will tell.
    const end = hole === -errnos.ENXIO ? sizeBytes : Math.min(check(hole, 'lseek', path), sizeBytes);
    extents.push({ offset: start, length: end - start });
    at = end;
    // Merged as they come, so that a file of a hundred million extents does not fill the memory.
    if (extents.length >= 4 * limits.extentsMax) extents = mergeExtents(extents, limits.extentsMax);
  }
  const isAllData = extents.length === 1 && extents[0]!.offset === 0 && extents[0]!.length === sizeBytes;
  return isAllData ? undefined : mergeExtents(extents, limits.extentsMax);
}
