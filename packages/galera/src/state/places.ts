import { existsSync } from 'node:fs';
import { check, close } from '@batondb/core/files/libc';
import { openDirectory } from '@batondb/core/files/open';
import { syncDirectory } from '@batondb/core/files/publish';
import { removeTree } from '@batondb/core/files/remove';
import { toBatonError } from '@batondb/core/files/system-error';
import { textToBytes } from '@batondb/core/text/bytes';
import type { JournalPlace } from './journal.ts';
import type { PlaceLayout, ResolvedLayout } from './layout.ts';
import { limits } from './limits.ts';
import { atPath, openMadeDirectory, readSmallFile, replaceSmallFile } from './small-file.ts';
import { partNames, type Staging, stagingName } from './staging.ts';
import { listTop } from './top.ts';

const noteName = 'places';

/** One directory of a swap with the parts of its staging directory, as open descriptors. */
export type Place = JournalPlace & {
  /** The directory itself. */
  readonly top: number;
  /** Its staging directory. */
  readonly own: number;
  /** Old entries go here. */
  readonly old: number;
  /** New entries come from here. */
  readonly fresh: number;
  /** What a server made in the middle of a swap goes here. */
  readonly stray: number;
};

/** The directories of a swap, open; the first one is the data directory. */
export class Places implements Disposable {
  readonly all: readonly Place[];
  readonly #descriptors: readonly number[];

  constructor(all: readonly Place[], descriptors: readonly number[]) {
    this.all = all;
    this.#descriptors = descriptors;
  }

  at(index: number): Place {
    const place = this.all[index];
    if (place === undefined)
      throw new Error(`invariant broken: G2: a journal's entries lie in its places, not in ${index}`);
    return place;
  }

  /** Makes all renames so far last. Throws SystemError. */
  sync(): void {
    for (const { top, old, fresh, stray } of this.all) {
      for (const descriptor of [old, fresh, stray, top]) syncDirectory(descriptor);
    }
  }

  [Symbol.dispose](): void {
    for (const descriptor of this.#descriptors) close(descriptor);
  }
}

/** Where the staging of each directory is. */
function journalPlaces(staging: Staging, places: readonly PlaceLayout[]): JournalPlace[] {
  return places.map(({ path, roles }) => {
    return { path, roles, staging: path === staging.dataDirectory ? stagingName : staging.nameElsewhere };
  });
}

/** Opens every place, and makes what of the staging directories is missing. Throws NOT_FOUND, NO_PERMISSION, READ_ONLY, NO_SPACE, naming the place. */
export function openPlaces(staging: Staging, places: readonly JournalPlace[]): Places {
  const descriptors: number[] = [];
  const keep = (descriptor: number): number => {
    descriptors.push(descriptor);
    return descriptor;
  };
  const open = (place: JournalPlace): Place => {
    try {
      const top = keep(check(openDirectory(textToBytes(place.path)), 'openat', () => place.path));
      const own = keep(openMadeDirectory(top, place.staging, staging.owner));
      const part = (name: string): number => keep(openMadeDirectory(own, name, staging.owner));
      return { ...place, top, own, old: part(partNames.old), fresh: part(partNames.new), stray: part(partNames.stray) };
    } catch (error) {
      throw toBatonError(error, { path: place.path });
    }
  };
  try {
    return new Places(places.map(open), descriptors);
  } catch (error) {
    for (const descriptor of descriptors) close(descriptor);
    throw error;
  }
}

/** Makes the staging directories of a layout anew, but for the data directory's own, and opens them. Throws as openPlaces does. */
export function prepareStaging(staging: Staging, { places }: ResolvedLayout): Places {
  const chosen = journalPlaces(staging, places);
  atPath(staging.path, () => {
    removeElsewhere(chosen);
    notePlaces(staging, chosen);
  });
  return openPlaces(staging, chosen);
}

/** Removes what has gone out for good, to make room. Throws BUSY, SystemError; can be repeated. */
export function removeOld(places: Places): void {
  for (const { own } of places.all) {
    for (const name of [partNames.old, partNames.stray]) removeTree(own, textToBytes(name));
  }
}

/** Removes the staging directories of all places but the data directory's own. Throws BUSY, SystemError. */
export function removeElsewhere(places: readonly JournalPlace[]): void {
  for (const { path, staging } of places) {
    if (staging === stagingName) continue;
    const top = check(openDirectory(textToBytes(path)), 'openat', () => path);
    try {
      removeTree(top, textToBytes(staging));
      syncDirectory(top);
    } finally {
      close(top);
    }
  }
}

/** Notes in the staging directory where else there will be one, until a journal says so: whoever comes after a kill finds them. */
function notePlaces(staging: Staging, places: readonly JournalPlace[]): void {
  if (places.length < 2) return;
  const text = JSON.stringify(places.map(({ path }) => path));
  replaceSmallFile(staging.descriptor, noteName, text, { ...staging.owner, mode: 0o600 });
}

/**
 * Removes what was made elsewhere by a transfer that never wrote a journal; what lies among its old entries stays. Returns the first directory of which
 * that is so. A directory that is not there any more has nothing of ours.
 */
export function removeNoted(staging: Staging): string | undefined {
  const text = readSmallFile(staging.descriptor, noteName, limits.journalBytesMax);
  const places = [staging.dataDirectory, ...(text === undefined ? [] : parseNote(text))].map((path) => {
    return { path, roles: [], staging: path === staging.dataDirectory ? stagingName : staging.nameElsewhere };
  });
  const found = places.filter(({ path, staging: name }) => existsSync(`${path}/${name}`));
  const holding = found.find(({ path, staging: name }) => holdsOldData(`${path}/${name}`));
  if (holding !== undefined) return `${holding.path}/${holding.staging}`;
  removeElsewhere(found);
  return undefined;
}

/** Whether old data lies in a staging directory, and not just the guard of a swap that never began. */
function holdsOldData(path: string): boolean {
  const old = `${path}/${partNames.old}`;
  if (!existsSync(old)) return false;
  const descriptor = check(openDirectory(textToBytes(old)), 'openat', () => old);
  try {
    return listTop(descriptor, old).some(({ contents }) => contents !== 'nothing');
  } finally {
    close(descriptor);
  }
}

/** A note that a crash of the machine has spoilt is none: what it named is empty, or will be found by the next swap. */
function parseNote(text: string): string[] {
  try {
    const paths: unknown = JSON.parse(text);
    return Array.isArray(paths) ? paths.filter((path) => typeof path === 'string') : [];
  } catch {
    return [];
  }
}
