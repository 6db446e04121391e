import type { Entry } from './entry.ts';

/** Entries by index, parents before children: what the file rooms need to know of a manifest. */
export type EntryTable = {
  readonly count: number;
  entry(index: number): Entry;
};
