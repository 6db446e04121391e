import { assert } from '../errors.ts';
import type { FileEntry } from '../protocol/entry.ts';
import type { EntryTable } from '../protocol/entry-table.ts';
import { DescriptorCache } from './descriptor-cache.ts';
import { type DirectoryHandles, entryPath } from './directories.ts';
import { type FinishOptions, finishTree } from './finish.ts';
import {
  check,
  close,
  errnos,
  fallocate,
  flags,
  ftruncate,
  mkdirat,
  openat,
  pwrite,
  SystemError,
  startWriteback,
} from './libc.ts';
import { applyMetadata, descriptorTarget } from './metadata.ts';
import type { NotKept } from './not-kept.ts';
import { chmodAt } from './open.ts';
import { removeTree } from './remove.ts';
import { writeSparse } from './sparse-write.ts';
import { statAt, statDescriptor, statOwner } from './stat.ts';
import { removeInheritedAcls } from './xattrs.ts';

export type { FinishOptions } from './finish.ts';
export type { NotKept } from './not-kept.ts';

// Writes a staged tree: directories, then content in any order and from several threads, then everything else.

/**
 * Pieces of this length go to the disk at once, while others are still on their way. Left to the kernel, most of a copy would wait
 * for the sync at its end, and a host that others use would stall under it. Smaller pieces cost more calls than they save.
 */
const writebackBytesMin = 256 * 1024;

/** `existingBytes`: below this the file may have held something when it was opened. */
type OpenFile = { readonly existingBytes: number };

/**
 * Builds a tree by entry index. One per thread; the handles belong to the caller. Until finish() everything is private to its
 * owner (directories 0700, files with their final mode only when their owner is us). Everything can be repeated after a crash.
 */
export class TreeWriter implements Disposable {
  readonly #table: EntryTable;
  readonly #handles: DirectoryHandles;
  readonly #files: DescriptorCache<OpenFile>;
  readonly #isSpool: boolean;
  readonly #uid: number = process.geteuid?.() ?? 0;
  readonly #gid: number = process.getegid?.() ?? 0;

  /** `isSpool`: what is written is read once and freed, so that it had better not go to the disk at all. */
  constructor(table: EntryTable, handles: DirectoryHandles, { isSpool = false }: { readonly isSpool?: boolean } = {}) {
    this.#isSpool = isSpool;
    this.#table = table;
    this.#handles = handles;
    this.#files = new DescriptorCache((index) => entryPath(table, index));
  }

