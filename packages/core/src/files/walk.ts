import { BatonError } from '../errors.ts';
import type { Entry, EntryBase, Extent } from '../protocol/entry.ts';
import { bytesToText } from '../text/bytes.ts';
import { Descent } from './descent.ts';
import { compileExcludes, type ExcludeMatcher } from './exclude.ts';
import { readExtents } from './extents.ts';
import { check, close, errnos, faccessat, flags, readlinkat, SystemError } from './libc.ts';
import { isSafeName, printable } from './names.ts';
import { listDirectory, openDirectory, openForReading, splitPath } from './open.ts';
import { type Stat, statAt, statDescriptor, tryStatAt } from './stat.ts';
import { type WalkReport, WalkTally, type WalkWatcher } from './walk-report.ts';
import { readXattrs } from './xattrs.ts';

export type { WalkReport, WalkWatcher } from './walk-report.ts';

// Reads a tree's metadata, in the order in which a manifest has it.

export type WalkOptions = {
  /** Path of the source. Symlinks above its last component are followed; a source that is a symlink is itself the tree. */
  readonly root: Uint8Array;
  /** Patterns as in exclude.ts. They never leave out the root. */
  readonly exclude: readonly string[];
  /** Do not descend into directories on other devices; they stay as empty directories. */
  readonly oneFileSystem: boolean;
  /** Told of more than the entries say. */
  readonly watcher?: WalkWatcher;
  /** False: every name of a file is a file of its own. Default: true. */
  readonly hardlinks?: boolean;
};

type Level = { readonly index: number; readonly path: Uint8Array; readonly names: readonly Uint8Array[]; next: number };

const slash = Buffer.from('/');
const rootNameFallback = Buffer.from('root');
const linkTarget = new Uint8Array(4096);
const stagingName = /^\.baton-.*\.partial$/s;
const userReads = 4;

/**
 * Yields a tree's entries: directories before what is in them, names sorted bytewise within a directory, so that a rerun on an
 * unchanged tree yields the same. Things that vanish or may not be read are reported, not thrown; a symlink that takes a
 * directory's place is never entered. Baton's own staging directories are passed over.
 * Throws BatonError (a bad pattern, LIMIT) or SystemError (the root itself, failing disks).
 */
export function* walkTree(options: WalkOptions): Generator<Entry, WalkReport> {
  const walk = new Walk(options);
  using descent = new Descent();
  const { directory, name } = splitPath(options.root);
  const parent = openDirectory(directory, { readable: false });
  try {
    yield* walk.root(parent, name, descent);
  } finally {
    close(parent);
  }
  yield* walk.below(descent);
  return walk.report();
}

class Walk {
  readonly #options: WalkOptions;
  readonly #excludes: ExcludeMatcher | undefined;
  readonly #checksAccess: boolean = process.geteuid?.() !== 0;
  readonly #tally = new WalkTally();
  /** Things with several names: where the first was, and how many names are still to come. */
  readonly #linked = new Map<string, { readonly index: number; remaining: number }>();
  readonly #levels: Level[] = [];
  #rootDevice = 0n;

  constructor(options: WalkOptions) {
    this.#options = options;
    this.#excludes = options.exclude.length === 0 ? undefined : compileExcludes(options.exclude);
  }

  report(): WalkReport {
    return this.#tally.report();
  }

  /** Yields the root. Unlike below it, what cannot be read here is an error. */
  *root(parent: number, name: Uint8Array, descent: Descent): Generator<Entry> {
    const path = (): string => printable(this.#options.root);
    const stat = rethrowWithPath(path, () => statAt(parent, name));
    this.#rootDevice = stat.device;
    if (stat.kind === 'socket' || stat.kind === 'other') {
      throw new BatonError('UNSUPPORTED', `${path()} is a socket, which holds nothing to copy`);
    }
    const entryName = isSafeName(name) ? name : rootNameFallback;
    if (stat.kind === 'directory') {
      const fd = check(openForReading(parent, name, flags.O_DIRECTORY), 'openat', path);
      yield this.#enter(
        descent,
        fd,
        { parent: -1, name: entryName, path: new Uint8Array(0) },
        rethrowWithPath(path, () => readXattrs(parent, name)),
      );
      return;
    }
    if (this.#checksAccess && stat.kind === 'file') check(faccessat(parent, name, userReads), 'faccessat', path);
    const entry = this.#leaf(parent, name, stat, -1, entryName, path);
    if (entry === undefined) throw new SystemError(errnos.ENOENT, 'statx', path());
    yield entry;
  }

  /** Yields everything below the root. */
  *below(descent: Descent): Generator<Entry> {
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      const name = level.names[level.next++];
      if (name === undefined) {
        this.#levels.pop();
        if (!descent.leave()) this.#loseRest();
        continue;
      }
      const entry = this.#visit(descent, level, name);
      if (entry !== undefined) yield entry;
    }
  }

