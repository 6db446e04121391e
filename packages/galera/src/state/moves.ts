import { checkEntry } from './check-layout.ts';
import type { JournalEntry } from './journal.ts';
import type { Places } from './places.ts';
import type { PlanEntry, PlanMove } from './plan.ts';
import type { FoundEntry } from './top.ts';

// Between what lies in directories, what a plan knows of it, and what a journal says.

/** Throws as checkEntry does, for the first entry that cannot go out. `top`: what lies at the top of each place. */
export function checkOut(places: Places, top: readonly FoundEntry[][], out: readonly PlanMove[]): void {
  const byName = top.map((entries) => new Map(entries.map((entry) => [entry.name, entry])));
  for (const { place, entry } of out) {
    const found = byName[place]?.get(entry.name);
    if (found !== undefined) checkEntry(places.at(place), found);
  }
}

export function toPlanEntry({ stat, ...entry }: FoundEntry): PlanEntry {
  return { ...entry, inode: stat.inode };
}

export function toJournalEntry({ place, entry }: PlanMove): JournalEntry {
  return { place, name: entry.name, inode: entry.inode };
}
