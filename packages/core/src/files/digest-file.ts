import { blake3 } from '@napi-rs/blake-hash';
import { limits } from '../limits.ts';
import type { Extent } from '../protocol/entry.ts';
import { close, errnoName, flags, posixFadvise, pread } from './libc.ts';
import { isUnchanged, type OpenedFile } from './survey.ts';

// Digests of a file's content: BLAKE3 of each 1 MiB from its start, the last one shorter. Holes count as zeros.

/** A part of a file that one worker reads: whole units. `isLast`: it also looks whether the file changed, and closes it. */
export type DigestRange = {
  readonly file: OpenedFile;
  readonly offset: number;
  readonly length: number;
  readonly isLast: boolean;
};

export type RangeDigests = {
  /** One digest a unit, hexadecimal, without anything between them. */
  readonly digests: string;
  /** The system's word for why it could not be read, such as EIO; the digests are those of zeros then. */
  readonly failure?: string;
  /** Of the last range: the file is not what it was when it was opened. */
  readonly isChanged?: boolean;
};

/** A run of units: data to be read, or a hole of that many whole units. */
export type UnitRun = { readonly firstUnit: number; readonly count: number; readonly isHole: boolean };

/** Digest of a whole unit of zeros, hexadecimal. */
export const zeroUnitDigest: string = Buffer.from(blake3(Buffer.alloc(limits.unitBytes))).toString('hex');

/** Cuts a file into runs of at most `countMax` units of data each, and holes of any length between them. Pure. */
export function* unitRuns(
  sizeBytes: number,
  extents: readonly Extent[] | undefined,
  countMax: number,
): Generator<UnitRun> {
  const { unitBytes } = limits;
  const units = Math.ceil(sizeBytes / unitBytes);
  let unit = 0;
  for (const { offset, length } of [...(extents ?? [{ offset: 0, length: sizeBytes }]), atEnd(sizeBytes)]) {
    const start = Math.min(Math.max(unit, Math.floor(offset / unitBytes)), units);
    const end = Math.min(Math.ceil((offset + length) / unitBytes), units);
    if (start > unit) yield { firstUnit: unit, count: start - unit, isHole: true };
    unit = Math.max(unit, start);
    while (unit < end) {
      const count = Math.min(countMax, end - unit);
      yield { firstUnit: unit, count, isHole: false };
      unit += count;
    }
  }
}

// The last unit counts as data even in a hole when it is shorter than the others: its digest is not that of a whole one.
function atEnd(sizeBytes: number): Extent {
  const tail = sizeBytes % limits.unitBytes;
  return { offset: sizeBytes - tail, length: tail };
}

/**
 * Reads a range from the disk, past what the page cache holds of it and without leaving it there: a host has better use for
 * its memory, and the cache would hide what the disk has. `scratch` takes one unit.
 */
export function digestRange({ file, offset, length, isLast }: DigestRange, scratch: Uint8Array): RangeDigests {
  const { fd } = file;
  const parts: string[] = [];
  let failure: string | undefined;
  if (length > 0) posixFadvise(fd, offset, length, flags.FADV_DONTNEED);
  for (let at = offset; at < offset + length; at += limits.unitBytes) {
    const content = scratch.subarray(0, Math.min(limits.unitBytes, offset + length - at));
    const readBytes = pread(fd, content, at);
    if (readBytes < 0) failure ??= errnoName(readBytes);
    // What is missing has been cut off meanwhile, which the file's change time tells.
    if (readBytes < content.length) content.fill(0, Math.max(0, readBytes));
    parts.push(
      Buffer.from(blake3(Buffer.from(content.buffer, content.byteOffset, content.byteLength))).toString('hex'),
    );
  }
  if (length > 0) posixFadvise(fd, offset, length, flags.FADV_DONTNEED);
  const isChanged = isLast && !isUnchanged(file);
  if (isLast) close(fd);
  return {
    digests: parts.join(''),
    ...(failure === undefined ? {} : { failure }),
    ...(isLast ? { isChanged } : {}),
  };
}
