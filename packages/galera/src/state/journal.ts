import { createHash } from 'node:crypto';
import { BatonError } from '@batondb/core/errors';
import { limits } from './limits.ts';
import type { Role, ServerNames } from './names.ts';
import { type Owner, readSmallFile, replaceSmallFile } from './small-file.ts';

// The journal of a swap: what goes out and what comes in, by name and inode, written before the first step. Two lines: JSON, and the SHA-256
// of that line. Not checked: that what it names exists; who carries it out looks at inodes.

const formatVersion = 1;
/** Its name in the staging directory. */
export const journalName = 'swap';

/** A directory that takes part: the first one is the data directory. */
export type JournalPlace = {
  /** Absolute, without symlinks. */
  readonly path: string;
  readonly roles: readonly Role[];
  /** Name of the staging directory in it. */
  readonly staging: string;
};

/** One entry at the top of a place; an inode is what tells old from new. */
export type JournalEntry = { readonly place: number; readonly name: string; readonly inode: bigint };

/** All that a swap does, in the order in which it does it. */
export type Journal = {
  /**
   * `done`: the new data is in place and synced, and what is left is to be removed. `given up`: old data goes out and is removed before there is new
   * data; the guard stays.
   */
  readonly state: 'begun' | 'done' | 'given up';
  /** Whether the old data had been given up before: what lies at the guard's name is an older guard, and without new data nothing is left. */
  readonly followsGivingUp?: boolean | undefined;
  /** Position of the new data, `UUID:SEQNO`, if it is known. */
  readonly position?: string | undefined;
  readonly places: readonly JournalPlace[];
  readonly names: ServerNames;
  /** The directory that stands where the system tablespace's first file was. */
  readonly guard: JournalEntry;
  readonly out: readonly JournalEntry[];
  readonly in: readonly JournalEntry[];
};

/** The journal's text. */
export function formatJournal(journal: Journal): string {
  const list = (entries: readonly JournalEntry[]) => entries.map(toList);
  const { guard, out, in: incoming, ...rest } = journal;
  const line = JSON.stringify({
    format: formatVersion,
    ...rest,
    guard: toList(guard),
    out: list(out),
    in: list(incoming),
  });
  return `${line}\n${digestOf(line)}\n`;
}

/** The journal of a text. Throws STAGING_DAMAGED, VERSION_MISMATCH. */
export function parseJournal(text: string): Journal {
  const [line = '', digest] = text.split('\n');
  if (digest !== digestOf(line)) throw damaged();
  // Behind its digest the text is what some baton has written, but maybe a newer one.
  const written = JSON.parse(line) as Omit<Journal, 'guard' | 'out' | 'in'> & {
    readonly format: number;
    readonly guard: Listed;
    readonly out: readonly Listed[];
    readonly in: readonly Listed[];
  };
  if (written.format !== formatVersion) {
    throw new BatonError(
      'VERSION_MISMATCH',
      `the journal of a swap has format ${written.format}, and this baton knows ${formatVersion}`,
      { hint: 'run baton galera recover of the newer baton' },
    );
  }
  const { state, followsGivingUp, position, places, names } = written;
  const incoming = written.in.map(fromList);
  return {
    state,
    followsGivingUp,
    position,
    places,
    names,
    guard: fromList(written.guard),
    out: written.out.map(fromList),
    in: incoming,
  };
}

/** Reads the journal in an open staging directory; undefined when no swap was begun. Throws STAGING_DAMAGED, VERSION_MISMATCH, LIMIT, SystemError. */
export function readJournal(staging: number): Journal | undefined {
  const text = readSmallFile(staging, journalName, limits.journalBytesMax);
  return text === undefined ? undefined : parseJournal(text);
}

/** Writes it, whole or not at all; it is on the disk when this returns. Throws SystemError. */
export function writeJournal(staging: number, journal: Journal, owner: Owner): void {
  replaceSmallFile(staging, journalName, formatJournal(journal), { ...owner, mode: 0o600 });
}

type Listed = readonly [place: number, name: string, inode: string];

function toList({ place, name, inode }: JournalEntry): Listed {
  return [place, name, String(inode)];
}

function fromList([place, name, inode]: Listed): JournalEntry {
  return { place, name, inode: BigInt(inode) };
}

function digestOf(line: string): string {
  return createHash('sha256').update(line).digest('hex');
}

function damaged(): BatonError {
  return new BatonError(
    'STAGING_DAMAGED',
    'the journal of a swap (.sst/swap) cannot be read: its digest does not fit',
    {
      hint: 'look for disk errors; the old data is in .sst/old and in the data directory, the new data in .sst/new: keep all of it',
    },
  );
}
