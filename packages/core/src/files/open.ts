import { check, chmod, close, errnos, flags, getdents64, lseek, openat, SystemError } from './libc.ts';
import { printable } from './names.ts';

// Ways to open things that never follow a symlink below the path a user gave.

const slash = 0x2f;
// Below PATH_MAX with room to spare; a longer path is walked in parts.
const pathBytesMax = 4000;

function splitAt(path: Uint8Array): number {
  const at = path.subarray(0, pathBytesMax).lastIndexOf(slash);
  if (at <= 0) throw new SystemError(errnos.ENAMETOOLONG, 'openat', printable(path));
  return at;
}

/**
 * Opens a directory by a path of any length. Symlinks in the path are followed: the user gave it. `readable: false` opens it as
 * a place to work below (O_PATH), which needs no read permission and cannot be listed, locked or synced.
 */
export function openDirectory(path: Uint8Array, options: { readonly readable?: boolean } = {}): number {
  const last = flags.O_DIRECTORY | (options.readable === false ? flags.O_PATH : flags.O_RDONLY);
  let base: number = flags.AT_FDCWD;
  let rest = path;
  try {
    while (rest.length > pathBytesMax) {
      const at = splitAt(rest);
      const next = check(openat(base, rest.subarray(0, at), flags.O_DIRECTORY | flags.O_PATH), 'openat', () =>
        printable(path),
      );
      if (base >= 0) close(base);
      base = next;
      rest = rest.subarray(at + 1);
      while (rest[0] === slash) rest = rest.subarray(1);
    }
    return check(openat(base, rest.length === 0 ? dot : rest, last), 'openat', () => printable(path));
  } finally {
    if (base >= 0) close(base);
  }
}

const dot = Uint8Array.of(0x2e);

/** A path's directory and last component. Trailing slashes are dropped; of `/` the name is `.`, of `name` the directory is `.`. */
export function splitPath(path: Uint8Array): { readonly directory: Uint8Array; readonly name: Uint8Array } {
  let end = path.length;
  while (end > 0 && path[end - 1] === slash) end -= 1;
  if (end === 0) return { directory: path.length === 0 ? dot : path.subarray(0, 1), name: dot };
  const at = path.subarray(0, end).lastIndexOf(slash);
  if (at < 0) return { directory: dot, name: path.subarray(0, end) };
  return { directory: at === 0 ? path.subarray(0, 1) : path.subarray(0, at), name: path.subarray(at + 1, end) };
}

/**
 * Opens a file or directory for reading without touching its access time where the kernel allows that (owner or root only).
 * A FIFO that takes the name meanwhile does not block. Returns the negative errno on failure.
 */
export function openForReading(dirfd: number, name: Uint8Array, moreFlags: number = 0): number {
  const openFlags = flags.O_RDONLY | flags.O_NOFOLLOW | flags.O_NONBLOCK | moreFlags;
  const fd = openat(dirfd, name, openFlags | flags.O_NOATIME);
  return fd === -errnos.EPERM ? openat(dirfd, name, openFlags) : fd;
}

/** The names in an open directory (not an O_PATH one), sorted bytewise, without `.` and `..`. Throws SystemError. */
export function listDirectory(fd: number, path: () => string): Uint8Array[] {
  const names: Buffer[] = [];
  // Where an earlier listing of the same descriptor ended, there is nothing: the directory would look empty.
  check(lseek(fd, 0, flags.SEEK_SET), 'lseek', path);
  for (;;) {
    const buffer = Buffer.allocUnsafeSlow(32 * 1024);
    const bytes = check(getdents64(fd, buffer), 'getdents64', path);
    if (bytes === 0) return names.sort((a, b) => a.compare(b));
    for (let at = 0; at < bytes; at += buffer.readUInt16LE(at + 16)) {
      const name = buffer.subarray(at + 19, buffer.indexOf(0, at + 19));
      if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) continue;
      names.push(name);
    }
  }
}

/** The path by which the kernel reaches `name` below an open directory, for calls that take no directory descriptor. */
export function descriptorPath(dirfd: number, name?: Uint8Array): Uint8Array {
  const prefix = `/proc/self/fd/${dirfd}`;
  return name === undefined ? Buffer.from(prefix) : Buffer.concat([Buffer.from(`${prefix}/`), name]);
}

/** Changes the mode of `name` below `dirfd`, never of what a symlink points at. Returns 0 or the negative errno. */
export function chmodAt(dirfd: number, name: Uint8Array, mode: number): number {
  const fd = openat(dirfd, name, flags.O_PATH | flags.O_NOFOLLOW);
  if (fd < 0) return fd;
  const result = chmod(descriptorPath(fd), mode);
  close(fd);
  return result;
}

/** Opens `name` below `dirfd` as a directory that can be listed, also one whose own mode forbids that to its owner. */
export function openOwnDirectory(dirfd: number, name: Uint8Array): number {
  const openFlags = flags.O_RDONLY | flags.O_DIRECTORY | flags.O_NOFOLLOW;
  const fd = openat(dirfd, name, openFlags);
  if (fd !== -errnos.EACCES) return fd;
  const result = chmodAt(dirfd, name, 0o700);
  if (result < 0) return fd;
  return openat(dirfd, name, openFlags);
}
