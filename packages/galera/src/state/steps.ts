import { check, errnos, flags, mkdirat, unlinkat } from '@batondb/core/files/libc';
import { listDirectory } from '@batondb/core/files/open';
import { exchangeNames, renameNoReplace, syncDirectory } from '@batondb/core/files/publish';
import { type Stat, tryStatAt } from '@batondb/core/files/stat';
import { bytesToText, textToBytes } from '@batondb/core/text/bytes';
import type { Journal, JournalEntry } from './journal.ts';
import { roleOfFile } from './names.ts';
import type { Place, Places } from './places.ts';

// The steps of a swap, there and back. Each looks at inodes first and does nothing that is done: whoever is killed anywhere is followed by one
// who goes on (G2). The guard is exchanged with the old system tablespace in one step, and with the new one in one step, so that there is no
// moment without either.

/** Enough of a name to know it by, with room for a number before it. */
const strayNameCharactersMax = 60;

/** What stands at the guard's name, which tells how far a swap is. */
export type Stage = 'old' | 'guarded' | 'new' | 'foreign';

/** How far the swap of a journal is. */
export function stageOf(journal: Journal, places: Places): Stage {
  const { guard } = journal;
  const oldFirst = journal.out.find((entry) => isSameName(entry, guard));
  const newFirst = journal.in.find((entry) => isSameName(entry, guard));
  const found = tryStatAt(places.at(guard.place).top, textToBytes(guard.name));
  if (typeof found === 'number') return found === -errnos.ENOENT && oldFirst === undefined ? 'old' : 'foreign';
  if (found.inode === guard.inode && found.kind === 'directory') return 'guarded';
  if (found.inode === oldFirst?.inode) return 'old';
  return found.inode === newFirst?.inode ? 'new' : 'foreign';
}

/** The entries of a list that lie neither in their place nor in the given part of its staging directory. */
export function missing(
  entries: readonly JournalEntry[],
  places: Places,
  part: 'old' | 'fresh',
): readonly JournalEntry[] {
  return entries.filter((entry) => {
    const place = places.at(entry.place);
    return !isAt(place.top, entry) && !isAt(place[part], entry);
  });
}

/** Makes the guard, an empty directory among the old entries. Returns it. Throws SystemError. */
export function makeGuard(places: Places, place: number, name: string): JournalEntry {
  const { old } = places.at(place);
  check(mkdirat(old, textToBytes(name), 0o700), 'mkdirat', () => name);
  const found = tryStatAt(old, textToBytes(name));
  if (typeof found === 'number') check(found, 'statx', () => name);
  return { place, name, inode: (found as Stat).inode };
}

/** From the old data, or from wherever it was cut, to the guard alone: no old entry is left in its place. Throws SystemError, UNSUPPORTED. */
export function goOut(journal: Journal, places: Places): void {
  const { guard } = journal;
  const { top, old } = places.at(guard.place);
  const name = textToBytes(guard.name);
  if (stageOf(journal, places) === 'old') {
    if (journal.out.some((entry) => isSameName(entry, guard))) exchangeNames(old, name, top, name);
    else renameNoReplace(old, name, top, name);
    places.sync();
  }
  for (const entry of journal.out) if (!isSameName(entry, guard)) move(places, entry, 'top', 'old');
  setStraysAside(journal, places, journal.in);
  places.sync();
}

/** From the old data, or from wherever it was cut, to the new data in place and synced. Throws SystemError, UNSUPPORTED. */
export function goForward(journal: Journal, places: Places): void {
  goOut(journal, places);
  const { guard } = journal;
  const { top, fresh } = places.at(guard.place);
  for (const entry of journal.in) if (!isSameName(entry, guard)) move(places, entry, 'fresh', 'top');
  // All of the new data is there, and will be after a power failure too, before a server can start on it.
  places.sync();
  exchangeNames(fresh, textToBytes(guard.name), top, textToBytes(guard.name));
  places.sync();
}

