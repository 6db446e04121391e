import type { DigestRange, RangeDigests } from '../files/digest-file.ts';
import type { SurveyOptions, SurveyStep } from '../files/survey.ts';
import type { NotKept } from '../files/tree-writer.ts';
import type { WalkReport } from '../files/walk.ts';
import type { PieceChange } from '../protocol/changes.ts';
import type { ManifestShare } from '../protocol/manifest.ts';
import type { EarlierShare } from './journal-file.ts';
import type { LayoutShare } from './layout.ts';

// What the main thread asks of a worker thread. All work that touches files, hashes or compresses is a job.

/** How a unit read for the wire is compressed. `auto` tries a sample first and keeps what zstd shrinks by too little. */
export type UnitCompression = { readonly mode: 'none' | 'auto' } | { readonly mode: 'zstd'; readonly level: number };

/** A tree every worker opens once. Descriptors belong to the process: the main thread opens and closes them. */
export type TreeDescription = {
  /** Descriptor of the directory the root entry lies in. */
  readonly parentDescriptor: number;
  /** The root's name there; a staged root has another one than its entry says. */
  readonly rootName: Uint8Array;
  readonly manifest: ManifestShare;
  readonly layout: LayoutShare;
  /**
   * `source`: files are compared with the manifest when read. `staging`: they are written, and read as they are. `spool`: the same, and
   * freed before long.
   */
  readonly role: 'source' | 'staging' | 'spool';
  /** Where an older copy is that this one takes the place of: what is the same in both is not sent. */
  readonly basis?: Place;
};

/** A name in an open directory. */
export type Place = { readonly parentDescriptor: number; readonly rootName: Uint8Array };

export type Job =
  | {
      readonly kind: 'walk';
      readonly root: Uint8Array;
      readonly exclude: readonly string[];
      readonly oneFileSystem: boolean;
    }
  /** Checks a received manifest and cuts it. */
  | { readonly kind: 'manifest'; readonly sections: readonly Uint8Array[]; readonly digest: Uint8Array }
  /** Reads the journal in an open staging directory. */
  | { readonly kind: 'journal'; readonly directory: number }
  | { readonly kind: 'open'; readonly tree: TreeDescription }
  | { readonly kind: 'relocate'; readonly parentDescriptor: number; readonly rootName: Uint8Array }
  | {
      readonly kind: 'read';
      readonly unit: number;
      readonly compression: UnitCompression;
      /** What a relay says of the unit: what its source said. */
      readonly changes?: readonly PieceChange[];
      /** What the receiver claims to have. */
      readonly claim?: Uint8Array;
      /** A buffer to be used for the result. */
      readonly into: Uint8Array<ArrayBuffer>;
    }
  /** Makes a UNIT message of a part of a stream. `content` comes back, to be used again. */
  | {
      readonly kind: 'encode';
      readonly unit: number;
      readonly content: Uint8Array<ArrayBuffer>;
      readonly compression: UnitCompression;
      readonly into: Uint8Array<ArrayBuffer>;
    }
  | { readonly kind: 'write'; readonly payload: Uint8Array<ArrayBuffer> }
  /** Opens and checks a UNIT message; needs no tree. */
  | { readonly kind: 'unpack'; readonly payload: Uint8Array<ArrayBuffer> }
  /** What the basis has in the place of a unit; nothing where there is no basis. */
  | { readonly kind: 'claim'; readonly unit: number }
  | { readonly kind: 'hash'; readonly unit: number; readonly fromDisk: boolean }
  | { readonly kind: 'directories' }
  /** Frees units of a spool, which is one file: `toUnit` is the first that stays. */
  | { readonly kind: 'forget'; readonly fromUnit: number; readonly toUnit: number }
  /** Closes what a worker has open for writing: nobody can execute such a file, and some errors show only then. */
  | { readonly kind: 'close' }
  | { readonly kind: 'discard'; readonly entries: readonly number[] }
  | { readonly kind: 'finish'; readonly applyAllFiles: boolean; readonly omit: readonly number[] }
  /** One open file, or all of the file system it is on: a call that may take long. */
  | { readonly kind: 'sync'; readonly descriptor: number; readonly scope: 'file' | 'file-system' }
  | { readonly kind: 'remove'; readonly parentDescriptor: number; readonly name: Uint8Array }
  /** The next `count` steps of a survey; `begin` starts one. Only for a pool of one worker, which holds it. */
  | { readonly kind: 'survey'; readonly begin?: SurveyOptions; readonly count: number }
  | { readonly kind: 'digest'; readonly ranges: readonly DigestRange[] };

/** The job of a kind. */
export type JobOf<K extends Job['kind']> = Extract<Job, { readonly kind: K }>;

type Results = {
  walk: { readonly manifest: ManifestShare; readonly layout: LayoutShare; readonly report: WalkReport };
  manifest: { readonly manifest: ManifestShare; readonly layout: LayoutShare };
  journal: { readonly earlier: EarlierShare | undefined };
  open: undefined;
  relocate: undefined;
  /** `payload` is a whole UNIT message. */
  read: {
    readonly payload: Uint8Array<ArrayBuffer>;
    readonly digest: Uint8Array;
    readonly changes: readonly PieceChange[];
  };
  encode: {
    readonly payload: Uint8Array<ArrayBuffer>;
    readonly digest: Uint8Array;
    readonly content: Uint8Array<ArrayBuffer>;
  };
  /** `payload` comes back, so that a relay can send it on. */
  write: {
    readonly unit: number;
    readonly digest: Uint8Array;
    readonly changes: readonly PieceChange[];
    readonly payload: Uint8Array<ArrayBuffer>;
  };
  /** `content` is a part of `payload`, or alone in its buffer. */
  unpack: {
    readonly digest: Uint8Array;
    readonly content: Uint8Array<ArrayBuffer>;
    readonly payload: Uint8Array<ArrayBuffer>;
  };
  claim: { readonly digests: Uint8Array };
  hash: { readonly digest: Uint8Array; readonly changes: readonly PieceChange[] };
  directories: undefined;
  forget: undefined;
  close: undefined;
  discard: undefined;
  finish: { readonly notKept: readonly NotKept[] };
  sync: undefined;
  remove: undefined;
  /** Fewer steps than asked for: the end. */
  survey: { readonly steps: readonly SurveyStep[] };
  digest: { readonly results: readonly RangeDigests[] };
};

/** What a job of a kind gives. */
export type JobResult<K extends Job['kind']> = Results[K];
