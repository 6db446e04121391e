import { BatonError } from '../errors.ts';
import { check, errnos, flags, fsync, linkat, mkdirat, renameat2, SystemError, syncfs, unlinkat } from './libc.ts';
import { printable } from './names.ts';
import { statAt } from './stat.ts';

// Gives what is complete its final name, and makes that last.

/**
 * Renames without ever replacing anything: whatever has the new name wins, also when it appears at the same moment.
 * Throws SystemError (EEXIST), or UNSUPPORTED on a file system that has neither such a rename nor hard links.
 * The caller syncs both directories.
 */
export function renameNoReplace(fromDirfd: number, fromName: Uint8Array, toDirfd: number, toName: Uint8Array): void {
  const result = renameat2(fromDirfd, fromName, toDirfd, toName, flags.RENAME_NOREPLACE);
  if (result === -errnos.EINVAL || result === -errnos.ENOSYS)
    renameWithPlaceholder(fromDirfd, fromName, toDirfd, toName);
  else check(result, 'renameat2', () => printable(toName));
}

/**
 * The same for file systems without RENAME_NOREPLACE (NFS, some FUSE and network ones). A directory replaces an empty one
 * that we made in its place: a directory that somebody filled meanwhile is not empty and stays. Everything else gets a second
 * name, which fails when it is taken, and loses its first.
 */
export function renameWithPlaceholder(
  fromDirfd: number,
  fromName: Uint8Array,
  toDirfd: number,
  toName: Uint8Array,
): void {
  const path = (): string => printable(toName);
  if (statAt(fromDirfd, fromName).kind === 'directory') {
    check(mkdirat(toDirfd, toName, 0o700), 'mkdirat', path);
    const result = renameat2(fromDirfd, fromName, toDirfd, toName, 0);
    if (result < 0) unlinkat(toDirfd, toName, flags.AT_REMOVEDIR);
    if (result === -errnos.ENOTEMPTY || result === -errnos.ENOTDIR)
      throw new SystemError(errnos.EEXIST, 'renameat', path());
    check(result, 'renameat', path);
    return;
  }
  const result = linkat(fromDirfd, fromName, toDirfd, toName);
  if (result === -errnos.EPERM || result === -errnos.EOPNOTSUPP) {
    throw new BatonError(
      'UNSUPPORTED',
      `${path()}: this file system can neither rename without replacing nor make hard links`,
      { hint: 'choose a target on another file system' },
    );
  }
  if (result !== -errnos.EEXIST || !isSame(fromDirfd, fromName, toDirfd, toName)) check(result, 'linkat', path);
  check(unlinkat(fromDirfd, fromName), 'unlinkat', () => printable(fromName));
}

/**
 * Two names change places, in one step: what had either is whole under the other. Throws SystemError (ENOENT), or UNSUPPORTED on a
 * file system that has no such rename. The caller syncs both directories.
 */
export function exchangeNames(oneDirfd: number, oneName: Uint8Array, otherDirfd: number, otherName: Uint8Array): void {
  const result = renameat2(oneDirfd, oneName, otherDirfd, otherName, flags.RENAME_EXCHANGE);
  if (result === -errnos.EINVAL || result === -errnos.ENOSYS) {
    throw new BatonError('UNSUPPORTED', 'this file system cannot exchange two names in one step (RENAME_EXCHANGE)', {
      hint: 'copy to another name, and put the copy in place by hand',
    });
  }
  check(result, 'renameat2', () => printable(otherName));
}

// A crash between link and unlink leaves both names: the rerun finishes the rename.
function isSame(fromDirfd: number, fromName: Uint8Array, toDirfd: number, toName: Uint8Array): boolean {
  const from = statAt(fromDirfd, fromName);
  const to = statAt(toDirfd, toName);
  return from.device === to.device && from.inode === to.inode;
}

/** Makes the names in an open directory (not an O_PATH one) last. Throws SystemError. */
export function syncDirectory(fd: number): void {
  const result = fsync(fd);
  // Some network file systems have nothing to sync in a directory.
  if (result !== -errnos.EINVAL) check(result, 'fsync', () => 'the directory');
}

/** Makes everything written to the file system of an open directory last. Throws SystemError. */
export function syncFileSystem(fd: number): void {
  check(syncfs(fd), 'syncfs', () => 'the file system');
}
