import { BatonError } from '../errors.ts';
import { digestRange } from '../files/digest-file.ts';
import { DirectoryHandles } from '../files/directories.ts';
import { syncDirectory, syncFileSystem } from '../files/publish.ts';
import { removeTree } from '../files/remove.ts';
import { Survey } from '../files/survey.ts';
import { toBatonError } from '../files/system-error.ts';
import { TreeReader } from '../files/tree-reader.ts';
import { TreeWriter } from '../files/tree-writer.ts';
import { walkTree } from '../files/walk.ts';
import { limits } from '../limits.ts';
import type { PieceChange } from '../protocol/changes.ts';
import { Manifest, ManifestBuilder } from '../protocol/manifest.ts';
import { freeBuffer } from '../transport/unit-buffers.ts';
import type { Job, JobOf, JobResult, Place, TreeDescription } from './jobs.ts';
import { readJournal, shareEarlier } from './journal-file.ts';
import { Layout, type Piece } from './layout.ts';
import { claimOf } from './patch.ts';
import { encodeUnit, openUnit, unitDigest } from './unit-codec.ts';

// What a worker thread does, as plain synchronous code: one job at a time, on a tree opened before.

type Outcome = { readonly result: unknown; readonly transfer: readonly ArrayBuffer[] };

type OpenTree = {
  readonly manifest: Manifest;
  readonly layout: Layout;
  readonly reader: TreeReader;
  readonly writer: TreeWriter | undefined;
  readonly handles: DirectoryHandles;
  readonly basis: Basis | undefined;
};

/** An older copy, by the entries of the new one. */
type Basis = { readonly reader: TreeReader; readonly handles: DirectoryHandles };

/** Runs jobs. Holds the tree that an `open` job named. */
export class JobRunner {
  #tree: OpenTree | undefined;
  #survey: Survey | undefined;
  /** Every unit is read into the same memory: it is hashed and encoded before the next one is. */
  readonly #scratch = new Uint8Array(limits.unitBytes);

  /** Does one job. Throws BatonErrors for the world's failures. */
  run(job: Job): Outcome {
    try {
      return this.#run(job);
    } catch (error) {
      throw toBatonError(error);
    }
  }

