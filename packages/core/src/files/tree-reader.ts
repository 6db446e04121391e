import { assert } from '../errors.ts';
import type { ChangeKind } from '../protocol/changes.ts';
import type { FileEntry } from '../protocol/entry.ts';
import type { EntryTable } from '../protocol/entry-table.ts';
import { DescriptorCache } from './descriptor-cache.ts';
import { type DirectoryHandles, entryPath } from './directories.ts';
import { check, close, errnos, flags, posixFadvise, pread, SystemError } from './libc.ts';
import { openForReading } from './open.ts';
import { statDescriptor } from './stat.ts';

// Reads the content of a tree's files, and tells when a file is not what its entry says.

export type ReadResult = {
  /** Bytes that came from the file; the rest of the buffer is zeros. */
  readonly readBytes: number;
  readonly change: ChangeKind | undefined;
};

export type TreeReaderOptions = {
  /**
   * True for a source: a file whose size, times, inode or device differ from its entry has changed. False for what Baton staged
   * itself, whose inodes are its own: only a file that is too short or missing tells.
   */
  readonly checkIdentity: boolean;
};

/** Reads pieces of files by entry index. One per thread. The handles belong to the caller. */
export class TreeReader implements Disposable {
  readonly #table: EntryTable;
  readonly #handles: DirectoryHandles;
  readonly #checkIdentity: boolean;
  readonly #files: DescriptorCache<undefined>;

  constructor(table: EntryTable, handles: DirectoryHandles, options: TreeReaderOptions) {
    this.#table = table;
    this.#handles = handles;
    this.#checkIdentity = options.checkIdentity;
    this.#files = new DescriptorCache((index) => entryPath(table, index));
  }

  /** Says where the root is now. */
  relocate(parentDescriptor: number, rootName: Uint8Array): void {
    this.#handles.relocate(parentDescriptor, rootName);
  }

  /**
   * Fills `into` with the file's content from `offset` on; what is missing is zeros. What a live tree does to a reader is a
   * `change`: `vanished`, `unreadable` (no permission, or the disk fails to read it), `shrank`, `grew`, `changed`.
   * Throws SystemError for what is not the file's fault (too many open files).
   */
  readPiece(entryIndex: number, offset: number, into: Uint8Array): ReadResult {
    const entry = this.#file(entryIndex);
    const kept = this.#files.get(entryIndex);
    const fd = kept?.fd ?? this.#open(entryIndex);
    if (fd < 0) return this.#lost(-fd, entryIndex, into);
    const isWhole = offset === 0 && into.length >= entry.sizeBytes;
    if (!isWhole && kept === undefined) this.#files.keep(entryIndex, fd, undefined);
    try {
      const readBytes = pread(fd, into, offset);
      if (readBytes < 0) return this.#lost(-readBytes, entryIndex, into);
      if (readBytes < into.length) into.fill(0, readBytes);
      return { readBytes, change: this.#changeOf(fd, entry, readBytes < into.length) };
    } finally {
      if (isWhole && kept === undefined) close(fd);
    }
  }

  /**
   * Asks the kernel to forget what it holds of a file, so that the next read comes from the disk. Only what is on the disk
   * already can be forgotten: sync first. `length` 0 means to the end.
   */
  dropCache(entryIndex: number, offset: number = 0, length: number = 0): void {
    const kept = this.#files.get(entryIndex);
    const fd = kept?.fd ?? this.#open(entryIndex);
    if (fd < 0) return;
    const result = posixFadvise(fd, offset, length, flags.FADV_DONTNEED);
    if (kept === undefined) close(fd);
    check(result, 'posix_fadvise', () => entryPath(this.#table, entryIndex));
  }

  /** Closes the files it holds open. */
  close(): void {
    this.#files.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #file(entryIndex: number): FileEntry {
    const entry = this.#table.entry(entryIndex);
    assert(entry.kind === 'file', 'only files have content');
    return entry;
  }

  #open(entryIndex: number): number {
    let dirfd: number;
    try {
      dirfd = this.#handles.parentOf(entryIndex);
    } catch (error) {
      if (error instanceof SystemError) return -error.errno;
      throw error;
    }
    return openForReading(dirfd, this.#handles.nameOf(entryIndex));
  }

  #lost(errno: number, entryIndex: number, into: Uint8Array): ReadResult {
    into.fill(0);
    return { readBytes: 0, change: changeOfErrno(errno) ?? this.#throw(errno, entryIndex) };
  }

  #throw(errno: number, entryIndex: number): never {
    throw new SystemError(errno, 'read', entryPath(this.#table, entryIndex));
  }

  // One look after the read is enough: whatever was written before it has moved the change time, which nobody can set back.
  #changeOf(fd: number, entry: FileEntry, isShort: boolean): ChangeKind | undefined {
    if (!this.#checkIdentity) return isShort ? 'shrank' : undefined;
    const stat = statDescriptor(fd);
    const { identity } = entry;
    if (stat.links === 0 || stat.kind !== 'file') return 'vanished';
    if (stat.inode !== identity.inode || stat.device !== identity.device) return 'changed';
    if (stat.sizeBytes > entry.sizeBytes) return 'grew';
    if (stat.sizeBytes < entry.sizeBytes || isShort) return 'shrank';
    const isSame = stat.changeTimeNs === identity.changeTimeNs && stat.modifyTimeNs === entry.modifyTimeNs;
    return isSame ? undefined : 'changed';
  }
}

function changeOfErrno(errno: number): ChangeKind | undefined {
  switch (errno) {
    case errnos.ENOENT:
    case errnos.ENOTDIR:
    case errnos.ESTALE:
    // A symlink, a directory, a FIFO or a device took the name: the file is gone, and nothing of it is to be written.
    case errnos.ELOOP:
    case errnos.EISDIR:
    case errnos.ESPIPE:
    case errnos.ENXIO:
    case errnos.ENODEV:
      return 'vanished';
    case errnos.EACCES:
    case errnos.EPERM:
    case errnos.EIO:
      return 'unreadable';
    default:
      return undefined;
  }
}
