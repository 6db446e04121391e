import { BatonError } from '../errors.ts';
import { DirectoryHandles } from '../files/directories.ts';
import { check, errnos, flags, linkat, mkdirat, mknodat, openat, symlinkat } from '../files/libc.ts';
import { applyMetadata, type Metadata, namedTarget } from '../files/metadata.ts';
import { printable } from '../files/names.ts';
import { type NotKept, NotKeptCounter } from '../files/not-kept.ts';
import { chmodAt } from '../files/open.ts';
import { deviceNumber, statAt, tryStatAt } from '../files/stat.ts';
import { removeInheritedAcls } from '../files/xattrs.ts';
import { limits } from '../limits.ts';
import type { DirectoryEntry } from '../protocol/entry.ts';
import { badArchive, shownPath } from './archive-error.ts';
import type { ArchiveEvent, Member } from './member.ts';
import { checkSymlink, placeOf } from './member-place.ts';
import { SpaceGuard } from './space-guard.ts';
import { UnpackedDirectories } from './unpacked-directories.ts';
import { UnpackedFile } from './unpacked-file.ts';

// Makes what an archive says, below one directory of its own. Everything is made, and only made (O_EXCL and its like), by name in
// a directory that is open, never by a path: what is not a directory that we have made ourselves is not gone through.

/** What was unpacked. */
export type UnpackReport = {
  /** Files, directories, links and others that were made. */
  readonly entries: number;
  readonly files: number;
  /** Content of files, without holes. */
  readonly contentBytes: number;
  /** Members other than directories that have no name without their first component. */
  readonly skipped: number;
  readonly notKept: readonly NotKept[];
};

const typeBits = { fifo: 0o010000, character: 0o020000, block: 0o060000 } as const;
const topMode = 0o700;
const impliedMode = 0o755;

/** Takes the events of one archive. Until finish() all directories are private to their owner. */
export class Unpacker implements Disposable {
  readonly #directories: UnpackedDirectories;
  readonly #handles: DirectoryHandles;
  readonly #space: SpaceGuard;
  readonly #membersMax: number;
  readonly #notKept = new NotKeptCounter();
  #file: UnpackedFile | undefined;
  #members = 0;
  #entries = 0;
  #files = 0;
  #contentBytes = 0;
  #skipped = 0;

  /** Unpacks into `name` below `parentDescriptor`, which must not exist. Throws SystemError. */
  constructor(parentDescriptor: number, name: Uint8Array, membersMax: number = limits.archiveMembersMax) {
    const path = (): string => printable(name);
    check(mkdirat(parentDescriptor, name, topMode), 'mkdirat', path);
    // Default ACLs and setgid of the target directory would go down into the whole tree.
    removeInheritedAcls(parentDescriptor, name);
    check(chmodAt(parentDescriptor, name, topMode), 'chmod', path);
    this.#directories = new UnpackedDirectories(impliedDirectory(-1, name));
    this.#handles = new DirectoryHandles(this.#directories, parentDescriptor, name);
    this.#space = new SpaceGuard(parentDescriptor);
    this.#membersMax = membersMax;
  }

  /** Entries made so far. */
  get entries(): number {
    return this.#entries;
  }

  /** Makes what comes next. Throws BAD_ARCHIVE, NO_SPACE, NO_INODES, NO_PERMISSION, UNSUPPORTED, SystemError. */
  take(event: ArchiveEvent): void {
    if (event.type === 'content') this.#file?.write(event.bytes);
    else if (event.type === 'member') this.#begin(event.member);
    else {
      this.#file?.finish((what, errno) => this.#notKept.add(what, errno, this.#file?.path ?? (() => '')));
      this.#file = undefined;
    }
  }

