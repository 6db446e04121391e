import type { ErrorRecord } from '@batondb/core/errors';
import type { Finding } from '../events.ts';

// What a comparison tells while it runs. Paths are text for people, below the root of the tree, which is `.`.

/** What differs, or why that is not known (`changed-meanwhile`, `unreadable`). */
export type DifferenceKind =
  | 'missing'
  | 'extra'
  | 'kind'
  | 'content'
  | 'size'
  | 'mode'
  | 'owner'
  | 'times'
  | 'link'
  | 'device'
  | 'hardlinks'
  | 'xattrs'
  | 'changed-meanwhile'
  | 'unreadable';

/** Part of a file, in bytes. */
export type FilePart = { readonly offset: number; readonly length: number };

/** One thing in which a target is not the source. */
export type Difference = {
  readonly what: DifferenceKind;
  readonly path: string;
  /** Both values, where there are two to show. */
  readonly source?: string;
  readonly target?: string;
  /** Of `content`: the first units (1 MiB each) that differ, and how many do. */
  readonly units?: { readonly first: readonly FilePart[]; readonly total: number };
  /** Of `missing` and `extra`: how many entries, with all that is below a directory. */
  readonly entries?: number;
  /** Of `changed-meanwhile` and `unreadable`: where. */
  readonly side?: 'source' | 'target' | 'both';
  /** The system's word for it, such as EIO. */
  readonly reason?: string;
};

/** How far the reading of one side is. */
export type SideProgress = {
  /** The source or target, as it was given. */
  readonly side: string;
  readonly state: 'reading' | 'done' | 'failed';
  readonly doneEntries: number;
  readonly doneFiles: number;
  readonly doneBytes: number;
  /** What the source has in all; undefined while that is not known. */
  readonly totalFiles: number | undefined;
  readonly totalBytes: number | undefined;
  readonly rateBytesPerSecond: number;
  /** Undefined while no rate or no total is known. */
  readonly etaSeconds: number | undefined;
};

/** What came out for one target. */
export type VerifyResult = {
  readonly target: string;
  /** The copy that was compared. */
  readonly path: string;
  /**
   * `same`: all of it was compared, and nothing differs. `different`: something does. `incomplete`: nothing is known to differ,
   * and not all is known. `failed`: it was not compared to the end.
   */
  readonly state: 'same' | 'different' | 'incomplete' | 'failed';
  readonly differences: number;
  /** Things that could not be compared: changed meanwhile, or unreadable. */
  readonly unknown: number;
  readonly error?: ErrorRecord;
};

export type VerifySummary = {
  readonly source: string;
  readonly entries: number;
  readonly files: number;
  /** Size of the source's files that were compared, holes included; 0 when no content was read. */
  readonly bytes: number;
  readonly durationMs: number;
  readonly targets: readonly VerifyResult[];
};

export type VerifyEvent =
  | { readonly type: 'host'; readonly host: string; readonly version: string }
  | { readonly type: 'findings'; readonly findings: readonly Finding[] }
  | {
      readonly type: 'comparison';
      readonly source: string;
      readonly targets: readonly { readonly target: string; readonly path: string }[];
      readonly dryRun: boolean;
    }
  | { readonly type: 'verify-progress'; readonly sides: readonly SideProgress[] }
  | { readonly type: 'difference'; readonly target: string; readonly difference: Difference }
  | { readonly type: 'target-compared'; readonly result: VerifyResult }
  | { readonly type: 'verify-summary'; readonly summary: VerifySummary };
