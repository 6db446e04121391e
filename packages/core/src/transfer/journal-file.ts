import { BatonError } from '../errors.ts';
import { check, close, errnos, flags, fsync, ftruncate, openat, pread, pwrite, renameat2 } from '../files/libc.ts';
import { syncDirectory } from '../files/publish.ts';
import {
  type CommitRecord,
  decodeJournal,
  encodeJournalHeader,
  encodeJournalRecord,
  type JobRecord,
  type JournalRecord,
} from '../protocol/journal.ts';
import { Manifest, type ManifestShare } from '../protocol/manifest.ts';
import { HaveSet, type HaveShare } from './have.ts';
import { Layout, type LayoutShare } from './layout.ts';

// The journal of a staging directory as a file. Records are appended without a sync: a killed process loses nothing by that,
// and after a power failure the digests tell which units did not reach the disk (T2: a journal is a claim, to be checked).

const journalName = Buffer.from('journal');
const newJournalName = Buffer.from('journal.new');
const chunkBytes = 1024 * 1024;

/** What the journal of an earlier run says. */
export type EarlierCopy = {
  readonly job: JobRecord;
  readonly manifest: Manifest;
  readonly layout: Layout;
  /** The units it claims to have. */
  readonly claimed: HaveSet;
  readonly commit: CommitRecord | undefined;
  /** Where its last whole record ends. */
  readonly endBytes: number;
};

/** The same as it goes from one thread to another. */
export type EarlierShare = {
  readonly job: JobRecord;
  readonly manifest: ManifestShare;
  readonly layout: LayoutShare;
  readonly claimed: HaveShare;
  readonly commit: CommitRecord | undefined;
  readonly endBytes: number;
};

/** For posting to another thread. */
export function shareEarlier({ manifest, layout, claimed, ...rest }: EarlierCopy): EarlierShare {
  return { ...rest, manifest: manifest.share(), layout: layout.share(), claimed: claimed.share() };
}

/** What another thread has posted. */
export function fromEarlierShare(share: EarlierShare): EarlierCopy {
  const manifest = Manifest.fromShare(share.manifest);
  const layout = Layout.fromShare(share.layout);
  return { ...share, manifest, layout, claimed: new HaveSet(layout.unitCount, share.claimed) };
}

/**
 * Reads the journal in an open staging directory; undefined when there is none, or none with a whole manifest.
 * Takes a while for a large one: a job for a worker.
 */
export function readJournal(directory: number): EarlierCopy | undefined {
  const descriptor = openat(directory, journalName, flags.O_RDONLY | flags.O_NOFOLLOW);
  if (descriptor === -errnos.ENOENT) return undefined;
  check(descriptor, 'openat', () => 'journal');
  try {
    return collect(descriptor);
  } finally {
    close(descriptor);
  }
}

/** The journal in a staging directory. */
export class JournalFile implements Disposable {
  readonly #directory: number;
  #descriptor = -1;
  #endBytes = 0;

  constructor(directory: number) {
    this.#directory = directory;
  }

  /** Puts a new journal in the place of the old one. Nothing of it counts before all of it is on the disk. */
  begin(job: Omit<JobRecord, 'type' | 'created'>, tree: { manifest: Manifest; layout: Layout; have: HaveSet }): void {
    const { manifest, layout, have } = tree;
    this.#closeFile();
    const openFlags = flags.O_RDWR | flags.O_CREAT | flags.O_NOFOLLOW;
    this.#descriptor = check(openat(this.#directory, newJournalName, openFlags, 0o600), 'openat', () => 'journal.new');
    check(ftruncate(this.#descriptor, 0), 'ftruncate', () => 'journal.new');
    this.#endBytes = 0;
    this.#write(encodeJournalHeader());
    this.append({ type: 'job', created: new Date().toISOString(), ...job });
    for (const payload of manifest.sections) this.append({ type: 'section', payload });
    this.append({
      type: 'manifestEnd',
      sections: manifest.sections.length,
      entries: manifest.count,
      units: layout.unitCount,
      digest: manifest.digest,
    });
    for (const unit of have.units())
      this.append({ type: 'unit', unit, digest: have.digest(unit), changes: have.changes(unit) });
    check(fsync(this.#descriptor), 'fsync', () => 'journal.new');
    const renamed = renameat2(this.#directory, newJournalName, this.#directory, journalName, 0);
    check(renamed, 'renameat2', () => 'journal');
    syncDirectory(this.#directory);
  }

  /** Opens the journal that is there, to append to it after its last whole record. */
  resume(endBytes: number): void {
    this.#closeFile();
    this.#endBytes = endBytes;
    const openFlags = flags.O_RDWR | flags.O_NOFOLLOW;
    this.#descriptor = check(openat(this.#directory, journalName, openFlags), 'openat', () => 'journal');
    check(ftruncate(this.#descriptor, this.#endBytes), 'ftruncate', () => 'journal');
  }

  /** Appends one record. */
  append(record: JournalRecord): void {
    this.#write(encodeJournalRecord(record));
  }

  get descriptor(): number {
    return this.#descriptor;
  }

  [Symbol.dispose](): void {
    this.#closeFile();
  }

  #write(bytes: Uint8Array): void {
    check(pwrite(this.#descriptor, bytes, this.#endBytes), 'pwrite', () => 'journal');
    this.#endBytes += bytes.byteLength;
  }

  #closeFile(): void {
    if (this.#descriptor >= 0) close(this.#descriptor);
    this.#descriptor = -1;
  }
}

function collect(descriptor: number): EarlierCopy | undefined {
  let job: JobRecord | undefined;
  let found: Pick<EarlierCopy, 'manifest' | 'layout' | 'claimed'> | undefined;
  let commit: CommitRecord | undefined;
  const sections: Uint8Array[] = [];
  const records = decodeJournal(chunksOf(descriptor));
  for (let next = records.next(); ; next = records.next()) {
    if (next.done) {
      const { validBytes: endBytes, ending, reason } = next.value;
      if (ending === 'newer') throw newerJournal(reason);
      return job === undefined || found === undefined ? undefined : { job, ...found, commit, endBytes };
    }
    const record = next.value;
    if (record.type === 'job') job = record;
    else if (record.type === 'section') sections.push(record.payload);
    else if (record.type === 'manifestEnd') found = startOf(Manifest.fromSections(sections, record.digest));
    else if (record.type === 'commit') commit = record;
    else if (found !== undefined && record.unit < found.layout.unitCount)
      found.claimed.add(record.unit, record.digest, record.changes);
  }
}

/** What a newer baton left is not ours to take apart (T9). */
function newerJournal(reason: string | undefined): BatonError {
  return new BatonError('VERSION_MISMATCH', `the journal of the staging directory is of a newer baton: ${reason}`, {
    hint: 'continue with the newer baton, or have it remove the directory with: baton copy clean DIR',
  });
}

function startOf(manifest: Manifest): Pick<EarlierCopy, 'manifest' | 'layout' | 'claimed'> {
  const layout = Layout.of(manifest);
  return { manifest, layout, claimed: new HaveSet(layout.unitCount) };
}

function* chunksOf(descriptor: number): Generator<Uint8Array> {
  for (let offset = 0; ; ) {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    const bytes = check(pread(descriptor, chunk, offset), 'pread', () => 'journal');
    if (bytes === 0) return;
    yield chunk.subarray(0, bytes);
    offset += bytes;
  }
}
