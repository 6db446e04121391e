import { constants as fsConstants } from 'node:fs';
import { constants as osConstants } from 'node:os';

/** Flags and numbers of Linux. Those that differ between x64 and arm64 come from Node, which was built for this machine. */
export const flags = {
  AT_FDCWD: -100,
  AT_SYMLINK_NOFOLLOW: 0x100,
  AT_EACCESS: 0x200,
  AT_REMOVEDIR: 0x200,
  AT_NO_AUTOMOUNT: 0x800,
  AT_EMPTY_PATH: 0x1000,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NONBLOCK: 0o4000,
  get O_DIRECTORY(): number {
    return fsConstants.O_DIRECTORY;
  },
  get O_NOFOLLOW(): number {
    return fsConstants.O_NOFOLLOW;
  },
  O_NOATIME: 0o1000000,
  O_CLOEXEC: 0o2000000,
  O_PATH: 0o10000000,
  SEEK_SET: 0,
  SEEK_DATA: 3,
  SEEK_HOLE: 4,
  RENAME_NOREPLACE: 1,
  RENAME_EXCHANGE: 2,
  LOCK_EX_NB: 6,
  LOCK_UN: 8,
  FADV_SEQUENTIAL: 2,
  FADV_DONTNEED: 4,
  SYNC_FILE_RANGE_WRITE: 2,
  FALLOC_KEEP_SIZE_PUNCH_HOLE: 3,
  AF_UNIX: 1,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_CLOEXEC: 0o2000000,
  MSG_NOSIGNAL: 0x4000,
} as const;

/** Positive error numbers the callers compare with. */
export const errnos: typeof osConstants.errno = osConstants.errno;
