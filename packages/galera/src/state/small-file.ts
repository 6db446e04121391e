import { BatonError } from '@batondb/core/errors';
import {
  check,
  close,
  errnos,
  fchmod,
  fchown,
  flags,
  fsync,
  ftruncate,
  mkdirat,
  openat,
  pread,
  pwrite,
  renameat2,
  SystemError,
} from '@batondb/core/files/libc';
import { syncDirectory } from '@batondb/core/files/publish';
import { statDescriptor } from '@batondb/core/files/stat';
import { toBatonError } from '@batondb/core/files/system-error';
import { textToBytes } from '@batondb/core/text/bytes';

// Small files in open directories, written so that a crash leaves the old one or the new one, and read with a limit. Who made them
// matters: the command runs as root and the server's process as mysql, and either goes on where the other one ended.

/** Does something with files below `path`: what the kernel says of them is thrown as a BatonError. */
export function atPath<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    // A broken invariant stays what it is.
    throw error instanceof SystemError ? toBatonError(error, { path }) : error;
  }
}

/** To whom something belongs. */
export type Owner = { readonly uid: number; readonly gid: number };

/** The text of a file; undefined when it does not exist. Throws LIMIT, SystemError. */
export function readSmallFile(directory: number, name: string, bytesMax: number): string | undefined {
  const descriptor = openat(directory, textToBytes(name), flags.O_RDONLY | flags.O_NOFOLLOW | flags.O_NONBLOCK);
  if (descriptor === -errnos.ENOENT) return undefined;
  check(descriptor, 'openat', () => name);
  try {
    const { sizeBytes } = statDescriptor(descriptor);
    if (sizeBytes > bytesMax) {
      throw new BatonError('LIMIT', `${name} has ${sizeBytes} bytes, and at most ${bytesMax} are read`);
    }
    const bytes = Buffer.alloc(sizeBytes);
    const read = check(pread(descriptor, bytes, 0), 'pread', () => name);
    return bytes.toString('utf8', 0, read);
  } finally {
    close(descriptor);
  }
}

/** Replaces a file by another one, by way of `NAME.new`; it is on the disk when this returns. Throws SystemError. */
export function replaceSmallFile(
  directory: number,
  name: string,
  text: string,
  { uid, gid, mode }: Owner & { readonly mode: number },
): void {
  const temporary = textToBytes(`${name}.new`);
  const openFlags = flags.O_WRONLY | flags.O_CREAT | flags.O_NOFOLLOW;
  const descriptor = check(openat(directory, temporary, openFlags, 0o600), 'openat', () => `${name}.new`);
  try {
    check(ftruncate(descriptor, 0), 'ftruncate', () => `${name}.new`);
    check(pwrite(descriptor, Buffer.from(text), 0), 'pwrite', () => `${name}.new`);
    giveTo(descriptor, { uid, gid }, name);
    check(fchmod(descriptor, mode), 'fchmod', () => `${name}.new`);
    check(fsync(descriptor), 'fsync', () => `${name}.new`);
  } finally {
    close(descriptor);
  }
  check(renameat2(directory, temporary, directory, textToBytes(name), 0), 'renameat2', () => name);
  syncDirectory(directory);
}

/** Opens a directory below an open one, which is made (0700) if it does not exist. The caller closes it. Throws SystemError. */
export function openMadeDirectory(parent: number, name: string, owner: Owner): number {
  const bytes = textToBytes(name);
  const made = mkdirat(parent, bytes, 0o700);
  if (made !== -errnos.EEXIST) check(made, 'mkdirat', () => name);
  const descriptor = check(
    openat(parent, bytes, flags.O_RDONLY | flags.O_DIRECTORY | flags.O_NOFOLLOW),
    'openat',
    () => name,
  );
  giveTo(descriptor, owner, name);
  return descriptor;
}

function giveTo(descriptor: number, { uid, gid }: Owner, name: string): void {
  const has = statDescriptor(descriptor);
  if (has.uid === uid && has.gid === gid) return;
  // Only root gives away; what a server's user makes in a directory of another owner stays that user's.
  if (process.geteuid?.() !== 0) return;
  check(fchown(descriptor, uid, gid), 'fchown', () => name);
}