  /** Gives the directories their metadata, children before parents. Throws BAD_ARCHIVE when there is nothing, SystemError. */
  finish(): UnpackReport {
    if (this.#entries === 0)
      throw badArchive(
        undefined,
        'holds nothing below the first component of its paths, which is taken off',
        stripHint,
      );
    for (let index = this.#directories.count - 1; index > 0; index -= 1) {
      const entry = this.#directories.entry(index);
      const dirfd = this.#handles.parentOf(index);
      if (this.#directories.isSaid(index)) this.#apply(dirfd, entry.name, entry, () => printable(entry.name));
      else check(chmodAt(dirfd, entry.name, impliedMode), 'chmod', () => printable(entry.name));
    }
    const notKept = this.#notKept.list();
    return {
      entries: this.#entries,
      files: this.#files,
      contentBytes: this.#contentBytes,
      skipped: this.#skipped,
      notKept,
    };
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
    this.#file = undefined;
    this.#handles.close();
  }

  #begin(member: Member): void {
    if (++this.#members > this.#membersMax)
      throw badArchive(member.path, `is one member more than the limit of ${this.#membersMax}`);
    const place = placeOf(member.path);
    const name = place.at(-1);
    if (name === undefined) {
      if (member.kind !== 'directory') this.#skipped += 1;
      return;
    }
    const parent = this.#directory(place.slice(0, -1), member);
    this.#make(member, parent, name, place.length - 1);
    for (const what of member.notUnderstood) this.#notKept.add(what, errnos.EOPNOTSUPP, () => printable(member.path));
  }

  #make(member: Member, parent: number, name: Uint8Array, depth: number): void {
    const path = (): string => printable(member.path);
    if (member.kind === 'directory') return this.#makeDirectory(member, parent, name);
    this.#space.require(member.storedBytes, member.path);
    const dirfd = this.#handles.handle(parent);
    if (member.kind === 'file') {
      this.#file = new UnpackedFile(this.#made('openat', dirfd, name, member, createFile(dirfd, name)), member);
      this.#files += 1;
      this.#contentBytes += member.storedBytes;
    } else if (member.kind === 'symlink') {
      checkSymlink(member.linkPath, depth, member.path);
      this.#made('symlinkat', dirfd, name, member, symlinkat(member.linkPath, dirfd, name));
      this.#apply(dirfd, name, { ...member, kind: 'symlink' }, path);
    } else if (member.kind === 'hardlink') {
      this.#hardlink(member, parent, name);
    } else {
      const device = member.kind === 'fifo' ? 0n : deviceNumber(member.major, member.minor);
      const result = mknodat(dirfd, name, typeBits[member.kind] | 0o600, device);
      if (result === -errnos.EPERM && member.kind !== 'fifo') throw noDevice(member);
      this.#made('mknodat', dirfd, name, member, result);
      this.#apply(dirfd, name, { ...member, kind: member.kind }, path);
    }
    this.#entries += 1;
  }

  #makeDirectory(member: Member, parent: number, name: Uint8Array): void {
    const entry: DirectoryEntry = { ...member, kind: 'directory', parent, name };
    const known = this.#directories.find(parent, name);
    const index = known ?? this.#newDirectory(entry, member);
    if (!this.#directories.say(index, entry)) throw badArchive(member.path, 'comes twice');
  }

  /** The directory at a place, made if the archive has not spoken of it yet. */
  #directory(place: readonly Uint8Array[], member: Member): number {
    let at = 0;
    for (const name of place)
      at = this.#directories.find(at, name) ?? this.#newDirectory(impliedDirectory(at, name), member);
    return at;
  }

  #newDirectory(entry: DirectoryEntry, member: Member): number {
    this.#space.require(0, member.path);
    const dirfd = this.#handles.handle(entry.parent);
    this.#made('mkdirat', dirfd, entry.name, member, mkdirat(dirfd, entry.name, topMode));
    this.#entries += 1;
    return this.#directories.add(entry, member.path);
  }

  #hardlink(member: Member, parent: number, name: Uint8Array): void {
    const place = placeOf(member.linkPath, member.path);
    const linkName = place.at(-1);
    let from: number | undefined = 0;
    for (const part of place.slice(0, -1)) from = from === undefined ? undefined : this.#directories.find(from, part);
    const linked = linkName === undefined || from === undefined ? -1 : tryStatAt(this.#handles.handle(from), linkName);
    if (linkName === undefined || from === undefined || typeof linked === 'number' || linked.kind === 'directory')
      throw badArchive(member.path, `is a hard link to ${shownPath(member.linkPath)}, which is no file before it`);
    const dirfd = this.#handles.handle(parent);
    const result = linkat(this.#handles.handle(from), linkName, dirfd, name);
    if (result === -errnos.EPERM || result === -errnos.EOPNOTSUPP || result === -errnos.EMLINK) {
      throw new BatonError(
        'UNSUPPORTED',
        `${printable(member.path)}: this file system cannot hold this many hard links`,
        {
          hint: 'choose a target on another file system',
        },
      );
    }
    this.#made('linkat', dirfd, name, member, result);
  }

  /** Passes on the result of a call that makes a name; one that is taken says what the archive is up to. */
  #made(syscall: string, dirfd: number, name: Uint8Array, member: Member, result: number): number {
    if (result !== -errnos.EEXIST) return check(result, syscall, () => printable(member.path));
    const { kind } = statAt(dirfd, name);
    const isLast = Buffer.from(placeOf(member.path).at(-1) ?? '').equals(name);
    if (!isLast || (kind === 'symlink' && member.kind === 'directory'))
      throw badArchive(member.path, `goes through ${shownPath(name)}, which is a ${kind} of the archive`);
    throw badArchive(member.path, 'comes twice');
  }

  #apply(dirfd: number, name: Uint8Array, metadata: Metadata, path: () => string): void {
    const current = statAt(dirfd, name);
    applyMetadata(
      namedTarget(dirfd, name),
      metadata,
      current,
      (what, errno) => this.#notKept.add(what, errno, path),
      path,
    );
  }
}

const stripHint =
  'an archive is unpacked without the first component of its paths: make it of one directory (tar -c NAME)';

function createFile(dirfd: number, name: Uint8Array): number {
  return openat(dirfd, name, flags.O_WRONLY | flags.O_CREAT | flags.O_EXCL | flags.O_NOFOLLOW, 0o600);
}

function impliedDirectory(parent: number, name: Uint8Array): DirectoryEntry {
  const times = { modifyTimeNs: 0n, accessTimeNs: 0n };
  return { kind: 'directory', parent, name, mode: impliedMode, uid: 0, gid: 0, ...times, xattrs: [] };
}

function noDevice({ path, kind, major, minor }: Member): BatonError {
  const who = `user ${process.geteuid?.() ?? 0}`;
  return new BatonError(
    'NO_PERMISSION',
    `member ${shownPath(path)} is the ${kind} device ${major}:${minor}, which ${who} may not make`,
    {
      hint: 'unpack it as root (--sudo), or make the archive without its devices',
    },
  );
}