  #run(job: Job): Outcome {
    switch (job.kind) {
      case 'walk':
        return done<'walk'>(walk(job));
      case 'manifest':
        return done<'manifest'>(shareWithLayout(Manifest.fromSections(job.sections, job.digest)));
      case 'journal': {
        const earlier = readJournal(job.directory);
        return done<'journal'>({ earlier: earlier === undefined ? undefined : shareEarlier(earlier) });
      }
      case 'open':
        this.#close();
        this.#tree = openTree(job.tree);
        return done<'open'>(undefined);
      case 'relocate':
        this.#opened().reader.relocate(job.parentDescriptor, job.rootName);
        return done<'relocate'>(undefined);
      case 'read':
        return this.#read(job);
      case 'encode':
        return this.#encode(job);
      case 'write':
        return this.#write(job.payload);
      case 'unpack':
        return unpack(job.payload);
      case 'claim':
        return done<'claim'>({ digests: this.#claim(job.unit) });
      case 'hash':
        return done<'hash'>(this.#hash(job.unit, job.fromDisk));
      case 'directories':
        this.#writer().makeDirectories();
        return done<'directories'>(undefined);
      case 'forget':
        this.#writer().free(0, job.fromUnit * limits.unitBytes, (job.toUnit - job.fromUnit) * limits.unitBytes);
        return done<'forget'>(undefined);
      case 'close':
        this.#writer().close();
        return done<'close'>(undefined);
      case 'discard':
        for (const entry of job.entries) this.#writer().discard(entry);
        return done<'discard'>(undefined);
      case 'finish':
        return done<'finish'>({
          notKept: this.#writer().finish({ applyAllFiles: job.applyAllFiles, omit: new Set(job.omit) }),
        });
      case 'sync':
        if (job.scope === 'file') syncDirectory(job.descriptor);
        else syncFileSystem(job.descriptor);
        return done<'sync'>(undefined);
      case 'remove':
        removeTree(job.parentDescriptor, job.name);
        return done<'remove'>(undefined);
      case 'survey':
        return done<'survey'>({ steps: this.#surveyed(job).next(job.count) });
      case 'digest':
        return done<'digest'>({ results: job.ranges.map((range) => digestRange(range, this.#scratch)) });
      default:
        return job satisfies never;
    }
  }

  #read({ unit, compression, changes: known, claim, into }: JobOf<'read'>): Outcome {
    const { content, changes: seen } = this.#content(unit);
    const changes = known ?? seen;
    const { payload, digest } = encodeUnit({ unit, content, changes, claim }, compression, into);
    return { result: { payload, digest, changes } satisfies JobResult<'read'>, transfer: [payload.buffer] };
  }

  #encode({ unit, content, compression, into }: JobOf<'encode'>): Outcome {
    const { payload, digest } = encodeUnit({ unit, content, changes: [], claim: undefined }, compression, into);
    const result = { payload, digest, content } satisfies JobResult<'encode'>;
    return { result, transfer: [payload.buffer, content.buffer] };
  }

  #write(payload: Uint8Array<ArrayBuffer>): Outcome {
    const { layout, manifest, basis } = this.#opened();
    const writer = this.#writer();
    const { unit, digest, changes, content } = openUnit(
      payload,
      basis && ((patched) => this.#basisContent(patched, basis)),
    );
    layout.checkUnit(unit, content.byteLength);
    const pieces = layout.pieces(unit);
    checkRemarks(unit, changes, pieces.length);
    const lost = new Set(changes.filter(isLost).map(({ piece }) => piece));
    let at = 0;
    for (const [index, piece] of pieces.entries()) {
      const bytes = content.subarray(at, at + piece.length);
      at += piece.length;
      if (lost.has(index)) continue;
      if (isWholeFile(piece, manifest)) writer.writeWholeFile(piece.entry, bytes);
      else writer.writePiece(piece.entry, piece.offset, bytes);
    }
    if (content.buffer !== payload.buffer) freeBuffer(content);
    const result = { unit, digest: new Uint8Array(digest), changes, payload } satisfies JobResult<'write'>;
    return { result, transfer: [payload.buffer] };
  }

  #claim(unit: number): Uint8Array {
    const { basis } = this.#opened();
    if (basis === undefined) return new Uint8Array(0);
    const content = this.#basisContent(unit, basis);
    const claim = claimOf(content);
    freeBuffer(content);
    return claim;
  }

  /** What an older copy has in the place of a unit, to be freed; where it has nothing, zeros. */
  #basisContent(unit: number, basis: Basis): Uint8Array {
    const { layout } = this.#opened();
    const content = new Uint8Array(layout.unitBytes(unit));
    let at = 0;
    for (const piece of layout.pieces(unit)) {
      basis.reader.readPiece(piece.entry, piece.offset, content.subarray(at, at + piece.length));
      at += piece.length;
    }
    return content;
  }

  #hash(unit: number, fromDisk: boolean): JobResult<'hash'> {
    const { layout, reader } = this.#opened();
    if (fromDisk) for (const piece of layout.pieces(unit)) reader.dropCache(piece.entry, piece.offset, piece.length);
    const { content, changes } = this.#content(unit);
    return { digest: new Uint8Array(unitDigest(content)), changes };
  }

  #content(unit: number): { content: Uint8Array; changes: PieceChange[] } {
    const { layout, reader } = this.#opened();
    const content = this.#scratch.subarray(0, layout.unitBytes(unit));
    if (layout.isStream) {
      const { readBytes } = reader.readPiece(0, unit * limits.unitBytes, content);
      return { content: content.subarray(0, readBytes), changes: [] };
    }
    const changes: PieceChange[] = [];
    let at = 0;
    for (const [index, piece] of layout.pieces(unit).entries()) {
      const { change } = reader.readPiece(piece.entry, piece.offset, content.subarray(at, at + piece.length));
      if (change !== undefined) changes.push({ piece: index, change });
      at += piece.length;
    }
    return { content, changes };
  }

  #surveyed({ begin }: JobOf<'survey'>): Survey {
    if (begin !== undefined) this.#survey = new Survey(begin);
    if (this.#survey === undefined) throw new Error('a survey is continued that was not begun');
    return this.#survey;
  }

  #close(): void {
    this.#tree?.reader.close();
    this.#tree?.writer?.close();
    this.#tree?.handles.close();
    this.#tree?.basis?.reader.close();
    this.#tree?.basis?.handles.close();
  }

  #opened(): OpenTree {
    if (this.#tree === undefined) throw new Error('a job came before its tree was opened');
    return this.#tree;
  }

  #writer(): TreeWriter {
    const { writer } = this.#opened();
    if (writer === undefined) throw new Error('a source is never written');
    return writer;
  }
}

