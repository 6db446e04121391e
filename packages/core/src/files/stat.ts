import type { EntryKind } from '../protocol/entry.ts';
import { check, flags, statx } from './libc.ts';
import { printable } from './names.ts';

// What the kernel says of one thing in a tree.

export type StatKind = Exclude<EntryKind, 'hardlink'> | 'socket' | 'other';

export type Stat = {
  readonly kind: StatKind;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly allocatedBytes: number;
  readonly modifyTimeNs: bigint;
  readonly accessTimeNs: bigint;
  readonly changeTimeNs: bigint;
  readonly inode: bigint;
  /** The number stat(1) prints as %d. */
  readonly device: bigint;
  readonly links: number;
  /** Of a device node: which device it is. */
  readonly major: number;
  readonly minor: number;
  /** Something is mounted here; undefined on kernels before 5.8, which do not say. */
  readonly mountRoot: boolean | undefined;
};

const raw = new Uint8Array(256);
const view = new DataView(raw.buffer);
const empty = new Uint8Array(0);
const attributeMountRoot = 0x2000;
const kinds: Readonly<Record<number, StatKind>> = {
  1: 'fifo',
  2: 'character',
  4: 'directory',
  6: 'block',
  8: 'file',
  10: 'symlink',
  12: 'socket',
};

/** A device's number as Linux packs it into dev_t. */
export function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}

// A tree lies on one device or a few: the last answer is nearly always the next.
let lastMajor = -1;
let lastMinor = -1;
let lastDevice = 0n;

function deviceOf(major: number, minor: number): bigint {
  if (major === lastMajor && minor === lastMinor) return lastDevice;
  lastMajor = major;
  lastMinor = minor;
  return (lastDevice = deviceNumber(major, minor));
}

function timeNs(offset: number): bigint {
  return view.getBigInt64(offset, true) * 1_000_000_000n + BigInt(view.getUint32(offset + 8, true));
}

function safeNumber(offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}

// Layout of struct statx: statx(2); the same on every 64-bit machine.
function parse(): Stat {
  const mode = view.getUint16(28, true);
  const knowsMountRoot = (view.getUint32(56, true) & attributeMountRoot) !== 0;
  return {
    kind: kinds[mode >> 12] ?? 'other',
    mode: mode & 0o7777,
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    sizeBytes: safeNumber(40),
    allocatedBytes: safeNumber(48) * 512,
    modifyTimeNs: timeNs(112),
    accessTimeNs: timeNs(64),
    changeTimeNs: timeNs(96),
    inode: view.getBigUint64(32, true),
    device: deviceOf(view.getUint32(136, true), view.getUint32(140, true)),
    links: view.getUint32(16, true),
    major: view.getUint32(128, true),
    minor: view.getUint32(132, true),
    mountRoot: knowsMountRoot ? (view.getUint32(8, true) & attributeMountRoot) !== 0 : undefined,
  };
}

/** What `name` below `dirfd` is; never follows a symlink. The negative errno when the kernel does not say. */
export function tryStatAt(dirfd: number, name: Uint8Array): Stat | number {
  const result = statx(dirfd, name, flags.AT_SYMLINK_NOFOLLOW | flags.AT_NO_AUTOMOUNT, raw);
  return result < 0 ? result : parse();
}

/** What `name` below `dirfd` is; never follows a symlink. Throws SystemError. */
export function statAt(dirfd: number, name: Uint8Array): Stat {
  check(statx(dirfd, name, flags.AT_SYMLINK_NOFOLLOW | flags.AT_NO_AUTOMOUNT, raw), 'statx', () => printable(name));
  return parse();
}

/** What an open descriptor is, also one opened with O_PATH. Throws SystemError. */
export function statDescriptor(fd: number): Stat {
  check(statx(fd, empty, flags.AT_EMPTY_PATH, raw), 'statx', () => `descriptor ${fd}`);
  return parse();
}

/** Owner and mode of an open descriptor: the cheap part of {@link statDescriptor}, for every small file that is written. */
export function statOwner(fd: number): { readonly uid: number; readonly gid: number; readonly mode: number } {
  check(statx(fd, empty, flags.AT_EMPTY_PATH, raw), 'statx', () => `descriptor ${fd}`);
  return { uid: view.getUint32(20, true), gid: view.getUint32(24, true), mode: view.getUint16(28, true) & 0o7777 };
}
