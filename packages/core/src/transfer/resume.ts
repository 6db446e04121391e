import type { Entry, FileEntry } from '../protocol/entry.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { HaveSet } from './have.ts';
import type { EarlierCopy } from './journal-file.ts';
import type { Layout, Piece } from './layout.ts';
import { type Staging, stagedTreeName } from './staging.ts';
import type { WorkerPool } from './worker-pool.ts';

// What an earlier run left is taken up: every unit its journal claims is read again and compared with its digest (T2),
// and a file that is not the same at the source any more loses everything that was received of it (T4).

/** Told of what was found. */
export type ResumeReport = {
  readonly keptUnits: number;
  readonly keptBytes: number;
  /** Files of the earlier run that are gone or different at the source now. */
  readonly discardedFiles: number;
};

/** What preparing needs. */
export type ResumeContext = {
  readonly pool: WorkerPool;
  readonly staging: Staging;
  readonly manifest: Manifest;
  readonly layout: Layout;
  /** What is received is a stream that is passed on and freed. Default: false. */
  readonly isSpool?: boolean;
  /** Told of every unit that the journal claims and the disk does not have. */
  readonly onDamaged: (unit: number, layout: Layout, manifest: Manifest) => void;
  /** Told of bytes of an earlier run that have been read again. */
  readonly onChecked: (bytes: number) => void;
};

/** Makes a staging directory ready for a manifest: workers opened, directories made, what is good of an earlier run kept. */
export async function prepareStaging(context: ResumeContext): Promise<{ have: HaveSet; report: ResumeReport }> {
  const { pool, staging, manifest, layout, isSpool = false } = context;
  const { earlier } = staging;
  const none = { keptUnits: 0, keptBytes: 0, discardedFiles: 0 };
  // A stream is made anew each time: nothing of an earlier one belongs to this one.
  if (earlier === undefined || layout.isStream || earlier.layout.isStream || !staging.isEarlierStaged) {
    const have = new HaveSet(layout.unitCount);
    // T9: what no journal speaks of would end up in the copy.
    await pool.run({ kind: 'remove', parentDescriptor: staging.descriptor, name: stagedTreeName });
    staging.begin({ manifest, layout, have });
    await openStaged(pool, staging, { manifest, layout }, isSpool ? 'spool' : 'staging');
    return { have, report: none };
  }
  if (Buffer.compare(earlier.manifest.digest, manifest.digest) === 0) {
    staging.resume(earlier);
    await openStaged(pool, staging, { manifest, layout });
    const have = await checkUnits(context, earlier);
    return { have, report: { ...none, ...countKept(have, layout) } };
  }
  return await reconcile(context, earlier);
}

/** The source has changed since: keeps the pieces of files that are still the same, and removes the rest. */
async function reconcile(
  context: ResumeContext,
  earlier: EarlierCopy,
): Promise<{ have: HaveSet; report: ResumeReport }> {
  const { pool, staging, manifest, layout, onChecked } = context;
  await openStaged(pool, staging, earlier);
  const oldHave = await checkUnits(context, earlier);
  const { oldOf, unmatched } = matchEntries(earlier.manifest, manifest);
  await pool.run({ kind: 'discard', entries: unmatched });
  const discardedFiles = unmatched.filter((entry) => earlier.manifest.kindOf(entry) === 'file').length;
  const goodPieces = new Set<string>();
  for (const unit of oldHave.units()) {
    for (const { entry, offset } of earlier.layout.pieces(unit)) goodPieces.add(`${entry}:${offset}`);
  }
  await openStaged(pool, staging, { manifest, layout });
  const have = new HaveSet(layout.unitCount);
  const isKept = (unit: number) =>
    layout.pieces(unit).every(({ entry, offset }) => goodPieces.has(`${oldOf.get(entry) ?? -1}:${offset}`));
  // Most changes of a tree, such as a new access time, leave most units as they were.
  const isUnmoved = (unit: number) => {
    const before = unit < earlier.layout.unitCount ? earlier.layout.pieces(unit) : [];
    const now = layout.pieces(unit);
    return now.length === before.length && now.every((piece, index) => isSamePiece(piece, before[index], oldOf));
  };
  await forEachUnit(pool, layout.unitCount, async (unit) => {
    if (!isKept(unit)) return;
    if (isUnmoved(unit)) {
      have.add(unit, oldHave.digest(unit));
      return;
    }
    const { digest, changes } = await pool.run({ kind: 'hash', unit, fromDisk: false });
    onChecked(layout.unitBytes(unit));
    if (changes.length === 0) have.add(unit, digest);
  });
  staging.begin({ manifest, layout, have });
  return { have, report: { ...countKept(have, layout), discardedFiles } };
}

