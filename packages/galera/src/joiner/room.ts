import { BatonError } from '@batondb/core/errors';
import { freeSpace } from '@batondb/core/files/space';
import { formatBytes } from '@batondb/core/text/format';

/** What a backup needs beyond the size of the donor's files: it grows while it is taken, and its redo log is applied at the end. */
const reserve = { share: 0.05, bytes: 256 * 1024 * 1024 } as const;

/** Throws NO_SPACE, with the numbers, when the new data does not fit beside the old. */
export function checkRoom(directory: string, estimatedBytes: number): void {
  const { freeBytes } = freeSpace(Buffer.from(directory));
  const neededBytes = estimatedBytes * (1 + reserve.share) + reserve.bytes;
  if (freeBytes >= neededBytes) return;
  throw new BatonError(
    'NO_SPACE',
    `the donor has about ${formatBytes(estimatedBytes)} of data, which takes ${formatBytes(neededBytes)} with what it grows by; ${directory} has ${formatBytes(freeBytes)} free beside the old data`,
    {
      hint: 'make room, or set space=in-place in [sst] of this node: then the old data is removed before the new has come',
    },
  );
}