  // The directory we come back to is not where it was: what was not seen of it is gone for us.
  #loseRest(): void {
    const level = this.#levels.at(-1);
    if (level === undefined) return;
    for (const name of level.names.slice(level.next)) {
      this.#tally.vanished.add(this.#shown(join(level.path, name)));
      this.#options.watcher?.passed(level.index, name, 'vanished');
    }
    level.next = level.names.length;
  }

  #visit(descent: Descent, level: Level, name: Uint8Array): Entry | undefined {
    const dirfd = descent.fd;
    const path = (): string => this.#shown(join(level.path, name));
    const stat = tryStatAt(dirfd, name);
    if (typeof stat === 'number') return this.#fail(new SystemError(-stat, 'statx', path()), level, name);
    const isDirectory = stat.kind === 'directory';
    if (isDirectory && name[0] === 0x2e && stagingName.test(bytesToText(name))) return undefined;
    if (this.#excludes?.(bytesToText(join(level.path, name)), isDirectory)) {
      this.#tally.excluded += 1;
      return undefined;
    }
    if (stat.kind === 'socket') {
      this.#tally.sockets.add(path());
      return undefined;
    }
    try {
      if (isDirectory) return this.#directory(descent, level, name, stat, path);
      return this.#leaf(dirfd, name, stat, level.index, name, path);
    } catch (error) {
      if (error instanceof SystemError) return this.#fail(error, level, name);
      throw error;
    }
  }

  // Reports what a live tree does to a walk; throws what only a broken disk or a lack of memory does.
  #fail({ errno, syscall }: SystemError, level: Level, name: Uint8Array): undefined {
    const path = this.#shown(join(level.path, name));
    const isGone =
      errno === errnos.ENOENT || errno === errnos.ELOOP || errno === errnos.ENOTDIR || errno === errnos.ESTALE;
    if (!isGone && errno !== errnos.EACCES && errno !== errnos.EPERM) throw new SystemError(errno, syscall, path);
    const why = isGone ? 'vanished' : 'unreadable';
    this.#tally[why].add(path);
    this.#options.watcher?.passed(level.index, name, why);
    return undefined;
  }

  #directory(descent: Descent, level: Level, name: Uint8Array, stat: Stat, path: () => string): Entry | undefined {
    const own = { parent: level.index, name, path: join(level.path, name) };
    const dirfd = descent.fd;
    if (this.#options.oneFileSystem && stat.device !== this.#rootDevice) {
      this.#tally.otherFileSystems.add(path());
      return this.#add({ ...base(stat, own), xattrs: readXattrs(dirfd, name), kind: 'directory' });
    }
    const fd = openForReading(dirfd, name, flags.O_DIRECTORY);
    if (fd === -errnos.EACCES) {
      this.#tally.unreadable.add(path());
      this.#options.watcher?.passed(level.index, name, 'unreadable');
      return this.#add({ ...base(stat, own), xattrs: readXattrs(dirfd, name), kind: 'directory' });
    }
    check(fd, 'openat', path);
    return this.#enter(descent, fd, own, readXattrs(dirfd, name));
  }

  #enter(
    descent: Descent,
    fd: number,
    own: { parent: number; name: Uint8Array; path: Uint8Array },
    xattrs: EntryBase['xattrs'],
  ): Entry {
    let stat: Stat;
    let names: Uint8Array[];
    try {
      // From the descriptor: the directory may have been replaced since it was looked at.
      stat = statDescriptor(fd);
      names = listDirectory(fd, () => this.#shown(own.path));
    } catch (error) {
      close(fd);
      throw error;
    }
    descent.enter(fd, stat);
    const entry = this.#add({ ...base(stat, own), xattrs, kind: 'directory' });
    this.#levels.push({ index: this.#tally.entries - 1, path: own.path, names, next: 0 });
    return entry;
  }

  #leaf(
    dirfd: number,
    name: Uint8Array,
    stat: Stat,
    parent: number,
    entryName: Uint8Array,
    path: () => string,
  ): Entry | undefined {
    if (this.#checksAccess && stat.kind === 'file') check(faccessat(dirfd, name, userReads), 'faccessat', path);
    if (stat.links > 1 && this.#options.hardlinks !== false) {
      const known = this.#link(stat);
      if (known !== undefined) return this.#add({ kind: 'hardlink', parent, name: entryName, link: known });
    }
    const common = { ...base(stat, { parent, name: entryName }), xattrs: readXattrs(dirfd, name) };
    this.#options.watcher?.leaf(dirfd, name, stat);
    switch (stat.kind) {
      case 'file':
        return this.#file(dirfd, name, stat, common, path);
      case 'symlink': {
        const length = check(readlinkat(dirfd, name, linkTarget), 'readlinkat', path);
        // Reading a symlink may set its access time, and nothing prevents that: a rerun finds what is there afterwards.
        const { accessTimeNs } = statAt(dirfd, name);
        return this.#add({ ...common, accessTimeNs, kind: 'symlink', target: linkTarget.slice(0, length) }, stat);
      }
      case 'fifo':
        return this.#add({ ...common, kind: 'fifo' }, stat);
      case 'character':
      case 'block':
        return this.#add({ ...common, kind: stat.kind, major: stat.major, minor: stat.minor }, stat);
      default:
        return undefined;
    }
  }

  #file(dirfd: number, name: Uint8Array, stat: Stat, common: EntryBase, path: () => string): Entry {
    let extents: readonly Extent[] | undefined;
    if (stat.allocatedBytes < stat.sizeBytes) {
      const fd = check(openForReading(dirfd, name), 'openat', path);
      try {
        extents = readExtents(fd, stat.sizeBytes, path);
      } finally {
        close(fd);
      }
    }
    const identity = { device: stat.device, inode: stat.inode, changeTimeNs: stat.changeTimeNs };
    this.#tally.file(stat, extents);
    return this.#add({ ...common, kind: 'file', sizeBytes: stat.sizeBytes, identity, extents }, stat);
  }

  // Index of the first name of the same thing. Forgotten with its last name, so that the map stays small.
  #link(stat: Stat): number | undefined {
    const key = `${stat.device}:${stat.inode}`;
    const known = this.#linked.get(key);
    if (known === undefined) return undefined;
    known.remaining -= 1;
    if (known.remaining <= 0) this.#linked.delete(key);
    return known.index;
  }

  #add(entry: Entry, stat?: Stat): Entry {
    if (stat !== undefined && stat.links > 1)
      this.#linked.set(`${stat.device}:${stat.inode}`, { index: this.#tally.entries, remaining: stat.links - 1 });
    this.#tally.entries += 1;
    return entry;
  }

  #shown(path: Uint8Array): string {
    const { root } = this.#options;
    if (path.length === 0) return printable(root);
    return printable(root.at(-1) === slash[0] ? Buffer.concat([root, path]) : join(root, path));
  }
}

function join(directory: Uint8Array, name: Uint8Array): Uint8Array {
  return directory.length === 0 ? name : Buffer.concat([directory, slash, name]);
}

function base(
  stat: Stat,
  { parent, name }: { readonly parent: number; readonly name: Uint8Array },
): Omit<EntryBase, 'xattrs'> {
  const { mode, uid, gid, modifyTimeNs, accessTimeNs } = stat;
  return { parent, name, mode, uid, gid, modifyTimeNs, accessTimeNs };
}

function rethrowWithPath<T>(path: () => string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof SystemError ? new SystemError(error.errno, error.syscall, path()) : error;
  }
}
