import type { EntryBase, EntryKind, Xattr } from '../protocol/entry.ts';
import {
  close,
  errnos,
  fchmod,
  fchown,
  fchownat,
  flags,
  fsetxattr,
  fstatfs,
  futimens,
  lsetxattr,
  openat,
  SystemError,
  utimensat,
} from './libc.ts';
import { printable } from './names.ts';
import type { NotKept } from './not-kept.ts';
import { chmodAt, descriptorPath } from './open.ts';

// Gives a staged thing its owner, attributes, mode and times.

/** How the parts of a thing's metadata are set: by descriptor, or by name for what must not or cannot be opened. */
export type MetadataTarget = {
  chown(uid: number, gid: number): number;
  chmod(mode: number): number;
  setXattr(name: Uint8Array, value: Uint8Array): number;
  setTimes(times: Uint8Array): number;
  /** Whether blocks are left on the file system, for what ENOSPC of an attribute means. */
  hasSpace(): boolean;
};

/** Called for each thing that could not be kept. */
export type OnNotKept = (what: NotKept['what'], errno: number) => void;

/** The metadata that is set: what every entry has, wherever it lies. */
export type Metadata = Omit<EntryBase, 'parent' | 'name'> & { readonly kind: Exclude<EntryKind, 'hardlink'> };

/** What is known of the thing now. */
export type CurrentMetadata = { readonly uid: number; readonly gid: number; readonly mode: number };

/** The target is an open file. */
export function descriptorTarget(fd: number): MetadataTarget {
  return {
    chown: (uid, gid) => fchown(fd, uid, gid),
    chmod: (mode) => fchmod(fd, mode),
    setXattr: (name, value) => fsetxattr(fd, name, value),
    setTimes: (times) => futimens(fd, times),
    hasSpace: () => hasFreeBlocks(fd),
  };
}

/** The target is whatever has the name, a symlink itself included. */
export function namedTarget(dirfd: number, name: Uint8Array): MetadataTarget {
  return {
    chown: (uid, gid) => fchownat(dirfd, name, uid, gid),
    chmod: (mode) => chmodAt(dirfd, name, mode),
    setXattr: (xattrName, value) => lsetxattr(descriptorPath(dirfd, name), xattrName, value),
    setTimes: (times) => utimensat(dirfd, name, times),
    hasSpace: () => {
      const fd = openat(dirfd, Buffer.from('.'), flags.O_PATH);
      if (fd < 0) return false;
      const has = hasFreeBlocks(fd);
      close(fd);
      return has;
    },
  };
}

function hasFreeBlocks(fd: number): boolean {
  const raw = new Uint8Array(128);
  // f_bavail of struct statfs on 64-bit machines.
  return fstatfs(fd, raw) === 0 && new DataView(raw.buffer).getBigUint64(32, true) > 0n;
}

// Refusals of the kind "not for you" or "not here". Everything else (a failing disk, no space) ends the copy.
const refusals = new Set([
  errnos.EPERM,
  errnos.EACCES,
  errnos.EOPNOTSUPP,
  errnos.EINVAL,
  errnos.ENOSYS,
  errnos.E2BIG,
  errnos.ERANGE,
  errnos.EOVERFLOW,
]);
const unchanged = 0xffff_ffff;
const setIdBits = 0o6000;
const times = new Uint8Array(32);
const timesView = new DataView(times.buffer);

function refused(errno: number, syscall: string, path: () => string): number {
  if (refusals.has(errno)) return errno;
  throw new SystemError(errno, syscall, path());
}

/**
 * Sets owner, then attributes (a change of owner clears capabilities), then mode (a change of owner clears setuid, and a mode
 * without write permission forbids attributes to the owner), then times, which every earlier step could change.
 * What is refused goes to `onNotKept`; setuid and setgid are dropped when the owner was refused, because they would lend out
 * somebody else's rights. Throws SystemError for other failures. Can be repeated.
 */
export function applyMetadata(
  target: MetadataTarget,
  entry: Metadata,
  current: CurrentMetadata,
  onNotKept: OnNotKept,
  path: () => string,
): void {
  const isOwned = applyOwner(target, entry, current, onNotKept, path);
  for (const xattr of entry.xattrs) applyXattr(target, xattr, onNotKept, path);
  if (entry.kind !== 'symlink') applyMode(target, entry, current, isOwned, onNotKept, path);
  setTime(0, entry.accessTimeNs);
  setTime(16, entry.modifyTimeNs);
  const result = target.setTimes(times);
  if (result < 0) onNotKept('times', refused(-result, 'utimensat', path));
}

function applyOwner(
  target: MetadataTarget,
  entry: Metadata,
  current: CurrentMetadata,
  onNotKept: OnNotKept,
  path: () => string,
): boolean {
  if (current.uid === entry.uid && current.gid === entry.gid) return true;
  const result = target.chown(entry.uid, entry.gid);
  if (result >= 0) return true;
  onNotKept('owner', refused(-result, 'chown', path));
  // A group the user is a member of can be kept also where the user cannot.
  if (current.gid !== entry.gid) target.chown(unchanged, entry.gid);
  return false;
}

function applyXattr(target: MetadataTarget, { name, value }: Xattr, onNotKept: OnNotKept, path: () => string): void {
  const result = target.setXattr(name, value);
  if (result >= 0) return;
  const xattrPath = (): string => `${path()} (${printable(name)})`;
  // ENOSPC is also the answer when one inode has no room for the value; only a full disk ends the copy.
  const isTooLarge = result === -errnos.ENOSPC && target.hasSpace();
  onNotKept(xattrKind(name), isTooLarge ? errnos.ENOSPC : refused(-result, 'setxattr', xattrPath));
}

function xattrKind(name: Uint8Array): NotKept['what'] {
  const text = printable(name);
  if (text === 'security.capability') return 'capability';
  return text.startsWith('system.posix_acl_') || text.startsWith('system.nfs4') || text === 'system.richacl'
    ? 'acl'
    : 'xattr';
}

function applyMode(
  target: MetadataTarget,
  entry: Metadata,
  current: CurrentMetadata,
  isOwned: boolean,
  onNotKept: OnNotKept,
  path: () => string,
): void {
  const hasSetId = (entry.mode & setIdBits) !== 0;
  if (hasSetId && !isOwned) onNotKept('setuid', errnos.EPERM);
  const mode = isOwned ? entry.mode : entry.mode & ~setIdBits;
  if (current.mode === mode && !hasSetId && entry.xattrs.length === 0) return;
  const result = target.chmod(mode);
  if (result < 0) onNotKept('mode', refused(-result, 'chmod', path));
}

const second = 1_000_000_000n;

function setTime(offset: number, timeNs: bigint): void {
  // Rounded down also before 1970: nanoseconds are never negative.
  const nanoseconds = ((timeNs % second) + second) % second;
  timesView.setBigInt64(offset, (timeNs - nanoseconds) / second, true);
  timesView.setBigInt64(offset + 8, nanoseconds, true);
}
