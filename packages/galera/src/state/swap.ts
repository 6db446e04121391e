import { constants, copyFile } from 'node:fs/promises';
import { check, errnos, flags, renameat2 } from '@batondb/core/files/libc';
import { descriptorPath, listDirectory } from '@batondb/core/files/open';
import { syncFileSystem } from '@batondb/core/files/publish';
import { toBatonError } from '@batondb/core/files/system-error';
import { bytesToText } from '@batondb/core/text/bytes';
import { carryOut } from './carry-out.ts';
import { type Journal, readJournal, writeJournal } from './journal.ts';
import { type DataLayout, type ResolvedLayout, resolveLayout } from './layout.ts';
import { checkOut, toJournalEntry, toPlanEntry } from './moves.ts';
import { roleOfFile } from './names.ts';
import { type Place, type Places, prepareStaging } from './places.ts';
import { choose } from './plan.ts';
import { forgetState } from './saved-state.ts';
import { removeSwapped } from './settle.ts';
import { atPath } from './small-file.ts';
import type { Staging } from './staging.ts';
import { goForward, makeGuard } from './steps.ts';
import { type FoundEntry, listTop } from './top.ts';

export type SwapOptions = {
  /** Its `new` holds the new data, verified and prepared, with all entries at the top; taken by takeStaging. */
  readonly staging: Staging;
  readonly layout: DataLayout;
  /** Position of the new data, `UUID:SEQNO`: with it a swap that was cut short ends in a node that needs no other transfer. */
  readonly position?: string | undefined;
};

/** What a swap has moved. */
export type SwapSummary = { readonly out: number; readonly in: number };

/**
 * Puts the new data in place of the old (G2). When it resolves, the new data is in place and on the disk, and a position may be printed (G3); the old data
 * is still in the staging directory, until {@link removeReplaced}. When it throws, the old data is in place, but for a message that says
 * otherwise and names what to run. An abort counts until the first step. Throws as checkLayout does, and EXISTS, BACKUP_FAILED, NO_SPACE.
 */
export async function swap({ staging, layout, position }: SwapOptions, signal: AbortSignal): Promise<SwapSummary> {
  const earlier = readJournal(staging.descriptor)?.state;
  if (earlier !== undefined && earlier !== 'given up') throw new Error('invariant broken: G2: one swap at a time');
  const resolved = resolveLayout(layout);
  using places = prepareStaging(staging, resolved);
  await distribute(places, resolved, signal);
  signal.throwIfAborted();
  return atPath(staging.path, () => {
    const planned = plan(places, resolved, position);
    const journal = earlier === undefined ? planned : { ...planned, followsGivingUp: true };
    // Whatever the new data was made by, it is on the disk before the old data is touched.
    for (const { fresh } of places.all) syncFileSystem(fresh);
    signal.throwIfAborted();
    writeJournal(staging.descriptor, journal, staging.owner);
    // G8: from here on the data is no longer what its old position speaks of.
    forgetState(staging);
    carryOut(journal, places, staging, goForward);
    writeJournal(staging.descriptor, { ...journal, state: 'done' }, staging.owner);
    return { out: journal.out.length, in: journal.in.length };
  });
}

/** Removes what a swap that is done has replaced, and its journal: the disk has its room again. Throws BUSY, SystemError; can be repeated. */
export function removeReplaced(staging: Staging): void {
  const journal = readJournal(staging.descriptor);
  if (journal?.state !== 'done') throw new Error('invariant broken: G1: old data is removed once the new is in place');
  atPath(staging.path, () => removeSwapped(journal, staging));
}

/** What a server keeps in other directories than the data directory goes there, beside the old: by a rename, or onto another file system. */
async function distribute(places: Places, { names }: ResolvedLayout, signal: AbortSignal): Promise<void> {
  const [first, ...others] = places.all;
  if (first === undefined || others.length === 0) return;
  for (const bytes of listDirectory(first.fresh, () => first.path)) {
    const role = roleOfFile(bytesToText(bytes), names);
    const place = role === undefined ? undefined : others.find(({ roles }) => roles.includes(role));
    if (place === undefined) continue;
    signal.throwIfAborted();
    await bring(first, place, bytes);
  }
}

async function bring(from: Place, to: Place, name: Uint8Array): Promise<void> {
  const result = renameat2(from.fresh, name, to.fresh, name, flags.RENAME_NOREPLACE);
  if (result !== -errnos.EXDEV) {
    check(result, 'renameat2', () => `${to.path}/${bytesToText(name)}`);
    return;
  }
  const path = (directory: number): Buffer => Buffer.from(descriptorPath(directory, name));
  try {
    await copyFile(path(from.fresh), path(to.fresh), constants.COPYFILE_EXCL);
  } catch (error) {
    throw toBatonError(error, { path: to.path });
  }
}

function plan(places: Places, { names }: ResolvedLayout, position: string | undefined): Journal {
  const top = places.all.map((place) => listTop(place.top, place.path));
  const fresh = places.all.map((place) => listTop(place.fresh, place.path));
  const { out, in: incoming } = choose({
    names,
    places: places.all.map(({ path, roles }, index) => ({ path, roles, top: (top[index] ?? []).map(toPlanEntry) })),
    fresh: withoutCopies(fresh).map(toPlanEntry),
  });
  checkOut(places, top, out);
  const newFirst = incoming.find(({ entry }) => entry.name === names.systemTablespace[0]);
  if (newFirst === undefined) throw new Error('invariant broken: G2: a plan has a system tablespace to come in');
  return {
    state: 'begun',
    ...(position === undefined ? {} : { position }),
    places: places.all.map(({ path, roles, staging }) => ({ path, roles, staging })),
    names,
    guard: makeGuard(places, newFirst.place, newFirst.entry.name),
    out: out.map(toJournalEntry),
    in: incoming.map(toJournalEntry),
  };
}

/** What was copied onto another file system is still in the first place, too: the copy counts. */
function withoutCopies([first = [], ...others]: readonly FoundEntry[][]): FoundEntry[] {
  const elsewhere = others.flat();
  const names = new Set(elsewhere.map(({ name }) => name));
  return [...first.filter(({ name }) => !names.has(name)), ...elsewhere];
}