function unpack(payload: Uint8Array<ArrayBuffer>): Outcome {
  const opened = openUnit(payload);
  const content = opened.content as Uint8Array<ArrayBuffer>;
  const digest = new Uint8Array(opened.digest);
  const transfer = content.buffer === payload.buffer ? [payload.buffer] : [payload.buffer, content.buffer];
  return { result: { digest, content, payload } satisfies JobResult<'unpack'>, transfer };
}

/** A file that is gone or closed to us at the source has no content to write. */
export function isLost({ change }: PieceChange): boolean {
  return change === 'vanished' || change === 'unreadable';
}

/** Remarks ascend, so the last one tells. */
function checkRemarks(unit: number, changes: readonly PieceChange[], count: number): void {
  const last = changes.at(-1)?.piece ?? -1;
  if (last < count) return;
  throw new BatonError(
    'PROTOCOL',
    `unit ${unit} has a remark on piece ${last}, and its pieces are numbered below ${count}`,
  );
}

function done<K extends Job['kind']>(result: JobResult<K>): Outcome {
  return { result, transfer: [] };
}

function isWholeFile(piece: Piece, manifest: Manifest): boolean {
  const entry = manifest.entry(piece.entry);
  return entry.kind === 'file' && entry.extents === undefined && piece.offset === 0 && piece.length === entry.sizeBytes;
}

function openTree(tree: TreeDescription): OpenTree {
  const manifest = Manifest.fromShare(tree.manifest);
  const handles = new DirectoryHandles(manifest, tree.parentDescriptor, tree.rootName);
  return {
    manifest,
    layout: Layout.fromShare(tree.layout),
    handles,
    reader: new TreeReader(manifest, handles, { checkIdentity: tree.role === 'source' }),
    writer: tree.role === 'source' ? undefined : new TreeWriter(manifest, handles, { isSpool: tree.role === 'spool' }),
    basis: tree.basis === undefined ? undefined : openBasis(manifest, tree.basis),
  };
}

function openBasis(manifest: Manifest, { parentDescriptor, rootName }: Place): Basis {
  const handles = new DirectoryHandles(manifest, parentDescriptor, rootName);
  return { handles, reader: new TreeReader(manifest, handles, { checkIdentity: false }) };
}

function shareWithLayout(manifest: Manifest): JobResult<'manifest'> {
  return { manifest: manifest.share(), layout: Layout.of(manifest).share() };
}

function walk(job: JobOf<'walk'>): JobResult<'walk'> {
  const builder = new ManifestBuilder();
  const entries = walkTree(job);
  for (let next = entries.next(); ; next = entries.next()) {
    if (next.done) {
      return { ...shareWithLayout(builder.finish()), report: next.value };
    }
    builder.add(next.value);
  }
}
