import { BatonError } from '@batondb/core/errors';
import { syncDirectory } from '@batondb/core/files/publish';
import { type Journal, type JournalEntry, journalName, readJournal, writeJournal } from './journal.ts';
import { limits } from './limits.ts';
import { openPlaces, type Places, removeElsewhere, removeNoted, removeOld } from './places.ts';
import { forgetState, writeSavedState } from './saved-state.ts';
import { type Staging, savedStateName } from './staging.ts';
import { goBack, goForward, goOut, missing, removeOldGuard, removeUnusedGuard, stageOf } from './steps.ts';

// What becomes of a swap that was cut short. Nothing had been moved: the old data stays, since a server may have run on it meanwhile. The guard is in
// place: no server has run, and the new data comes in if all of it is there, else the old data comes back.

/** What was found of a swap, and what was done about it. */
export type Settled =
  /** There was none. */
  | 'nothing'
  /** It had not begun: the old data is in place. */
  | 'dropped'
  /** It was carried to its end: the new data is in place. */
  | 'finished'
  /** It was taken back: the old data is in place. */
  | 'undone'
  /** It was done but for removing the old data. */
  | 'cleaned'
  /** The old data had been given up for new data that did not come: there is none, as on a new node. */
  | 'emptied';

/**
 * Ends a swap that was cut short, wherever that was; can be cut short itself and repeated. No server may be running on the data. Throws STAGING_DAMAGED,
 * VERSION_MISMATCH, LIMIT, NOT_FOUND (a directory is not mounted), BUSY, SystemError.
 */
export function settle(staging: Staging): Settled {
  const journal = readJournal(staging.descriptor);
  if (journal === undefined) {
    const holding = removeNoted(staging);
    if (holding !== undefined) throw heldBack(holding, 'there is no journal of a swap');
    return 'nothing';
  }
  if (journal.state === 'done') {
    removeSwapped(journal, staging);
    return 'cleaned';
  }
  using places = openPlaces(staging, journal.places);
  const stage = stageOf(journal, places);
  if (journal.state === 'given up' && stage !== 'old') return emptyOut(journal, places, staging);
  if (stage === 'foreign') throw foreign(journal, staging);
  if (stage === 'old') return drop(journal, places, staging, 'dropped');
  if (stage === 'guarded') {
    const lost = missing(journal.in, places, 'fresh');
    if (lost.length > 0) {
      const gone = missing(journal.out, places, 'old');
      if (gone.length > 0) throw lostBoth(staging, lost, gone);
      forgetState(staging);
      goBack(journal, places);
      return drop(journal, places, staging, 'undone');
    }
    goForward(journal, places);
  }
  // The position goes first: a crash behind it finds the swap unfinished, and comes here again.
  saveNewPosition(journal, staging);
  const done: Journal = { ...journal, state: 'done' };
  writeJournal(staging.descriptor, done, staging.owner);
  removeSwapped(done, staging);
  return 'finished';
}

/** Removes all that a swap which is done has left, the journal last. Can be repeated. Throws BUSY, SystemError. */
export function removeSwapped(journal: Journal, staging: Staging): void {
  removeElsewhere(journal.places);
  staging.empty([journalName, savedStateName]);
  syncDirectory(staging.descriptor);
  staging.empty([savedStateName]);
  syncDirectory(staging.descriptor);
}

/** The old data goes all the way: a part of it is of no use. */
function emptyOut(journal: Journal, places: Places, staging: Staging): Settled {
  if (stageOf(journal, places) === 'guarded') goOut(journal, places);
  removeOld(places);
  // Only now may a server start: it finds nothing.
  removeOldGuard(journal, places);
  removeSwapped(journal, staging);
  return 'emptied';
}

function drop(journal: Journal, places: Places, staging: Staging, how: 'dropped' | 'undone'): Settled {
  // G1: no old data is ever removed on the way back.
  if (!removeUnusedGuard(journal, places))
    throw heldBack(staging.path, `the journal says that nothing of it was moved`);
  if (journal.followsGivingUp === true) removeOldGuard(journal, places);
  removeSwapped(journal, staging);
  return journal.followsGivingUp === true ? 'emptied' : how;
}

function saveNewPosition({ position }: Journal, staging: Staging): void {
  const match = /^([0-9a-f-]{36}):(-?\d+)$/.exec(position ?? '');
  if (match === null) return forgetState(staging);
  writeSavedState(staging, { uuid: match[1] as string, seqno: match[2] as string, of: 'new data' });
}

function heldBack(path: string, reason: string): BatonError {
  return new BatonError('STAGING_DAMAGED', `${path}/old holds data, and ${reason}: it is not removed`, {
    hint: `look at what is in it, and move it away; then run: baton galera recover`,
  });
}

function foreign({ guard, places }: Journal, { path }: Staging): BatonError {
  const file = `${places[guard.place]?.path}/${guard.name}`;
  return new BatonError(
    'STAGING_DAMAGED',
    `${file} is neither what it was before the swap that ${path}/swap speaks of, nor what it was to be after it, so somebody has changed the data directory since`,
    {
      hint: `if the data directory is what it should be, move ${path} away; its old and new directories hold what the swap had not moved`,
    },
  );
}

function lostBoth({ path }: Staging, lost: readonly JournalEntry[], gone: readonly JournalEntry[]): BatonError {
  return new BatonError(
    'STAGING_DAMAGED',
    `the swap of ${path} can neither be finished nor undone: of the new data ${quote(lost)} is gone, of the old data ${quote(gone)}`,
    {
      hint: `bring them back; or, to give both up, empty the data directory with ${path} and let the node take a whole transfer`,
    },
  );
}

function quote(entries: readonly JournalEntry[]): string {
  const names = entries.slice(0, limits.namesQuotedMax).map(({ name }) => name);
  const more = entries.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
