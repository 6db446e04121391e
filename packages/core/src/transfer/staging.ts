import { BatonError } from '../errors.ts';
import { check, close, errnos, flags, mkdirat, openat, SystemError } from '../files/libc.ts';
import { lockDirectory } from '../files/lock.ts';
import { printable } from '../files/names.ts';
import { openDirectory } from '../files/open.ts';
import { renameNoReplace } from '../files/publish.ts';
import { type Stat, statAt, statDescriptor, tryStatAt } from '../files/stat.ts';
import type { PieceChange } from '../protocol/changes.ts';
import type { EntryKind } from '../protocol/entry.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { checkExchange, exchangeWith, type HeldBasis, holdBasis } from './basis.ts';
import type { HaveSet } from './have.ts';
import type { Place } from './jobs.ts';
import { type EarlierCopy, fromEarlierShare, JournalFile } from './journal-file.ts';
import type { Layout } from './layout.ts';
import { type PublishedCopy, readNote, removeNote, writeNote } from './published-note.ts';
import { directoryOf, noteName, noteOf, type StagingJob, stagingName } from './staging-names.ts';
import type { WorkerPool } from './worker-pool.ts';

// The directory a copy grows in, inside of its target directory: `.baton-KEY.partial`, which holds
//   journal   what was received so far, and of what (JournalFile)
//   tree      the copy itself
// and, once that is published and until all of the job is done, `.baton-KEY.published` beside it (published-note.ts).
// KEY follows from source and final name, so that the same command finds its own again. It is locked while a copy is at
// work (T8). The copy takes its final name as the last step, and only if that name is free, or what has it is to be replaced (T6).

/** The name of the copy inside of its staging directory. */
export const stagedTreeName: Uint8Array = Buffer.from('tree');

/** Version of the layout above. */
export const stagingFormatVersion = 1;

/** A staging directory that is ours alone until it is disposed. */
export class Staging implements Disposable {
  /** Descriptor of the target directory. */
  readonly targetDescriptor: number;
  /** Descriptor of the staging directory. */
  readonly descriptor: number;
  /** What an earlier run left; undefined when there is nothing of use. */
  readonly earlier: EarlierCopy | undefined;
  /** What has the final name, in a copy that brings it up to date. */
  readonly #basis: HeldBasis | undefined;
  readonly #directory: string;
  readonly #job: StagingJob;
  readonly #journal: JournalFile;
  readonly #lock: Disposable;
  #manifestDigest: Uint8Array | undefined;
  #published: PublishedCopy | undefined;

  private constructor(held: Held, targetDescriptor: number, directory: string, job: StagingJob) {
    this.#basis = job.updates === true ? holdBasis(targetDescriptor, job.name) : undefined;
    this.targetDescriptor = targetDescriptor;
    this.#directory = directory;
    this.descriptor = held.descriptor;
    this.earlier = held.earlier;
    this.#job = job;
    this.#lock = held;
    this.#journal = new JournalFile(held.descriptor);
  }

  /** Makes the staging directory in `directory`, or takes up the one an earlier run left. BUSY when another copy has it. */
  static async open(directory: Uint8Array, job: StagingJob, pool: WorkerPool): Promise<Staging> {
    const target = openDirectory(directory);
    try {
      const name = stagingName(job);
      const made = mkdirat(target, name, 0o700);
      if (made !== -errnos.EEXIST) check(made, 'mkdirat', () => `${printable(directory)}/${printable(name)}`);
      const held = await holdStaging(target, name, printable(directory), pool);
      try {
        checkVersion(held.earlier);
        if (job.updates === true) checkExchange(held.descriptor);
        return new Staging(held, target, printable(directory), job);
      } catch (error) {
        held[Symbol.dispose]();
        throw error;
      }
    } catch (error) {
      close(target);
      throw error;
    }
  }

