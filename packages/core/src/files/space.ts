import { readFileSync } from 'node:fs';
import { check, close, flags, fstatfs, openat } from './libc.ts';
import { printable } from './names.ts';
import { statDescriptor } from './stat.ts';

// What a file system has left, for preflight.

export type FreeSpace = {
  /** The number stat(1) prints as %d: targets with the same one share the space. */
  readonly device: bigint;
  /** For this user: without the blocks reserved for root unless the user is root. */
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Undefined where the file system makes inodes as it needs them. */
  readonly freeInodes: number | undefined;
  /** Such as `ext4`. */
  readonly fileSystemType: string;
  readonly readOnly: boolean;
};

const readOnlyFlag = 1;
// statfs(2), for a mount that /proc/self/mountinfo lists under another device number (btrfs, overlay).
const magics: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlay',
  0x6969: 'nfs',
  0x2fc12fc1: 'zfs',
  0xf2f52010: 'f2fs',
  0x4d44: 'vfat',
  0x65735546: 'fuse',
  0xff534d42: 'cifs',
  0x00c36400: 'ceph',
  0xca451a4e: 'bcachefs',
};

/** What the file system has left on which `path` lies. Throws SystemError. */
export function freeSpace(path: Uint8Array): FreeSpace {
  const fd = check(openat(flags.AT_FDCWD, path, flags.O_PATH), 'openat', () => printable(path));
  try {
    return freeSpaceAt(fd);
  } finally {
    close(fd);
  }
}

/** What the file system of an open descriptor has left. Throws SystemError. */
export function freeSpaceAt(fd: number): FreeSpace {
  const raw = Buffer.alloc(128);
  check(fstatfs(fd, raw), 'fstatfs', () => `descriptor ${fd}`);
  // struct statfs of 64-bit machines: type, bsize, blocks, bfree, bavail, files, ffree, fsid, namelen, frsize, flags.
  const field = (index: number): number => Number(raw.readBigUInt64LE(index * 8));
  const blockBytes = field(9) || field(1);
  const { device } = statDescriptor(fd);
  return {
    device,
    freeBytes: field(process.geteuid?.() === 0 ? 3 : 4) * blockBytes,
    totalBytes: field(2) * blockBytes,
    freeInodes: field(5) === 0 ? undefined : field(6),
    fileSystemType: typeOf(device) ?? magics[raw.readUInt32LE(0)] ?? `0x${raw.readUInt32LE(0).toString(16)}`,
    readOnly: (field(10) & readOnlyFlag) !== 0,
  };
}

// proc_pid_mountinfo(5): id, parent, major:minor, root, mount point, options, optional fields, `-`, type, …
function typeOf(device: bigint): string | undefined {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const [left = '', right = ''] = line.split(' - ');
    if (left.split(' ')[2] === `${major}:${minor}`) return right.split(' ')[0];
  }
  return undefined;
}
