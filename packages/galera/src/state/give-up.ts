import { type Journal, readJournal, writeJournal } from './journal.ts';
import { type DataLayout, resolveLayout } from './layout.ts';
import { journalPlaces, notePlaces, openPlaces, removeElsewhere, removeOld } from './places.ts';
import { chooseOutgoing } from './plan.ts';
import { forgetState } from './saved-state.ts';
import type { Staging } from './staging.ts';
import { goOut, makeGuard } from './steps.ts';
import { toJournalEntry, toPlanEntry } from './swap.ts';
import { listTop } from './top.ts';

/**
 * Removes the old data before there is new data, for a host without room for both (`space=in-place`): G1 does not hold from here on, which is the
 * operator's knowing choice. The guard takes the place of the system tablespace and stays until a swap brings new data in; when that does not come, settle
 * leaves an empty data directory, as a new node has it. An abort counts until the first step. Throws as checkLayout does.
 */
export function giveUpOld(
  { staging, layout }: { readonly staging: Staging; readonly layout: DataLayout },
  signal: AbortSignal,
): void {
  if (readJournal(staging.descriptor) !== undefined) throw new Error('invariant broken: G2: one swap at a time');
  const { places: wanted, names } = resolveLayout(layout);
  const chosen = journalPlaces(staging, wanted);
  removeElsewhere(chosen);
  notePlaces(staging, chosen);
  using places = openPlaces(staging, chosen);
  const tops = places.all.map((place) => ({ ...place, top: listTop(place.top, place.path).map(toPlanEntry) }));
  const guarded = Math.max(
    chosen.findIndex(({ roles }) => roles.includes('system')),
    0,
  );
  const out = chooseOutgoing({ names, places: tops }, []).map(toJournalEntry);
  const guard = makeGuard(places, guarded, names.systemTablespace[0] ?? 'ibdata1');
  signal.throwIfAborted();
  const journal: Journal = { state: 'given up', places: chosen, names, guard, out, in: [] };
  writeJournal(staging.descriptor, journal, staging.owner);
  forgetState(staging);
  goOut(journal, places);
  removeOld(places);
}
