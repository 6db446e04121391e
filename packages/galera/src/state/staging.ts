import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { check, close, errnos, fchmod, flags, openat } from '@batondb/core/files/libc';
import { lockDirectory } from '@batondb/core/files/lock';
import { listDirectory, openDirectory } from '@batondb/core/files/open';
import { syncDirectory } from '@batondb/core/files/publish';
import { removeTree } from '@batondb/core/files/remove';
import { statDescriptor, tryStatAt } from '@batondb/core/files/stat';
import { toBatonError } from '@batondb/core/files/system-error';
import { bytesToText, textToBytes } from '@batondb/core/text/bytes';
import { type Owner, openMadeDirectory } from './small-file.ts';

// The staging directory: `.sst` inside the data directory, as the older scripts call theirs. It lies there since the parent of a data directory
// is not ours and is often another file system.

export const stagingName = '.sst';
/** What is in it: new data, old data, and what servers made in between. */
export const partNames = { new: 'new', old: 'old', stray: 'stray' } as const;
/** The joiner's position before this transfer; see saved-state.ts. */
export const savedStateName = 'grastate';

/** A data directory and its staging directory, open and locked against every other transfer until it is disposed of. */
export class Staging implements Disposable {
  /** Of the data directory, without symlinks. */
  readonly dataDirectory: string;
  /** Open descriptors: of the data directory, and of the staging directory. */
  readonly top: number;
  readonly descriptor: number;
  /** Of the data directory; what is made here is theirs, whoever makes it. */
  readonly owner: Owner;
  readonly #lock: Disposable;

  constructor(dataDirectory: string, top: number, descriptor: number, lock: Disposable) {
    this.dataDirectory = dataDirectory;
    this.top = top;
    this.descriptor = descriptor;
    this.owner = ownerOf(top);
    this.#lock = lock;
  }

  get path(): string {
    return `${this.dataDirectory}/${stagingName}`;
  }

  /** Where new data is made, with all its entries at the top, wherever their place will be. */
  get newPath(): string {
    return `${this.path}/${partNames.new}`;
  }

  /** Name of what stands for this staging directory in another directory of the same server. */
  get nameElsewhere(): string {
    // Several servers may share a directory for their logs.
    return `.baton-sst-${createHash('sha256').update(this.dataDirectory).digest('hex').slice(0, 12)}`;
  }

  /** Removes what is in it, but for the names in `kept`; what is there of old data must have been dealt with (settle.ts). */
  empty(kept: readonly string[]): void {
    for (const bytes of listDirectory(this.descriptor, () => this.path)) {
      if (!kept.includes(bytesToText(bytes))) removeTree(this.descriptor, bytes);
    }
  }

  /** Makes the empty directory for new data. */
  makeNew(): void {
    close(openMadeDirectory(this.descriptor, partNames.new, this.owner));
  }

  /** Removes it with all that is in it, and what is known of the old position with it. */
  remove(): void {
    // While we hold the lock nobody else takes the directory for theirs.
    this.empty([]);
    removeTree(this.top, textToBytes(stagingName));
    syncDirectory(this.top);
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]();
    close(this.descriptor);
    close(this.top);
  }
}

/**
 * Opens the staging directory of a data directory and locks it; `make`: it is made if it is not there, else the answer is undefined. Throws BUSY (another
 * transfer is at work), NOT_FOUND, NO_PERMISSION (also for root in another user's directory: see becomeOwner), NOT_A_DIRECTORY, READ_ONLY, NO_SPACE.
 */
export function openStaging(dataDirectory: string, how: { readonly make: true }): Staging;
export function openStaging(dataDirectory: string, how: { readonly make: boolean }): Staging | undefined;
export function openStaging(dataDirectory: string, { make }: { readonly make: boolean }): Staging | undefined {
  try {
    const path = realpathSync(dataDirectory);
    const top = check(openDirectory(textToBytes(path)), 'openat', () => path);
    try {
      checkOwner(top, path);
      const descriptor = make ? openMadeDirectory(top, stagingName, ownerOf(top)) : openFound(top);
      if (descriptor !== undefined) return hold(path, top, descriptor);
      close(top);
      return undefined;
    } catch (error) {
      close(top);
      throw error;
    }
  } catch (error) {
    throw toBatonError(error, { path: `${dataDirectory}/${stagingName}` });
  }
}

/**
 * Whoever may write into the data directory may write a journal, and root would carry it out anywhere. So nobody follows what a staging directory says
 * but its owner.
 */
function checkOwner(top: number, path: string): void {
  const { uid } = ownerOf(top);
  if (uid === 0 || process.geteuid?.() !== 0) return;
  throw new BatonError('NO_PERMISSION', `${path} belongs to user ${uid}, whose files root does not act upon`, {
    hint: `run it as that user: setpriv --reuid ${uid} --init-groups …`,
  });
}

function openFound(top: number): number | undefined {
  const descriptor = openat(top, textToBytes(stagingName), flags.O_RDONLY | flags.O_DIRECTORY | flags.O_NOFOLLOW);
  return descriptor === -errnos.ENOENT ? undefined : check(descriptor, 'openat', () => stagingName);
}

function hold(path: string, top: number, descriptor: number): Staging {
  try {
    const lock = takeLock(descriptor, path);
    // Whoever had the lock before may have removed the directory.
    const found = tryStatAt(top, textToBytes(stagingName));
    if (typeof found === 'number' || found.inode !== statDescriptor(descriptor).inode) throw atWork(path);
    // It may be one that another method has left, open to a group.
    if (statDescriptor(descriptor).mode !== 0o700) check(fchmod(descriptor, 0o700), 'fchmod', () => stagingName);
    return new Staging(path, top, descriptor, lock);
  } catch (error) {
    close(descriptor);
    throw error;
  }
}

function takeLock(descriptor: number, path: string): Disposable {
  try {
    return lockDirectory(descriptor);
  } catch (error) {
    if (!(error instanceof BatonError) || error.code !== 'BUSY') throw error;
    throw atWork(path, error);
  }
}

function atWork(path: string, cause?: unknown): BatonError {
  return new BatonError('BUSY', `another state transfer is at work in ${path}/${stagingName}`, {
    retryable: true,
    hint: `wait for it to end; fuser ${path}/${stagingName} tells its process`,
    cause,
  });
}

function ownerOf(descriptor: number): Owner {
  const { uid, gid } = statDescriptor(descriptor);
  return { uid, gid };
}
