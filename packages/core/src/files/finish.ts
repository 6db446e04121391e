import { BatonError } from '../errors.ts';
import type { DeviceEntry, Entry, FifoEntry, FileEntry, HardlinkEntry, SymlinkEntry } from '../protocol/entry.ts';
import type { EntryTable } from '../protocol/entry-table.ts';
import { type DirectoryHandles, entryPath } from './directories.ts';
import { check, close, errnos, flags, ftruncate, linkat, mknodat, openat, symlinkat } from './libc.ts';
import { applyMetadata, namedTarget } from './metadata.ts';
import { type NotKept, NotKeptCounter } from './not-kept.ts';
import { chmodAt } from './open.ts';
import { removeTree } from './remove.ts';
import { deviceNumber, type Stat, tryStatAt } from './stat.ts';
import { removeInheritedAcls } from './xattrs.ts';

// The last pass over a staged tree.

export type FinishOptions = {
  /** False: files whose size, time, owner and mode are right already are trusted to be complete. True: all are set again. */
  readonly applyAllFiles: boolean;
  /** Entries that could not be read at the source: they are left out, with their other names. */
  readonly omit?: ReadonlySet<number>;
  /** Called now and then with the number of entries done. */
  readonly onProgress?: (doneEntries: number) => void;
};

const progressEvery = 1000;
const typeBits = { fifo: 0o010000, character: 0o020000, block: 0o060000, file: 0o100000 } as const;
const noOmissions: ReadonlySet<number> = new Set();

/** Makes and completes everything but directories' existence; see TreeWriter.finish. */
export function finishTree(table: EntryTable, handles: DirectoryHandles, options: FinishOptions): NotKept[] {
  return new Finisher(table, handles, options).run();
}

class Finisher {
  readonly #table: EntryTable;
  readonly #handles: DirectoryHandles;
  readonly #options: FinishOptions;
  readonly #omit: ReadonlySet<number>;
  readonly #notKept = new NotKeptCounter();
  /** Devices that were refused: their other names cannot be made either. */
  readonly #refused = new Map<number, number>();

  constructor(table: EntryTable, handles: DirectoryHandles, options: FinishOptions) {
    this.#table = table;
    this.#handles = handles;
    this.#options = options;
    this.#omit = options.omit ?? noOmissions;
  }

  run(): NotKept[] {
    const { count } = this.#table;
    for (let index = 0; index < count; index += 1) {
      this.#make(index);
      if (index % progressEvery === 0) this.#options.onProgress?.(index);
    }
    // Children before parents: making or setting a child changes its directory's times.
    for (let index = count - 1; index >= 0; index -= 1) {
      const entry = this.#table.entry(index);
      if (entry.kind === 'directory') this.#apply(index, entry);
    }
    this.#options.onProgress?.(count);
    return this.#notKept.list();
  }

  #make(index: number): void {
    const entry = this.#table.entry(index);
    const isOmitted = this.#omit.has(index) || (entry.kind === 'hardlink' && this.#omit.has(entry.link));
    if (isOmitted) {
      removeTree(this.#handles.parentOf(index), this.#handles.nameOf(index));
      return;
    }
    switch (entry.kind) {
      case 'directory':
        return;
      case 'file':
        return this.#file(index, entry);
      case 'hardlink':
        return this.#hardlink(index, entry);
      case 'symlink':
        return this.#symlink(index, entry);
      case 'fifo':
      case 'character':
      case 'block':
        return this.#node(index, entry);
      default:
        entry satisfies never;
    }
  }

