import { blake3 } from '@napi-rs/blake-hash';
import type { Entry, EntryKind, Extent, Xattr } from '../protocol/entry.ts';
import { check, close } from './libc.ts';
import { printable } from './names.ts';
import { openForReading } from './open.ts';
import { type Stat, statDescriptor } from './stat.ts';
import { type WalkOptions, type WalkReport, walkTree } from './walk.ts';

// A tree's metadata piece by piece, as plain values that cross threads and hosts as they are, with its files opened on the
// way, so that their content can be read while the walk goes on.

/** Where something is: its depth below the root (which has 0) and its name, base64; the root has none. */
type Place = { readonly depth: number; readonly name: string };

/** One thing of a tree, in the order of a walk. Whatever lies in a directory follows it, one level deeper. */
export type SurveyItem =
  | (Place & {
      readonly type: 'entry';
      readonly kind: Exclude<EntryKind, 'hardlink'>;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      /** Nanoseconds since 1970, in decimal. */
      readonly modifyTimeNs: string;
      /** Of a file. */
      readonly sizeBytes?: number;
      /** Of a symlink: where it points, base64. */
      readonly target?: string;
      /** Of a device: `major:minor`. */
      readonly device?: string;
      /** Digest over all extended attributes, hexadecimal; none when there are none. */
      readonly xattrs?: string;
      /** Of a directory: what is in it could not be listed. */
      readonly isUnlisted?: boolean;
    })
  /** Another name of an earlier entry; `link` is the path of that below the root, base64. */
  | (Place & { readonly type: 'hardlink'; readonly link: string })
  /** Something is or was there that could not be looked at. */
  | (Place & { readonly type: 'passed'; readonly why: 'unreadable' | 'vanished' });

/** A file opened for reading, and what it was then. Whoever gets it closes `fd`, which any thread may read. */
export type OpenedFile = {
  readonly fd: number;
  readonly sizeBytes: number;
  readonly device: bigint;
  readonly inode: bigint;
  readonly changeTimeNs: bigint;
  readonly extents: readonly Extent[] | undefined;
};

/** An item, and the file it stands for where content was asked for and there is some. */
export type SurveyStep = { readonly item: SurveyItem; readonly file?: OpenedFile };

/** `content`: open the files. */
export type SurveyOptions = Pick<WalkOptions, 'root' | 'exclude' | 'oneFileSystem' | 'hardlinks'> & {
  readonly content: boolean;
};

type Opened = Omit<OpenedFile, 'extents'>;
type Passed = { readonly parent: number; readonly name: Uint8Array; readonly why: 'unreadable' | 'vanished' };
type OpenDirectory = { readonly index: number; readonly name: Uint8Array };

/** A walk that is read piece by piece. Throws as walkTree() does. */
export class Survey {
  readonly #entries: Generator<Entry, WalkReport>;
  readonly #content: boolean;
  /** The directories above what was yielded last, from the root on. */
  readonly #above: OpenDirectory[] = [];
  /** Paths of things that have further names, by index, and how many of those are still to come. */
  readonly #linked = new Map<number, { readonly path: Uint8Array; remaining: number }>();
  #passed: Passed[] = [];
  #opened: Opened | undefined;
  #links = 1;
  #count = 0;

