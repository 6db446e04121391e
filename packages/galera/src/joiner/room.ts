import { BatonError } from '@batondb/core/errors';
import { freeSpace } from '@batondb/core/files/space';
import { formatBytes } from '@batondb/core/text/format';
import type { Settings } from '../settings/settings.ts';

/**
 * What a backup needs beyond the size of the donor's files: it grows while it is taken, and its redo log is applied at the end. With space=reflink that is all that is asked
 * for, and several times what is unshared at any time (`unsharedBytesMax` of ShareBehind): what differs from the old data nobody knows before.
 */
const reserve = { share: 0.05, bytes: 256 * 1024 * 1024 } as const;

/** What has to be free beside the old data before new data of a size comes. Bytes. */
export function neededRoom(space: Exclude<Settings['space'], 'in-place'>, estimatedBytes: number): number {
  return estimatedBytes * ((space === 'double' ? 1 : 0) + reserve.share) + reserve.bytes;
}

/** Throws NO_SPACE, with the numbers, when the new data does not fit beside the old, or surely not. */
export function checkRoom(
  directory: string,
  estimatedBytes: number,
  space: Exclude<Settings['space'], 'in-place'>,
): { readonly freeBytes: number; readonly neededBytes: number } {
  const { freeBytes } = freeSpace(Buffer.from(directory));
  const neededBytes = neededRoom(space, estimatedBytes);
  if (freeBytes >= neededBytes) return { freeBytes, neededBytes };
  const takes =
    space === 'double'
      ? `which takes ${formatBytes(neededBytes)} with what it grows by`
      : `which takes ${formatBytes(neededBytes)} at least, if it shares all with the old data`;
  const reflink = space === 'double' ? 'set space=reflink, where the file system shares blocks, or ' : 'set ';
  throw new BatonError(
    'NO_SPACE',
    `the donor has about ${formatBytes(estimatedBytes)} of data, ${takes}; ${directory} has ${formatBytes(freeBytes)} free beside the old data`,
    {
      hint: `make room, or ${reflink}space=in-place in [sst] of this node: then the old data is removed before the new has come`,
    },
  );
}