  #file(index: number, entry: FileEntry): void {
    const dirfd = this.#handles.parentOf(index);
    const name = this.#handles.nameOf(index);
    let stat = tryStatAt(dirfd, name);
    if (stat === -errnos.ENOENT && hasNoContent(entry)) {
      check(mknodat(dirfd, name, typeBits.file | 0o600, 0n), 'mknodat', () => this.#path(index));
      if (index === 0) removeInheritedAcls(dirfd, name);
      stat = tryStatAt(dirfd, name);
    }
    if (typeof stat === 'number' || stat.kind !== 'file') {
      throw new BatonError('STAGING_DAMAGED', `${this.#path(index)} is not in the staged copy any more`, {
        hint: 'something else removed it: run the same command again',
      });
    }
    // Of a stream, what was written is all there is to know of its size.
    if (!entry.isStream && stat.sizeBytes !== entry.sizeBytes) this.#resize(index, dirfd, name, entry.sizeBytes);
    else if (!this.#options.applyAllFiles && isComplete(stat, entry)) return;
    // An unprivileged owner may set attributes only of what may be written.
    if (entry.xattrs.length > 0) chmodAt(dirfd, name, 0o600);
    this.#apply(index, entry);
  }

  #resize(index: number, dirfd: number, name: Uint8Array, sizeBytes: number): void {
    const path = (): string => this.#path(index);
    const openFlags = flags.O_WRONLY | flags.O_NOFOLLOW | flags.O_NONBLOCK;
    let fd = openat(dirfd, name, openFlags);
    if (fd === -errnos.EACCES && chmodAt(dirfd, name, 0o600) === 0) fd = openat(dirfd, name, openFlags);
    check(fd, 'openat', path);
    const result = ftruncate(fd, sizeBytes);
    const closed = close(fd);
    check(result, 'ftruncate', path);
    check(closed, 'close', path);
  }

  #symlink(index: number, entry: SymlinkEntry): void {
    const result = this.#again(index, (dirfd, name) => symlinkat(entry.target, dirfd, name));
    if (result === -errnos.EPERM || result === -errnos.EOPNOTSUPP) throw this.#unsupported(index, 'symbolic links');
    check(result, 'symlinkat', () => this.#path(index));
    this.#apply(index, entry);
  }

  #node(index: number, entry: FifoEntry | DeviceEntry): void {
    const device = entry.kind === 'fifo' ? 0n : deviceNumber(entry.major, entry.minor);
    const result = this.#again(index, (dirfd, name) => mknodat(dirfd, name, typeBits[entry.kind] | 0o600, device));
    if (result === -errnos.EPERM || result === -errnos.EOPNOTSUPP || result === -errnos.EINVAL) {
      this.#refused.set(index, -result);
      this.#notKept.add('device', -result, () => this.#path(index));
      return;
    }
    check(result, 'mknodat', () => this.#path(index));
    this.#apply(index, entry);
  }

  #hardlink(index: number, entry: HardlinkEntry): void {
    const refusal = this.#refused.get(entry.link);
    if (refusal !== undefined) {
      this.#notKept.add('device', refusal, () => this.#path(index));
      return;
    }
    const linkName = this.#handles.nameOf(entry.link);
    const result = this.#again(index, (dirfd, name) =>
      linkat(this.#handles.parentOf(entry.link), linkName, dirfd, name),
    );
    if (result === -errnos.EPERM || result === -errnos.EOPNOTSUPP || result === -errnos.EMLINK)
      throw this.#unsupported(index, 'this many hard links');
    check(result, 'linkat', () => this.#path(index));
  }

  // Makes something; what an earlier run left under the name is made again.
  #again(index: number, make: (dirfd: number, name: Uint8Array) => number): number {
    const dirfd = this.#handles.parentOf(index);
    const name = this.#handles.nameOf(index);
    const result = make(dirfd, name);
    if (result !== -errnos.EEXIST) return result;
    removeTree(this.#handles.parentOf(index), name);
    return make(this.#handles.parentOf(index), name);
  }

  #apply(index: number, entry: Exclude<Entry, HardlinkEntry>): void {
    const dirfd = this.#handles.parentOf(index);
    const name = this.#handles.nameOf(index);
    const path = (): string => this.#path(index);
    const stat = tryStatAt(dirfd, name);
    if (typeof stat === 'number') {
      check(stat, 'statx', path);
      return;
    }
    applyMetadata(namedTarget(dirfd, name), entry, stat, (what, errno) => this.#notKept.add(what, errno, path), path);
  }

  #path(index: number): string {
    return entryPath(this.#table, index);
  }

  #unsupported(index: number, what: string): BatonError {
    return new BatonError('UNSUPPORTED', `${this.#path(index)}: this file system cannot hold ${what}`, {
      hint: 'choose a target on another file system, or leave it out with --exclude',
    });
  }
}

function hasNoContent({ sizeBytes, extents }: FileEntry): boolean {
  return sizeBytes === 0 || extents?.length === 0;
}

// Times are set last, so a file that has its time has the rest; attributes do not show and are set again.
function isComplete(stat: Stat, entry: FileEntry): boolean {
  return (
    stat.modifyTimeNs === entry.modifyTimeNs &&
    stat.mode === entry.mode &&
    stat.uid === entry.uid &&
    stat.gid === entry.gid &&
    entry.xattrs.length === 0
  );
}