/** Reads again every unit that a journal claims. What the source had remarks on is not kept: it was no clean read. */
async function checkUnits({ pool, onDamaged, onChecked }: ResumeContext, earlier: EarlierCopy): Promise<HaveSet> {
  const { claimed, layout, manifest } = earlier;
  const have = new HaveSet(layout.unitCount);
  await forEachUnit(pool, layout.unitCount, async (unit) => {
    if (!claimed.has(unit) || claimed.changes(unit).length > 0) return;
    const { digest } = await pool.run({ kind: 'hash', unit, fromDisk: false });
    onChecked(layout.unitBytes(unit));
    if (Buffer.compare(digest, claimed.digest(unit)) === 0) have.add(unit, digest);
    else onDamaged(unit, layout, manifest);
  });
  return have;
}

async function openStaged(
  pool: WorkerPool,
  staging: Staging,
  { manifest, layout }: { readonly manifest: Manifest; readonly layout: Layout },
  role: 'staging' | 'spool' = 'staging',
): Promise<void> {
  const tree = {
    parentDescriptor: staging.descriptor,
    rootName: stagedTreeName,
    manifest: manifest.share(),
    layout: layout.share(),
    role,
    ...(staging.basis === undefined ? {} : { basis: staging.basis }),
  };
  await pool.runOnAll({ kind: 'open', tree });
  await pool.run({ kind: 'directories' });
}

async function forEachUnit(pool: WorkerPool, count: number, work: (index: number) => Promise<void>): Promise<void> {
  const next = { index: 0 };
  const worker = async () => {
    while (next.index < count) await work(next.index++);
  };
  // Twice as many as workers, so that none waits for its next job.
  await Promise.all(Array.from({ length: pool.size * 2 }, worker));
}

function countKept(have: HaveSet, layout: Layout): { keptUnits: number; keptBytes: number } {
  let keptBytes = 0;
  for (const unit of have.units()) keptBytes += layout.unitBytes(unit);
  return { keptUnits: have.count, keptBytes };
}

/** Which old entry a new one is, and which old ones are none: by path, kind, and for files by content's identity. */
export function matchEntries(
  old: Manifest,
  now: Manifest,
): { oldOf: ReadonlyMap<number, number>; unmatched: number[] } {
  const byPlace = new Map<string, number>();
  for (let index = 0; index < old.count; index++) {
    const entry = old.entry(index);
    byPlace.set(placeOf(entry, entry.parent), index);
  }
  const oldOf = new Map<number, number>();
  for (let index = 0; index < now.count; index++) {
    const entry = now.entry(index);
    const parent = entry.parent < 0 ? entry.parent : oldOf.get(entry.parent);
    const candidate = parent === undefined ? undefined : byPlace.get(placeOf(entry, parent));
    if (candidate !== undefined && isSameThing(old.entry(candidate), entry)) oldOf.set(index, candidate);
  }
  const matched = new Set(oldOf.values());
  const unmatched: number[] = [];
  for (let index = 0; index < old.count; index++) if (!matched.has(index)) unmatched.push(index);
  return { oldOf, unmatched };
}

/** An entry's place by the old index of its directory. The root is staged under one name, whatever it is called at the source. */
function placeOf(entry: Entry, parent: number): string {
  return parent < 0 ? '' : `${parent}/${Buffer.from(entry.name).toString('latin1')}`;
}

function isSamePiece(now: Piece, old: Piece | undefined, oldOf: ReadonlyMap<number, number>): boolean {
  return oldOf.get(now.entry) === old?.entry && now.offset === old?.offset && now.length === old.length;
}

function isSameThing(old: Entry, now: Entry): boolean {
  if (old.kind === 'directory' && now.kind === 'directory') return true;
  return old.kind === 'file' && now.kind === 'file' && isSameContent(old, now);
}

function isSameContent(old: FileEntry, now: FileEntry): boolean {
  return (
    old.sizeBytes === now.sizeBytes &&
    old.modifyTimeNs === now.modifyTimeNs &&
    old.identity.device === now.identity.device &&
    old.identity.inode === now.identity.inode &&
    old.identity.changeTimeNs === now.identity.changeTimeNs &&
    JSON.stringify(old.extents) === JSON.stringify(now.extents)
  );
}