  constructor(options: SurveyOptions) {
    const { content, ...walk } = options;
    this.#content = content;
    this.#entries = walkTree({
      ...walk,
      watcher: {
        leaf: (dirfd, name, stat) => this.#leaf(dirfd, name, stat),
        passed: (parent, name, why) => this.#passed.push({ parent, name, why }),
      },
    });
  }

  /** At least `count` further steps, or those that are left: fewer than `count` means the end. */
  next(count: number): SurveyStep[] {
    const steps: SurveyStep[] = [];
    while (steps.length < count) {
      const { done, value } = this.#entries.next();
      if (done) {
        for (const passed of this.#takePassed()) steps.push(passed);
        return steps;
      }
      for (const step of this.#stepsOf(value)) steps.push(step);
    }
    return steps;
  }

  #leaf(dirfd: number, name: Uint8Array, stat: Stat): void {
    this.#closeOpened();
    this.#links = stat.links;
    if (!this.#content || stat.kind !== 'file' || stat.sizeBytes === 0) return;
    const fd = check(openForReading(dirfd, name), 'openat', () => printable(name));
    const { sizeBytes, device, inode, changeTimeNs } = stat;
    this.#opened = { fd, sizeBytes, device, inode, changeTimeNs };
  }

  *#stepsOf(entry: Entry): Generator<SurveyStep> {
    const isUnlisted = this.#passed.at(-1)?.name === entry.name && entry.kind === 'directory';
    if (isUnlisted) this.#passed.pop();
    yield* this.#takePassed();
    const index = this.#count++;
    const place = this.#place(entry.parent, entry.name);
    if (entry.kind === 'hardlink') {
      yield { item: { type: 'hardlink', ...place, link: toBase64(this.#firstName(entry.link)) } };
      return;
    }
    if (entry.kind === 'directory') this.#above.push({ index, name: entry.name });
    else if (this.#links > 1) {
      this.#linked.set(index, { path: this.#path(entry.name), remaining: this.#links - 1 });
    }
    this.#links = 1;
    const item = { ...itemOf(entry, place), ...(isUnlisted ? { isUnlisted } : {}) };
    const opened = this.#opened;
    if (entry.kind !== 'file' || opened === undefined) {
      this.#closeOpened();
      yield { item };
    } else {
      this.#opened = undefined;
      yield { item, file: { ...opened, extents: entry.extents } };
    }
  }

  /** What was passed over before the entry that comes next; a file that was opened for it is not used. */
  *#takePassed(): Generator<SurveyStep> {
    for (const { parent, name, why } of this.#passed) {
      yield { item: { type: 'passed', ...this.#place(parent, name), why } };
    }
    this.#passed = [];
  }

  #place(parent: number, name: Uint8Array): Place {
    while (this.#above.length > 0 && this.#above.at(-1)?.index !== parent) this.#above.pop();
    const depth = this.#above.length;
    return { depth, name: depth === 0 ? '' : toBase64(name) };
  }

  #path(name: Uint8Array): Uint8Array {
    // The root has no name below itself.
    const names = this.#above.slice(1).map((directory) => directory.name);
    return Buffer.concat([...names, name].flatMap((one, index) => (index === 0 ? [one] : [slash, one])));
  }

  #firstName(index: number): Uint8Array {
    const known = this.#linked.get(index);
    if (known === undefined) return new Uint8Array(0);
    known.remaining -= 1;
    if (known.remaining <= 0) this.#linked.delete(index);
    return known.path;
  }

  // An entry that failed after its file was opened is none: nobody will read the file.
  #closeOpened(): void {
    if (this.#opened !== undefined) close(this.#opened.fd);
    this.#opened = undefined;
  }
}

/** Whether an opened file is still what it was when it was opened: whatever is written to it moves its change time. */
export function isUnchanged(file: OpenedFile): boolean {
  const stat = statDescriptor(file.fd);
  return (
    stat.inode === file.inode &&
    stat.device === file.device &&
    stat.sizeBytes === file.sizeBytes &&
    stat.changeTimeNs === file.changeTimeNs
  );
}

const slash = Buffer.from('/');

function itemOf(entry: Exclude<Entry, { kind: 'hardlink' }>, place: Place): SurveyItem {
  const { kind, mode, uid, gid, modifyTimeNs, xattrs } = entry;
  const common = { type: 'entry' as const, ...place, kind, mode, uid, gid, modifyTimeNs: String(modifyTimeNs) };
  const base = xattrs.length === 0 ? common : { ...common, xattrs: digestXattrs(xattrs) };
  switch (entry.kind) {
    case 'file':
      return { ...base, sizeBytes: entry.sizeBytes };
    case 'symlink':
      return { ...base, target: toBase64(entry.target) };
    case 'character':
    case 'block':
      return { ...base, device: `${entry.major}:${entry.minor}` };
    default:
      return base;
  }
}

/** Over names and values, each with its length in front, so that no two lists look alike. */
function digestXattrs(xattrs: readonly Xattr[]): string {
  const parts = xattrs.flatMap(({ name, value }) => [lengths(name, value), name, value]);
  return Buffer.from(blake3(Buffer.concat(parts))).toString('hex');
}

function lengths(name: Uint8Array, value: Uint8Array): Uint8Array {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(name.length, 0);
  header.writeUInt32LE(value.length, 4);
  return header;
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}
