import type { StateRecord } from '../machine/state-record.ts';
import type { WrittenFile } from './snapshot-calls.ts';

/** What there is to know of a SQLite file before its pages are taken. */
export type FileInspection = {
  readonly pageBytes: number;
  readonly pageCount: number;
  /** Of its state as it will be, as 64 bits. */
  readonly checksum: bigint;
};

/** The requests of a thread that looks at files. */
export type CheckCalls = {
  /** Compares a snapshot's files with its record, and has SQLite look at them if that is asked for. */
  readonly check: (request: { readonly directory: string; readonly withEngine: boolean }) => StateRecord;
  /** Copies files into an existing directory, and syncs them. */
  readonly copy: (request: {
    readonly from: string;
    readonly to: string;
    readonly names: readonly string[];
  }) => readonly WrittenFile[];
  /** Digests of files. */
  readonly digest: (request: {
    readonly directory: string;
    readonly names: readonly string[];
  }) => readonly WrittenFile[];
  /** Looks at a file that is to be imported, and keeps it open. `called`: what errors call it. */
  readonly inspect: (request: { readonly path: string; readonly called: string }) => FileInspection;
  /** Pages of the file that was inspected last, from the one with a number on. */
  readonly pages: (request: { readonly first: number; readonly count: number }) => Uint8Array<ArrayBuffer>;
};