/** From wherever it was cut back to the old data in place and synced. Throws SystemError, UNSUPPORTED. */
export function goBack(journal: Journal, places: Places): void {
  const { guard } = journal;
  const { top, old, fresh } = places.at(guard.place);
  const name = textToBytes(guard.name);
  const stage = stageOf(journal, places);
  if (stage === 'old') return;
  if (stage === 'new') exchangeNames(fresh, name, top, name);
  for (const entry of [...journal.in].reverse()) if (!isSameName(entry, guard)) move(places, entry, 'top', 'fresh');
  setStraysAside(journal, places, journal.out);
  for (const entry of [...journal.out].reverse()) if (!isSameName(entry, guard)) move(places, entry, 'old', 'top');
  places.sync();
  if (journal.out.some((entry) => isSameName(entry, guard))) exchangeNames(old, name, top, name);
  else renameNoReplace(top, name, old, name);
  places.sync();
}

/** Takes away the guard that never was put in place, or was taken back. False when there is more than that among the old entries. */
export function removeUnusedGuard(journal: Journal, places: Places): boolean {
  const { guard } = journal;
  const { old } = places.at(guard.place);
  const found = tryStatAt(old, textToBytes(guard.name));
  if (typeof found !== 'number' && found.inode === guard.inode) {
    check(unlinkat(old, textToBytes(guard.name), flags.AT_REMOVEDIR), 'unlinkat', () => guard.name);
  }
  return places.all.every((place) => listDirectory(place.old, () => place.path).length === 0);
}

/**
 * Takes away the guard of data that was given up, wherever it stands: what is left is an empty data directory, as a new node has it. Another thing of
 * that name stays.
 */
export function removeOldGuard(journal: Journal, places: Places): void {
  const { guard } = journal;
  const { top } = places.at(guard.place);
  const name = textToBytes(guard.name);
  const older = journal.out.find((entry) => isSameName(entry, guard));
  const found = tryStatAt(top, name);
  if (typeof found === 'number' || found.kind !== 'directory') return;
  if (found.inode !== guard.inode && found.inode !== older?.inode) return;
  check(unlinkat(top, name, flags.AT_REMOVEDIR), 'unlinkat', () => guard.name);
  syncDirectory(top);
}

function move(places: Places, entry: JournalEntry, from: 'top' | 'old' | 'fresh', to: 'top' | 'old' | 'fresh'): void {
  const place = places.at(entry.place);
  if (!isAt(place[from], entry)) return;
  const name = textToBytes(entry.name);
  renameNoReplace(place[from], name, place[to], name);
}

/**
 * A server that stopped at the guard may have made files of its own, logs of Aria mostly, and an installer a database: they belong to neither
 * state. `coming` is what is about to get its names back.
 */
function setStraysAside(journal: Journal, places: Places, coming: readonly JournalEntry[]): void {
  const known = [...journal.out, ...journal.in, journal.guard];
  for (const [index, place] of places.all.entries()) {
    const inodes = new Set(known.filter((entry) => entry.place === index).map(({ inode }) => inode));
    const names = new Set(coming.filter((entry) => entry.place === index).map(({ name }) => name));
    for (const bytes of listDirectory(place.top, () => place.path)) {
      const found = tryStatAt(place.top, bytes);
      if (typeof found === 'number' || inodes.has(found.inode)) continue;
      const name = bytesToText(bytes);
      if (names.has(name) || isServersFile(name, found, place, index, journal)) setAside(place, name);
    }
  }
}

function isServersFile(name: string, { kind }: Stat, { roles }: Place, index: number, { names }: Journal): boolean {
  if (kind !== 'file') return false;
  const role = roleOfFile(name, names);
  return role !== undefined && (index === 0 || roles.includes(role));
}

function setAside(place: Place, name: string): void {
  for (let number = 0; ; number++) {
    // The same server may have been started several times.
    const other = textToBytes(`${number}-${name.slice(0, strayNameCharactersMax)}`);
    if (tryStatAt(place.stray, other) !== -errnos.ENOENT) continue;
    renameNoReplace(place.top, textToBytes(name), place.stray, other);
    return;
  }
}

function isAt(directory: number, { name, inode }: JournalEntry): boolean {
  const found = tryStatAt(directory, textToBytes(name));
  return typeof found !== 'number' && found.inode === inode;
}

function isSameName(one: JournalEntry, other: JournalEntry): boolean {
  return one.place === other.place && one.name === other.name;
}
