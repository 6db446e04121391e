import type { UnitCompression } from '@batondb/core/transfer/jobs';
import type { LayoutShare } from '@batondb/core/transfer/layout';
import type { StateRecord } from '../machine/state-record.ts';
import type { Pinned } from './pinned-state.ts';

/** A file that was written, with its digest: BLAKE3, hexadecimal. */
export type WrittenFile = { readonly name: string; readonly bytes: number; readonly blake3: string };

/** The requests of a snapshot's thread. */
export type SnapshotCalls = {
  readonly open: (request: {
    readonly pinned: Pinned;
    readonly state: Uint8Array;
    readonly layout: LayoutShare;
  }) => null;
  /** A unit as a whole UNIT message. */
  readonly read: (request: {
    readonly unit: number;
    readonly compression: UnitCompression;
    readonly claim: Uint8Array | undefined;
    readonly into: Uint8Array<ArrayBuffer>;
  }) => Uint8Array<ArrayBuffer>;
  /** Writes all files that a record speaks of into an empty directory, and syncs them. */
  readonly write: (request: { readonly directory: string; readonly record: StateRecord }) => readonly WrittenFile[];
  /** What one file would be, without writing it. */
  readonly digest: (request: { readonly name: string }) => WrittenFile;
  /** A part of a file. */
  readonly part: (request: {
    readonly name: string;
    readonly offset: number;
    readonly bytes: number;
  }) => Uint8Array<ArrayBuffer>;
};
