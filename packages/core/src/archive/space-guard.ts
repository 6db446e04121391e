import { BatonError } from '../errors.ts';
import { freeSpaceAt } from '../files/space.ts';
import { formatBytes } from '../text/format.ts';
import { shownPath } from './archive-error.ts';

// Keeps an archive from filling up a file system that others live on. How much an archive holds is not known before it is unpacked,
// so every file is held against what is free. A limit on how well it may be compressed would refuse honest archives (tables full of
// zeros shrink a thousandfold) and stop no bomb earlier than this does.

const mib = 1024 * 1024;
const reserveBytesMax = 1024 * mib;
const reserveFraction = 0.02;
/** Asking costs a few system calls: so much is written, or so many files made, between two questions. */
const unaskedBytesMax = 16 * mib;
const unaskedMembersMax = 1000;

/** Asks the file system now and then. */
export class SpaceGuard {
  readonly #descriptor: number;
  #unaskedBytes = Number.POSITIVE_INFINITY;
  #unaskedMembers = 0;

  /** `descriptor`: of a directory on the file system. */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Called before a member with so much content is made. Throws NO_SPACE or NO_INODES, and SystemError. */
  require(bytes: number, path: Uint8Array): void {
    this.#unaskedBytes += bytes;
    this.#unaskedMembers += 1;
    if (this.#unaskedBytes < unaskedBytesMax && this.#unaskedMembers < unaskedMembersMax) return;
    const { freeBytes, totalBytes, freeInodes } = freeSpaceAt(this.#descriptor);
    // ramfs, and some file systems in user space, have no size to tell.
    if (totalBytes === 0) return;
    this.#unaskedBytes = bytes;
    this.#unaskedMembers = 0;
    const reserveBytes = Math.min(reserveBytesMax, totalBytes * reserveFraction);
    if (bytes > freeBytes - reserveBytes) {
      throw new BatonError(
        'NO_SPACE',
        `member ${shownPath(path)} has ${formatBytes(bytes)}, and of ${formatBytes(freeBytes)} that are free ${formatBytes(reserveBytes)} have to stay so`,
        { hint: 'look at what the archive holds (tar -tv), make space, and run the same command again' },
      );
    }
    if (freeInodes !== undefined && freeInodes < unaskedMembersMax) {
      throw new BatonError(
        'NO_INODES',
        `at member ${shownPath(path)} ${freeInodes} inodes are free, and ${unaskedMembersMax} have to stay so`,
        { hint: 'choose a file system with more inodes, and run the same command again' },
      );
    }
  }
}
