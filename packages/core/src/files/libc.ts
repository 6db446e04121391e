import koffi from 'koffi';
import { assert } from '../errors.ts';
import { errnos, flags } from './flags.ts';

export { errnos, flags } from './flags.ts';
export { check, errnoName, SystemError } from './system-error.ts';

// The C library's file calls. Every function returns the call's result, or the negative errno: an expected failure (EEXIST,
// ENOENT) costs no exception. `check` throws. Calls that a signal can interrupt are repeated here.

const { EINTR } = errnos;
const isArm = process.arch === 'arm64';
const syscalls = { ioprioSet: isArm ? 30 : 251, getdents64: isArm ? 61 : 217, listxattrat: 465 };

type Call = ((...parameters: unknown[]) => number) & { readonly async: (...parameters: unknown[]) => void };
const prototypes = {
  openat: 'int openat(int, const void *, int, uint)',
  close: 'int close(int)',
  pread: 'int64_t pread(int, void *, size_t, int64_t)',
  pwrite: 'int64_t pwrite(int, const void *, size_t, int64_t)',
  statx: 'int statx(int, const void *, int, uint, void *)',
  mkdirat: 'int mkdirat(int, const void *, uint)',
  symlinkat: 'int symlinkat(const void *, int, const void *)',
  linkat: 'int linkat(int, const void *, int, const void *, int)',
  mknodat: 'int mknodat(int, const void *, uint, uint64_t)',
  unlinkat: 'int unlinkat(int, const void *, int)',
  renameat2: 'int renameat2(int, const void *, int, const void *, uint)',
  readlinkat: 'int64_t readlinkat(int, const void *, void *, size_t)',
  faccessat: 'int faccessat(int, const void *, int, int)',
  fchown: 'int fchown(int, uint, uint)',
  fchownat: 'int fchownat(int, const void *, uint, uint, int)',
  fchmod: 'int fchmod(int, uint)',
  chmod: 'int chmod(const void *, uint)',
  utimensat: 'int utimensat(int, const void *, const void *, int)',
  futimens: 'int futimens(int, const void *)',
  lgetxattr: 'int64_t lgetxattr(const void *, const void *, void *, size_t)',
  llistxattr: 'int64_t llistxattr(const void *, void *, size_t)',
  lsetxattr: 'int lsetxattr(const void *, const void *, const void *, size_t, int)',
  fsetxattr: 'int fsetxattr(int, const void *, const void *, size_t, int)',
  lremovexattr: 'int lremovexattr(const void *, const void *)',
  lseek: 'int64_t lseek(int, int64_t, int)',
  ftruncate: 'int ftruncate(int, int64_t)',
  fallocate: 'int fallocate(int, int, int64_t, int64_t)',
  fsync: 'int fsync(int)',
  syncfs: 'int syncfs(int)',
  sync_file_range: 'int sync_file_range(int, int64_t, int64_t, uint)',
  flock: 'int flock(int, int)',
  posix_fadvise: 'int posix_fadvise(int, int64_t, int64_t, int)',
  fstatfs: 'int fstatfs(int, void *)',
  ioctl: 'int ioctl(int, uint64_t, void *)',
  setpriority: 'int setpriority(int, uint, int)',
  getpriority: 'int getpriority(int, uint)',
  mallopt: 'int mallopt(int, int)',
  socket: 'int socket(int, int, int)',
  socketpair: 'int socketpair(int, int, int, void *)',
  sendto: 'int64_t sendto(int, const void *, size_t, int, const void *, uint)',
} as const;
type Library = Record<keyof typeof prototypes | 'getdents64' | 'listxattrat' | 'ioprioSet', Call>;

let loaded: Library | undefined;

function load(): Library {
  const library = koffi.load('libc.so.6');
  const calls: Partial<Library> = {};
  for (const name of Object.keys(prototypes) as (keyof typeof prototypes)[])
    calls[name] = library.func(prototypes[name]) as Call;
  calls.getdents64 = library.func('int64_t syscall(int64_t, int64_t, void *, int64_t)') as Call;
  calls.listxattrat = library.func('int64_t syscall(int64_t, int64_t, const void *, int64_t, void *, int64_t)') as Call;
  calls.ioprioSet = library.func('int64_t syscall(int64_t, int64_t, int64_t, int64_t)') as Call;
  return calls as Library;
}

