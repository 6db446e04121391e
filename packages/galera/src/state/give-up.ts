import { carryOut } from './carry-out.ts';
import { type Journal, readJournal, writeJournal } from './journal.ts';
import { type DataLayout, resolveLayout } from './layout.ts';
import { checkOut, toJournalEntry, toPlanEntry } from './moves.ts';
import { prepareStaging, removeOld } from './places.ts';
import { chooseOutgoing } from './plan.ts';
import { forgetState } from './saved-state.ts';
import type { Staging } from './staging.ts';
import { goOut, makeGuard } from './steps.ts';
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
  const resolved = resolveLayout(layout);
  const { names } = resolved;
  using places = prepareStaging(staging, resolved);
  const top = places.all.map((place) => listTop(place.top, place.path));
  const found = places.all.map(({ path, roles }, index) => ({ path, roles, top: (top[index] ?? []).map(toPlanEntry) }));
  const out = chooseOutgoing({ names, places: found }, []);
  checkOut(places, top, out);
  const guarded = Math.max(
    places.all.findIndex(({ roles }) => roles.includes('system')),
    0,
  );
  const guard = makeGuard(places, guarded, names.systemTablespace[0] ?? 'ibdata1');
  signal.throwIfAborted();
  const journal: Journal = {
    state: 'given up',
    places: places.all.map(({ path, roles, staging: name }) => ({ path, roles, staging: name })),
    names,
    guard,
    out: out.map(toJournalEntry),
    in: [],
  };
  writeJournal(staging.descriptor, journal, staging.owner);
  forgetState(staging);
  carryOut(journal, places, staging, goOut);
  removeOld(places);
}