  /**
   * Makes the directories among the entries `from` to `to`, mode 0700; those that are there stay, with their mode set back, so
   * that also their unprivileged owner can work in them. Throws SystemError.
   */
  makeDirectories(from: number = 0, to: number = this.#table.count): void {
    for (let index = from; index < to; index += 1) {
      if (this.#table.entry(index).kind === 'directory') this.#makeDirectory(index);
    }
  }

  /**
   * Writes a file and its metadata in one go. `content` is all of it. What an earlier attempt left under the name is replaced.
   * Throws SystemError.
   */
  writeWholeFile(entryIndex: number, content: Uint8Array): void {
    const entry = this.#file(entryIndex);
    assert(content.length === entry.sizeBytes, 'a whole file has the size of its entry');
    const path = (): string => entryPath(this.#table, entryIndex);
    const dirfd = this.#handles.parentOf(entryIndex);
    const name = this.#handles.nameOf(entryIndex);
    // With our own owner the mode can be right from the start; another owner's file stays closed until it is theirs.
    const isOurs = entry.uid === this.#uid && entry.gid === this.#gid;
    const fd = this.#create(dirfd, name, isOurs ? entry.mode & 0o777 : 0o600, path);
    try {
      if (entryIndex === 0) removeInheritedAcls(dirfd, name);
      if (entry.extents === undefined) check(pwrite(fd, content, 0), 'pwrite', path);
      else {
        writeSparse(fd, 0, content, 0, path);
        check(ftruncate(fd, entry.sizeBytes), 'ftruncate', path);
      }
      // What is refused is counted by finish(), which looks at every file again.
      applyMetadata(descriptorTarget(fd), entry, statOwner(fd), () => {}, path);
    } catch (error) {
      close(fd);
      throw error;
    }
    // Some file systems report a failed write only here.
    check(close(fd), 'close', path);
  }

  /**
   * Writes a part of a file, whose metadata waits for finish(). Pieces come in any order, may be repeated, and may come from
   * several threads. Throws SystemError.
   */
  writePiece(entryIndex: number, offset: number, content: Uint8Array): void {
    const entry = this.#file(entryIndex);
    const path = (): string => entryPath(this.#table, entryIndex);
    const kept = this.#files.get(entryIndex);
    const { fd, existingBytes } =
      kept === undefined ? this.#openForPieces(entryIndex, entry, path) : { fd: kept.fd, ...kept.state };
    if (entry.extents === undefined) check(pwrite(fd, content, offset), 'pwrite', path);
    else writeSparse(fd, offset, content, existingBytes, path);
    // Only a hint: what cannot be written to the disk shows at the sync.
    if (!this.#isSpool && content.length >= writebackBytesMin) startWriteback(fd, offset, content.length);
  }

  /** Frees a part of a file that was written in pieces, where the file system can do that: zeros are in its place then. Throws SystemError. */
  free(entryIndex: number, offset: number, bytes: number): void {
    const entry = this.#file(entryIndex);
    const path = (): string => entryPath(this.#table, entryIndex);
    const { fd } = this.#files.get(entryIndex) ?? this.#openForPieces(entryIndex, entry, path);
    const result = fallocate(fd, flags.FALLOC_KEEP_SIZE_PUNCH_HOLE, offset, bytes);
    if (result !== -errnos.EOPNOTSUPP && result !== -errnos.ENOSYS) check(result, 'fallocate', path);
  }

  /** Removes what is staged of an entry, because it is not what the source has any more. Throws SystemError. */
  discard(entryIndex: number): void {
    this.#files.forget(entryIndex);
    if (this.#table.entry(entryIndex).kind === 'directory') this.#handles.close();
    let dirfd: number;
    try {
      dirfd = this.#handles.parentOf(entryIndex);
    } catch (error) {
      if (error instanceof SystemError && error.errno === errnos.ENOENT) return;
      throw error;
    }
    removeTree(dirfd, this.#handles.nameOf(entryIndex));
  }

  /**
   * Completes the tree: files without content, symlinks, hardlinks, FIFOs and devices are made, sizes and metadata set,
   * directories last. Runs once all threads have written. Returns what could not be kept, counted over the whole tree.
   * Throws SystemError, STAGING_DAMAGED when a file with content is not there, UNSUPPORTED where links cannot be made.
   */
  finish(options: FinishOptions): NotKept[] {
    this.#files.close();
    this.makeDirectories();
    return finishTree(this.#table, this.#handles, options);
  }

  /** Closes the files it holds open. Throws SystemError when one of them was not written. */
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

  #makeDirectory(index: number): void {
    const path = (): string => entryPath(this.#table, index);
    const dirfd = this.#handles.parentOf(index);
    const name = this.#handles.nameOf(index);
    let result = mkdirat(dirfd, name, 0o700);
    if (result === -errnos.EEXIST) {
      const stat = statAt(dirfd, name);
      if (stat.kind !== 'directory') {
        removeTree(dirfd, name);
        result = mkdirat(dirfd, name, 0o700);
      } else result = stat.mode === 0o700 ? 0 : chmodAt(dirfd, name, 0o700);
    }
    check(result, 'mkdirat', path);
    if (index !== 0) return;
    // Default ACLs and setgid of the directory above would go down into the whole tree.
    removeInheritedAcls(dirfd, name);
    check(chmodAt(dirfd, name, 0o700), 'chmod', path);
  }

  #create(dirfd: number, name: Uint8Array, mode: number, path: () => string): number {
    const openFlags = flags.O_WRONLY | flags.O_CREAT | flags.O_EXCL | flags.O_NOFOLLOW;
    const fd = openat(dirfd, name, openFlags, mode);
    if (fd !== -errnos.EEXIST) return check(fd, 'openat', path);
    removeTree(dirfd, name);
    return check(openat(dirfd, name, openFlags, mode), 'openat', path);
  }

  #openForPieces(
    index: number,
    entry: FileEntry,
    path: () => string,
  ): { readonly fd: number; readonly existingBytes: number } {
    const dirfd = this.#handles.parentOf(index);
    const fd = check(openStagedFile(dirfd, this.#handles.nameOf(index)), 'openat', path);
    try {
      if (index === 0) removeInheritedAcls(dirfd, this.#handles.nameOf(index));
      const { sizeBytes } = statDescriptor(fd);
      if (sizeBytes > entry.sizeBytes) check(ftruncate(fd, entry.sizeBytes), 'ftruncate', path);
      this.#files.keep(index, fd, { existingBytes: sizeBytes });
      return { fd, existingBytes: sizeBytes };
    } catch (error) {
      close(fd);
      throw error;
    }
  }
}

/** Opens a staged file for writing, making it if needed; what has the name and is no file is removed. The negative errno on failure. */
function openStagedFile(dirfd: number, name: Uint8Array): number {
  const openFlags = flags.O_WRONLY | flags.O_CREAT | flags.O_NOFOLLOW | flags.O_NONBLOCK;
  const fd = openat(dirfd, name, openFlags, 0o600);
  if (fd === -errnos.EACCES) {
    // Finished by an earlier run with a mode that keeps its own owner out.
    const result = chmodAt(dirfd, name, 0o600);
    return result < 0 ? fd : openat(dirfd, name, openFlags, 0o600);
  }
  if (fd !== -errnos.ELOOP && fd !== -errnos.EISDIR && fd !== -errnos.ENXIO) return fd;
  removeTree(dirfd, name);
  return openat(dirfd, name, openFlags, 0o600);
}
