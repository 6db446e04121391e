// `space=reflink`: new data shares with the old what it has in common, on file systems that can.
import { randomBytes } from 'node:crypto';
import { BatonError } from '@batondb/core/errors';
import { check, close, flags, openat, pwrite, unlinkat } from '@batondb/core/files/libc';
import { tryShare } from '@batondb/core/files/share';
import { freeSpaceAt } from '@batondb/core/files/space';
import { errnoName, toBatonError } from '@batondb/core/files/system-error';
import { textToBytes } from '@batondb/core/text/bytes';
import { formatBytes } from '@batondb/core/text/format';
import type { Settings } from '../settings/settings.ts';
import type { Staging } from '../state/staging.ts';

const hint = 'set space=double or space=in-place in [sst] of this node';
/** Of the largest blocks that file systems have here. */
const probeBytes = 64 * 1024;

/** Throws UNSUPPORTED for a method whose data does not come in an order that sharing could follow. */
export function checkSharedMethod(space: Settings['space'], method: string): void {
  if (space !== 'reflink' || method === 'backup') return;
  throw new BatonError(
    'UNSUPPORTED',
    `space=reflink is set on the joiner, and the method is ${method}: only what comes by method=backup can share blocks with the old data`,
    { hint: `${hint}, or method=backup on all nodes` },
  );
}

/** What nobody knows before: how much of the new data will be what the old data is. */
export function sharingSentence(estimatedBytes: number, neededBytes: number, freeBytes: number): string {
  return `space=reflink: about ${formatBytes(estimatedBytes)} come and share with the old data what is equal; ${formatBytes(freeBytes)} are free, of which ${formatBytes(freeBytes - neededBytes)} may be taken by what differs`;
}

/** Has two files in the staging directory share a block. Throws UNSUPPORTED, naming the file system; NO_SPACE. */
export function checkSharing(staging: Staging): void {
  const opened: number[] = [];
  const names = ['share.1', 'share.2'].map(textToBytes);
  const remove = (): void => {
    for (const name of names) unlinkat(staging.descriptor, name);
  };
  remove();
  try {
    const content = randomBytes(probeBytes);
    for (const name of names) {
      const openFlags = flags.O_RDWR | flags.O_CREAT | flags.O_EXCL | flags.O_NOFOLLOW;
      const descriptor = check(openat(staging.descriptor, name, openFlags, 0o600), 'openat', () => staging.path);
      opened.push(descriptor);
      check(pwrite(descriptor, content, 0), 'pwrite', () => staging.path);
    }
    const [from = -1, into = -1] = opened;
    const result = tryShare({ from, into }, probeBytes);
    if (result === 'shared') return;
    throw new BatonError(
      'UNSUPPORTED',
      `space=reflink is set, and ${staging.dataDirectory} is on ${freeSpaceAt(staging.descriptor).fileSystemType}, which does not share blocks between files (${errnoName(result)})`,
      { hint: `${hint}; XFS made with reflink=1 and btrfs share blocks` },
    );
  } catch (error) {
    throw toBatonError(error, { path: staging.path });
  } finally {
    for (const descriptor of opened) close(descriptor);
    remove();
  }
}