// Loaded at the first call, so that a command that touches no file pays nothing.
function libc(): Library {
  return (loaded ??= load());
}

/** Loads it now, for a thread that could be ended in the middle of the first call: koffi calls back into JavaScript then. */
export function openLibc(): void {
  libc();
}

function settle(result: number): number {
  return result === -1 ? -koffi.errno() : result;
}

function aside(name: keyof typeof prototypes, ...parameters: readonly number[]): Promise<void> {
  return new Promise((resolve) => libc()[name].async(...parameters, () => resolve()));
}

// Names are given without their NUL. A few buffers used in turn are enough: no call takes more than two strings.
const stringBytesMax = 8192;
const strings = [0, 1, 2, 3].map(() => new Uint8Array(stringBytesMax));
let nextString = 0;

function cString(bytes: Uint8Array): Uint8Array {
  assert(
    bytes.length < stringBytesMax && !bytes.includes(0),
    'a name or path for the C library is short and holds no NUL',
  );
  const buffer = strings[nextString++ & 3]!;
  buffer.set(bytes);
  buffer[bytes.length] = 0;
  return buffer;
}

/** Opens `name` below `dirfd`; the descriptor is always close-on-exec. */
export function openat(dirfd: number, name: Uint8Array, openFlags: number, mode: number = 0): number {
  for (;;) {
    const fd = settle(libc().openat(dirfd, cString(name), openFlags | flags.O_CLOEXEC, mode));
    if (fd !== -EINTR) return fd;
  }
}
/** Never repeated: Linux has freed the descriptor also when it was interrupted. */
export function close(fd: number): number {
  const result = settle(libc().close(fd));
  return result === -EINTR ? 0 : result;
}
/** Reads until `into` is full or the file ends. Returns the bytes read. */
export function pread(fd: number, into: Uint8Array, offset: number): number {
  let done = 0;
  while (done < into.length) {
    const part = done === 0 ? into : into.subarray(done);
    const count = settle(libc().pread(fd, part, part.length, offset + done));
    if (count === -EINTR) continue;
    if (count < 0) return count;
    if (count === 0) break;
    done += count;
  }
  return done;
}
/** Writes all of `content`. Returns its length. */
export function pwrite(fd: number, content: Uint8Array, offset: number): number {
  let done = 0;
  while (done < content.length) {
    const part = done === 0 ? content : content.subarray(done);
    const count = settle(libc().pwrite(fd, part, part.length, offset + done));
    if (count === -EINTR) continue;
    if (count < 0) return count;
    done += count;
  }
  return done;
}
/** `into` takes 256 bytes, laid out as in statx(2). An empty name with AT_EMPTY_PATH asks about the descriptor itself. */
export function statx(dirfd: number, name: Uint8Array, atFlags: number, into: Uint8Array): number {
  const STATX_BASIC_STATS = 0x7ff;
  return settle(libc().statx(dirfd, cString(name), atFlags, STATX_BASIC_STATS, into));
}
export function mkdirat(dirfd: number, name: Uint8Array, mode: number): number {
  return settle(libc().mkdirat(dirfd, cString(name), mode));
}
export function symlinkat(target: Uint8Array, dirfd: number, name: Uint8Array): number {
  return settle(libc().symlinkat(cString(target), dirfd, cString(name)));
}
/** A second name for what `fromName` is; a symlink is linked itself, not followed. */
export function linkat(fromDirfd: number, fromName: Uint8Array, toDirfd: number, toName: Uint8Array): number {
  return settle(libc().linkat(fromDirfd, cString(fromName), toDirfd, cString(toName), 0));
}
export function mknodat(dirfd: number, name: Uint8Array, mode: number, device: bigint): number {
  return settle(libc().mknodat(dirfd, cString(name), mode, device));
}
export function unlinkat(dirfd: number, name: Uint8Array, atFlags: number = 0): number {
  return settle(libc().unlinkat(dirfd, cString(name), atFlags));
}
export function renameat2(
  fromDirfd: number,
  fromName: Uint8Array,
  toDirfd: number,
  toName: Uint8Array,
  renameFlags: number,
): number {
  return settle(libc().renameat2(fromDirfd, cString(fromName), toDirfd, cString(toName), renameFlags));
}
export function readlinkat(dirfd: number, name: Uint8Array, into: Uint8Array): number {
  return settle(libc().readlinkat(dirfd, cString(name), into, into.length));
}
/** Whether the effective user may read (4), write (2) or search (1); never follows a symlink. */
export function faccessat(dirfd: number, name: Uint8Array, mode: number): number {
  return settle(libc().faccessat(dirfd, cString(name), mode, flags.AT_EACCESS | flags.AT_SYMLINK_NOFOLLOW));
}
export function fchown(fd: number, uid: number, gid: number): number {
  return settle(libc().fchown(fd, uid, gid));
}
/** Of a symlink, the symlink itself. */
export function fchownat(dirfd: number, name: Uint8Array, uid: number, gid: number): number {
  return settle(libc().fchownat(dirfd, cString(name), uid, gid, flags.AT_SYMLINK_NOFOLLOW));
}
export function fchmod(fd: number, mode: number): number {
  return settle(libc().fchmod(fd, mode));
}
/** chmod(2) for a /proc/self/fd path; it follows symlinks, so no other path belongs here. */
export function chmod(path: Uint8Array, mode: number): number {
  return settle(libc().chmod(cString(path), mode));
}
/** `times` are two timespecs of 16 bytes: access, then modification. Of a symlink, the symlink's own. */
export function utimensat(dirfd: number, name: Uint8Array, times: Uint8Array): number {
  return settle(libc().utimensat(dirfd, cString(name), times, flags.AT_SYMLINK_NOFOLLOW));
}
export function futimens(fd: number, times: Uint8Array): number {
  return settle(libc().futimens(fd, times));
}
export function lgetxattr(path: Uint8Array, name: Uint8Array, into: Uint8Array): number {
  return settle(libc().lgetxattr(cString(path), cString(name), into, into.length));
}
export function llistxattr(path: Uint8Array, into: Uint8Array): number {
  return settle(libc().llistxattr(cString(path), into, into.length));
}
/** listxattrat(2) of Linux 6.13 on: a third of the cost of the way through /proc. -ENOSYS before. */
export function listxattrat(dirfd: number, name: Uint8Array, into: Uint8Array): number {
  return settle(
    libc().listxattrat(syscalls.listxattrat, dirfd, cString(name), flags.AT_SYMLINK_NOFOLLOW, into, into.length),
  );
}
export function lsetxattr(path: Uint8Array, name: Uint8Array, value: Uint8Array): number {
  return settle(libc().lsetxattr(cString(path), cString(name), value, value.length, 0));
}
export function fsetxattr(fd: number, name: Uint8Array, value: Uint8Array): number {
  return settle(libc().fsetxattr(fd, cString(name), value, value.length, 0));
}
export function lremovexattr(path: Uint8Array, name: Uint8Array): number {
  return settle(libc().lremovexattr(cString(path), cString(name)));
}
export function lseek(fd: number, offset: number, whence: number): number {
  return settle(libc().lseek(fd, offset, whence));
}
export function ftruncate(fd: number, sizeBytes: number): number {
  for (;;) {
    const result = settle(libc().ftruncate(fd, sizeBytes));
    if (result !== -EINTR) return result;
  }
}
export function fallocate(fd: number, mode: number, offset: number, length: number): number {
  for (;;) {
    const result = settle(libc().fallocate(fd, mode, offset, length));
    if (result !== -EINTR) return result;
  }
}
export function fsync(fd: number): number {
  for (;;) {
    const result = settle(libc().fsync(fd));
    if (result !== -EINTR) return result;
  }
}
export function syncfs(fd: number): number {
  return settle(libc().syncfs(fd));
}
/** Has the kernel start writing a range to the disk; waits for nothing but room in the disk's queue. */
export function startWriteback(fd: number, offset: number, length: number): number {
  return settle(libc().sync_file_range(fd, offset, length, flags.SYNC_FILE_RANGE_WRITE));
}
/** As startWriteback, in a thread of libuv's: the queue of a slow disk may be full. Only a hint: it tells of no failure. */
export function startWritebackAside(fd: number, offset: number, length: number): Promise<void> {
  return aside('sync_file_range', fd, offset, length, flags.SYNC_FILE_RANGE_WRITE);
}
/** Drops what is on the disk already of a range from memory, in a thread of libuv's. Only a hint: it tells of no failure. */
export function dropCacheAside(fd: number, offset: number, length: number): Promise<void> {
  return aside('posix_fadvise', fd, offset, length, flags.FADV_DONTNEED);
}
export function flock(fd: number, operation: number): number {
  return settle(libc().flock(fd, operation));
}
// 0xc0189436 on x64 and arm64 (linux/fs.h).
const FIDEDUPERANGE = 0xc0189436;
/** Has other files share a range with `fd` if they hold the same; `range` is struct file_dedupe_range, which takes what became of each. */
export function shareRange(fd: number, range: Uint8Array): number {
  return settle(libc().ioctl(fd, FIDEDUPERANGE, range));
}
/** As shareRange, in a thread of libuv's: it reads both files. -EINVAL stands for every failure of the call as a whole. */
export function shareRangeAside(fd: number, range: Uint8Array): Promise<number> {
  return new Promise((resolve) => {
    libc().ioctl.async(fd, FIDEDUPERANGE, range, (error: unknown, result: number) => {
      resolve(error === null && result >= 0 ? result : -errnos.EINVAL);
    });
  });
}
/** `length` 0 means to the end. */
export function posixFadvise(fd: number, offset: number, length: number, advice: number): number {
  // It returns the error instead of setting errno.
  return 0 - libc().posix_fadvise(fd, offset, length, advice);
}
/** `into` takes the 120 bytes of struct statfs. */
export function fstatfs(fd: number, into: Uint8Array): number {
  return settle(libc().fstatfs(fd, into));
}
/** Records of struct linux_dirent64; 0 at the end. */
export function getdents64(fd: number, into: Uint8Array): number {
  return settle(libc().getdents64(syscalls.getdents64, fd, into, into.length));
}
/** Nice value of one thread (Linux keeps it per thread). -20 to 19. */
export function setThreadPriority(thread: number, nice: number): number {
  return settle(libc().setpriority(0, thread, nice));
}
/** Nice value of one thread; a negative one cannot be told from an error and both mean: not lowered yet. */
export function getThreadPriority(thread: number): number {
  return libc().getpriority(0, thread);
}
export function setThreadIoPriority(thread: number, priority: number): number {
  return settle(libc().ioprioSet(syscalls.ioprioSet, 1, thread, priority));
}
/**
 * Has malloc use few arenas and give freed memory back soon. Each thread has an arena of its own otherwise, and each keeps what
 * it once had: measured, 70 MiB of an agent's 300. glibc only; elsewhere the call does not exist and nothing changes.
 */
export function limitMalloc(arenas: number, keptBytes: number): void {
  const M_TRIM_THRESHOLD = -1;
  const M_ARENA_MAX = -8;
  libc().mallopt(M_ARENA_MAX, arenas);
  libc().mallopt(M_TRIM_THRESHOLD, keptBytes);
}
/** A socket of the default protocol. */
export function socket(domain: number, type: number): number {
  return settle(libc().socket(domain, type, 0));
}
/** Two sockets that are connected with each other; `into` takes their descriptors, which are close-on-exec. */
export function socketpair(domain: number, type: number, into: Int32Array): number {
  return settle(libc().socketpair(domain, type | flags.SOCK_CLOEXEC, 0, into));
}
/** Sends one datagram to an address as sockaddr. Returns the bytes sent. */
export function sendto(fd: number, datagram: Uint8Array, address: Uint8Array): number {
  for (;;) {
    const count = settle(libc().sendto(fd, datagram, datagram.length, flags.MSG_NOSIGNAL, address, address.length));
    if (count !== -EINTR) return count;
  }
}