  /** Where the copy is that this one takes the place of. */
  get basis(): Place | undefined {
    if (this.#basis === undefined) return undefined;
    return { parentDescriptor: this.targetDescriptor, rootName: this.#job.name };
  }

  /** Throws EXISTS when a copy of this kind cannot take the place of what is there. */
  checkKind(kind: EntryKind): void {
    if (this.#basis === undefined || this.#basis.kind === kind) return;
    const path = `${this.#directory.replace(/\/$/, '')}/${printable(this.#job.name)}`;
    throw new BatonError('EXISTS', `${path} is a ${this.#basis.kind}, and the source is a ${kind}`, {
      hint: 'move it away, or choose another name with --as',
    });
  }

  /**
   * Throws EXISTS when the final name is taken: by the same copy that another command has just finished, or by something else. Then
   * what was only made for this run goes again.
   */
  async checkName(pool: WorkerPool): Promise<void> {
    if (this.#basis !== undefined || tryStatAt(this.targetDescriptor, this.#job.name) === -errnos.ENOENT) return;
    if (this.earlier === undefined) {
      await pool.run({ kind: 'remove', parentDescriptor: this.targetDescriptor, name: stagingName(this.#job) });
    }
    throw this.#taken();
  }

  /** Starts a new journal in place of an old one, with the units that are known to be good. One atomic step. */
  begin(tree: { manifest: Manifest; layout: Layout; have: HaveSet }): void {
    this.#manifestDigest = tree.manifest.digest;
    this.#journal.begin({ formatVersion: stagingFormatVersion, ...this.#job }, tree);
  }

  /** Goes on with the journal that is there, from its last whole record. */
  resume(earlier: EarlierCopy): void {
    this.#manifestDigest = earlier.manifest.digest;
    this.#journal.resume(earlier.endBytes);
  }

  /** Records a unit whose content has been written. */
  record(unit: number, digest: Uint8Array, changes: readonly PieceChange[]): void {
    this.#journal.append({ type: 'unit', unit, digest, changes });
  }

  /**
   * Gives the copy its final name; EXISTS when something has taken that name meanwhile. The copy must be complete,
   * verified and synced. A crash at any point leaves either the staged copy or the final one, whole; what it takes the place of is
   * staged then, and removed with the rest.
   */
  async publish(treeDigest: Uint8Array, pool: WorkerPool): Promise<void> {
    const staged = tryStatAt(this.descriptor, stagedTreeName);
    const manifestDigest = this.#manifestDigest;
    if (typeof staged === 'number' || manifestDigest === undefined)
      throw new Error('T6: only a staged copy is published');
    const { device, inode } = staged;
    this.#journal.append({ type: 'commit', device, inode, treeDigest });
    await pool.run({ kind: 'sync', descriptor: this.#journal.descriptor, scope: 'file' });
    const { targetDescriptor: parentDescriptor } = this;
    this.#takeName();
    this.#published = { device, inode, treeDigest, manifestDigest };
    // At once: others may still be fed from it.
    await pool.runOnAll({ kind: 'relocate', parentDescriptor, rootName: this.#job.name });
    for (const descriptor of [this.descriptor, this.targetDescriptor]) {
      await pool.run({ kind: 'sync', descriptor, scope: 'file' });
    }
  }

  #takeName(): void {
    const { descriptor: staging, targetDescriptor: target } = this;
    const { name } = this.#job;
    if (this.#basis !== undefined && tryStatAt(target, name) !== -errnos.ENOENT) {
      if (exchangeWith(this.#basis, { staging, stagedName: stagedTreeName, target, name })) return;
      throw this.#taken();
    }
    try {
      renameNoReplace(staging, stagedTreeName, target, name);
    } catch (error) {
      throw error instanceof SystemError && error.errno === errnos.EEXIST ? this.#taken(error) : error;
    }
  }

  #taken(cause?: SystemError): BatonError {
    const path = `${this.#directory.replace(/\/$/, '')}/${printable(this.#job.name)}`;
    return new BatonError('EXISTS', `${path} has appeared during the copy, and nothing existing is ever overwritten`, {
      ...(cause === undefined ? {} : { cause }),
      hint:
        cause === undefined
          ? 'move it away, choose another directory, or another name with --as'
          : 'move it away, and run the same command again: the copy is complete but for its name',
    });
  }

  /** Whether what is staged is what `earlier` speaks of, and not what a copy took the place of that was published and moved away. */
  get isEarlierStaged(): boolean {
    const commit = this.earlier?.commit;
    return commit === undefined || isSame(tryStatAt(this.descriptor, stagedTreeName), commit);
  }

  /** The copy, if an earlier run had published it and was not concluded. */
  publishedEarlier(): PublishedCopy | undefined {
    this.#published = findPublished(this.targetDescriptor, this.#job, this.earlier);
    // A note of a copy that somebody has moved away since says nothing of the next one.
    if (this.#published === undefined) removeNote(this.targetDescriptor, noteName(this.#job));
    return this.#published;
  }

  /** Leaves a note that the copy is published, by which the next run finds it done, in place of everything else. */
  async replaceByNote(pool: WorkerPool): Promise<void> {
    if (this.#published === undefined) throw new Error('T6: a note speaks of a copy that is published');
    writeNote(this.targetDescriptor, noteName(this.#job), this.#published);
    await pool.run({ kind: 'remove', parentDescriptor: this.targetDescriptor, name: stagingName(this.#job) });
  }

  /** Removes all of it: nothing of it will be of use. */
  async remove(pool: WorkerPool): Promise<void> {
    await pool.run({ kind: 'remove', parentDescriptor: this.targetDescriptor, name: stagingName(this.#job) });
  }

  /** Removes the note: no run will ask for this copy again. */
  conclude(): void {
    removeNote(this.targetDescriptor, noteName(this.#job));
  }

  [Symbol.dispose](): void {
    this.#basis?.[Symbol.dispose]();
    this.#journal[Symbol.dispose]();
    this.#lock[Symbol.dispose]();
    close(this.targetDescriptor);
  }
}

/** What a look at a staging directory tells, without changing anything. */
export type StagingPeek = {
  /** Bytes that the journal claims. */
  readonly claimedBytes: number;
  /** The copy has its final name already. */
  readonly isPublished: boolean;
  /** Why it cannot be used: another copy is at work on it, or it is somebody else's. */
  readonly error: unknown;
};

/** Looks at what an earlier run of the same copy left in an open target directory. */
export async function peekStaging(targetDescriptor: number, job: StagingJob, pool: WorkerPool): Promise<StagingPeek> {
  const name = stagingName(job);
  const nothing = { claimedBytes: 0, isPublished: false, error: undefined };
  if (tryStatAt(targetDescriptor, name) === -errnos.ENOENT) {
    return { ...nothing, isPublished: findPublished(targetDescriptor, job, undefined) !== undefined };
  }
  try {
    using found = await holdStaging(targetDescriptor, name, '.', pool);
    checkVersion(found.earlier);
    const { earlier } = found;
    const isPublished = findPublished(targetDescriptor, job, earlier) !== undefined;
    return { claimedBytes: earlier === undefined ? 0 : claimedBytes(earlier), isPublished, error: undefined };
  } catch (error) {
    return { ...nothing, error };
  }
}

/** What a staging directory (or its note) of any copy holds; BUSY when a copy is at work on it. */
export async function describeStaging(
  targetDescriptor: number,
  name: Uint8Array,
  pool: WorkerPool,
): Promise<{ source: string; bytes: number; createdMs: number }> {
  const stat = statAt(targetDescriptor, name);
  if (stat.kind !== 'directory') {
    return { source: '?', bytes: 0, createdMs: Number(stat.changeTimeNs / 1_000_000n) };
  }
  using found = await holdStaging(targetDescriptor, name, '.', pool);
  const { earlier } = found;
  if (earlier !== undefined) {
    return { source: earlier.job.source, bytes: claimedBytes(earlier), createdMs: Date.parse(earlier.job.created) };
  }
  return { source: '?', bytes: 0, createdMs: Number(statDescriptor(found.descriptor).changeTimeNs / 1_000_000n) };
}

/** Removes a staging directory that no copy is at work on, and its note; BUSY otherwise. */
export async function removeStaging(targetDescriptor: number, name: Uint8Array, pool: WorkerPool): Promise<void> {
  if (Buffer.from(name).equals(directoryOf(name))) {
    using _held = await holdStaging(targetDescriptor, name, '.', pool);
    await pool.run({ kind: 'remove', parentDescriptor: targetDescriptor, name });
  }
  removeNote(targetDescriptor, noteOf(name));
}

/** A staging directory that is open, locked and read. */
type Held = Disposable & { readonly descriptor: number; readonly earlier: EarlierCopy | undefined };

async function holdStaging(target: number, name: Uint8Array, directory: string, pool: WorkerPool): Promise<Held> {
  const descriptor = openOwn(target, name, directory);
  try {
    const lock = lockDirectory(descriptor);
    // Whoever had the lock before may have finished and removed the directory.
    const found = tryStatAt(target, name);
    if (typeof found === 'number' || found.inode !== statDescriptor(descriptor).inode) {
      throw new BatonError('BUSY', `${directory}: another copy has just finished here`, { retryable: true });
    }
    const { earlier } = await pool.run({ kind: 'journal', directory: descriptor });
    const dispose = () => {
      lock[Symbol.dispose]();
      close(descriptor);
    };
    return {
      descriptor,
      earlier: earlier === undefined ? undefined : fromEarlierShare(earlier),
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    close(descriptor);
    throw error;
  }
}

/** What is published, by the note or else the journal, if it still has the final name. */
function findPublished(target: number, job: StagingJob, earlier: EarlierCopy | undefined): PublishedCopy | undefined {
  const final = tryStatAt(target, job.name);
  const said = readNote(target, noteName(job));
  if (said !== undefined && isSame(final, said)) return said;
  if (earlier?.commit === undefined || !isSame(final, earlier.commit)) return undefined;
  return { ...earlier.commit, manifestDigest: earlier.manifest.digest };
}

function claimedBytes({ claimed, layout }: EarlierCopy): number {
  let bytes = 0;
  for (const unit of claimed.units()) bytes += layout.unitBytes(unit);
  return bytes;
}

/** Whether `final` is the very thing that a commit record speaks of. */
function isSame(final: Stat | number, commit: Pick<PublishedCopy, 'device' | 'inode'>): boolean {
  return typeof final !== 'number' && final.device === commit.device && final.inode === commit.inode;
}

/** Opens a staging directory, unless somebody else made it: in a directory that all can write to, it could be a trap. */
function openOwn(target: number, name: Uint8Array, directory: string): number {
  const path = () => `${directory}/${printable(name)}`;
  const found = openat(target, name, flags.O_RDONLY | flags.O_DIRECTORY | flags.O_NOFOLLOW);
  if (found === -errnos.ELOOP || found === -errnos.ENOTDIR) {
    throw new BatonError('NO_PERMISSION', `${path()} is not a directory, as a staging directory of ours is`, {
      hint: 'find out who made it, and remove it',
    });
  }
  const descriptor = check(found, 'openat', path);
  const { uid, mode } = statDescriptor(descriptor);
  const ours = process.geteuid?.() ?? 0;
  if (uid === ours && (mode & 0o077) === 0) return descriptor;
  close(descriptor);
  throw new BatonError(
    'NO_PERMISSION',
    `${path()} belongs to user ${uid} with mode ${mode.toString(8)}; a staging directory of ours belongs to user ${ours} with mode 700`,
    { hint: 'run the copy as the same user as before, or remove that directory' },
  );
}

/** What a newer baton left is not ours to take apart. */
function checkVersion(earlier: EarlierCopy | undefined): void {
  if (earlier === undefined || earlier.job.formatVersion <= stagingFormatVersion) return;
  throw new BatonError(
    'VERSION_MISMATCH',
    `the staging directory has format ${earlier.job.formatVersion}, and this baton knows up to ${stagingFormatVersion}`,
    { hint: 'continue with the newer baton, or remove it with: baton copy clean DIR' },
  );
}
