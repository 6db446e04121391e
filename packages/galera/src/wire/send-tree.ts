import { BatonError } from '@batondb/core/errors';
import { entryPath } from '@batondb/core/files/directories';
import { close } from '@batondb/core/files/libc';
import { openDirectory, splitPath } from '@batondb/core/files/open';
import type { WalkReport } from '@batondb/core/files/walk';
import { Manifest } from '@batondb/core/protocol/manifest';
import { treeDigest } from '@batondb/core/protocol/tree-digest';
import { Layout } from '@batondb/core/transfer/layout';
import { matchEntries } from '@batondb/core/transfer/resume';
import { SourceTree } from '@batondb/core/transfer/source-tree';
import { WorkerPool } from '@batondb/core/transfer/worker-pool';
import type { DonorSession } from './donor-session.ts';
import { feed, type SendOptions, sendDefaults } from './hop.ts';

/** What is sent. Nobody may change it meanwhile: what is noticed of that is an error. */
export type TreeSource = {
  readonly directory: string;
  /** What stays: patterns as in core's exclude.ts, a leading slash meaning the directory itself. */
  readonly exclude: readonly string[];
};

export type SentTree = { readonly files: number; readonly bytes: number };

export type TreeProgress = {
  /** Told twice a second of bytes that were read. */
  readonly onProgress?: (bytes: number, totalBytes: number) => void;
};

const progressMs = 500;

/**
 * Sends a directory tree with its modes, times, links and holes, and resolves when the joiner has all of it and the tree was seen to be
 * the same before and after. Throws SOURCE_CHANGED, NO_PERMISSION, what the joiner refuses with, or what the session or `signal` ends with.
 */
export async function sendTree(
  session: DonorSession,
  { directory, exclude }: TreeSource,
  options: SendOptions & TreeProgress,
  signal: AbortSignal,
): Promise<SentTree> {
  const { workers = sendDefaults.workers, onProgress } = options;
  const either = AbortSignal.any([signal, session.signal]);
  await using pool = new WorkerPool(workers);
  const root = Buffer.from(directory);
  const walk = { kind: 'walk', root, exclude, oneFileSystem: false } as const;
  const walked = await pool.run(walk);
  checkWhole(walked.report);
  const manifest = Manifest.fromShare(walked.manifest);
  const layout = Layout.fromShare(walked.layout);
  const place = splitPath(root);
  const parentDescriptor = openDirectory(place.directory, { readable: false });
  using _parent = { [Symbol.dispose]: () => close(parentDescriptor) };
  const { manifest: manifestShare, layout: layoutShare } = walked;
  const tree = {
    parentDescriptor,
    rootName: place.name,
    manifest: manifestShare,
    layout: layoutShare,
    role: 'source',
  } as const;
  await pool.runOnAll({ kind: 'open', tree });
  const changed = Promise.withResolvers<never>();
  changed.promise.catch(() => undefined);
  const supply = new SourceTree(pool, manifest, layout, (entry, what) =>
    changed.reject(
      sourceChanged(`${entryPath(manifest, entry)} ${what === 'unreadable' ? 'could not be read' : what}`),
    ),
  );
  const manifestBytes = manifest.sections.reduce((bytes, { byteLength }) => bytes + byteLength, 0);
  const transfer = session.announce({ kind: 'tree', manifestDigest: manifest.digest, manifestBytes });
  const ended = new AbortController();
  const timer = setInterval(() => onProgress?.(doneBytes(supply), layout.contentBytes), progressMs);
  try {
    const fed = feed(session, transfer, supply, options, AbortSignal.any([either, ended.signal]));
    const theirs = await Promise.race([fed, changed.promise]);
    const ours = treeDigest(manifest.digest, supply.known.allDigests(), supply.known.allChanges());
    if (Buffer.compare(ours, theirs) !== 0) {
      throw new BatonError('DIGEST_MISMATCH', `what the joiner has received is not what was read of ${directory}`);
    }
    const after = await pool.run(walk);
    checkWhole(after.report);
    checkSame(manifest, Manifest.fromShare(after.manifest));
    return { files: walked.report.files, bytes: layout.contentBytes };
  } finally {
    clearInterval(timer);
    ended.abort(new BatonError('INTERRUPTED', 'the tree was given up'));
  }
}

/** Without a file, what the joiner gets is no state. */
function checkWhole({ vanished, unreadable }: WalkReport): void {
  const [gone] = vanished.first;
  if (gone !== undefined) throw sourceChanged(`${gone} vanished`);
  const [closed] = unreadable.first;
  if (closed === undefined) return;
  throw new BatonError('NO_PERMISSION', `${closed} may not be read, and is part of the state`, {
    hint: "give the server's user the right to read it, or move it out of the data directory",
  });
}

function checkSame(before: Manifest, after: Manifest): void {
  if (Buffer.compare(before.digest, after.digest) === 0) return;
  const { unmatched } = matchEntries(before, after);
  const [first] = unmatched;
  throw sourceChanged(
    first === undefined ? 'something has appeared, or its metadata changed,' : `${entryPath(before, first)} changed`,
  );
}

function doneBytes({ known, layout }: SourceTree): number {
  return known.isFull
    ? layout.contentBytes
    : Math.min(layout.contentBytes, known.count * (layout.contentBytes / layout.unitCount));
}

function sourceChanged(what: string): BatonError {
  return new BatonError('SOURCE_CHANGED', `${what} while it was sent, and the joiner would get a mixture`, {
    hint: 'find out which program writes there while tables are flushed, or use method=backup',
  });
}
