import type { ErrorRecord } from '@batondb/core/errors';

// What a copy tells while it runs. Paths are text for people: bytes that are no UTF-8 are shown as \xNN.

/** One thing preflight found. `error` findings stop the copy before a byte moves; `warning` findings do not. */
export type Finding = {
  readonly severity: 'error' | 'warning';
  readonly host: string;
  readonly error: ErrorRecord;
};

/** One connection of the plan: from where to where the data goes. */
export type Hop = { readonly from: string; readonly to: string; readonly address: string; readonly port: number };

/** Where a copy will be. */
export type PlannedTarget = {
  readonly name: string;
  readonly finalPath: string;
  /** What an earlier run of the same copy left. */
  readonly resumedBytes: number;
  /** There is an older copy there, which is brought up to date. */
  readonly updates?: true;
  /** A broken run left something there that is of no use to this one: it is removed, and all is copied anew. */
  readonly isAnew?: true;
};

/** What will be done, known before a byte moves. */
export type PlanSummary = {
  readonly source: string;
  readonly targets: readonly PlannedTarget[];
  readonly hops: readonly Hop[];
  readonly entries: number;
  readonly files: number;
  /** Bytes of content (holes are not content). */
  readonly contentBytes: number;
  readonly units: number;
  readonly manifestDigest: string;
  /** How much there is of it shows at its end. */
  readonly isStream: boolean;
  /** With `--type decompress`: the targets unpack what they receive. */
  readonly unpacks?: true;
  /** Of an incremental backup. */
  readonly incremental?: Incremental;
};

/** What an incremental backup is taken from. */
export type Incremental = {
  /** Path of its base on every target. */
  readonly base: string;
  /** Log sequence number, decimal, at which the base ends. */
  readonly fromLsn: string;
};

/** Where a target is. */
export type TargetPhase =
  | 'checking'
  | 'receiving'
  | 'finishing'
  | 'verifying'
  | 'unpacking'
  | 'preparing'
  | 'done'
  | 'failed';

/** What a target made of an archive. */
export type Unpacked = {
  readonly entries: number;
  readonly files: number;
  /** Content of files, without holes. */
  readonly contentBytes: number;
  /** Members that have no name without the first component of their path. */
  readonly skipped: number;
};

export type TargetProgress = {
  readonly target: string;
  readonly phase: TargetPhase;
  readonly doneBytes: number;
  /** 0 while nobody knows: of a stream until its end. */
  readonly totalBytes: number;
  readonly doneFiles: number;
  readonly totalFiles: number;
  readonly rateBytesPerSecond: number;
  /** Undefined while no rate is known. */
  readonly etaSeconds: number | undefined;
};

/** What a backup came to on a target. */
export type BackupResult = {
  /** The position for people: binlog file and offset, GTID, and where the server was as a replica. */
  readonly position: string;
  /** The same as in `baton-position.json` beside the data. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly files: number;
  readonly isPrepared: boolean;
};

/** How the copy ended for one target. */
export type TargetResult = {
  readonly target: string;
  readonly finalPath: string;
  readonly state: 'done' | 'failed';
  readonly error?: ErrorRecord;
  readonly contentBytes: number;
  /** Bytes that were there from an earlier run and were found good. */
  readonly resumedBytes: number;
  /** Bytes received, compressed, over all connections. */
  readonly wireBytes: number;
  readonly durationMs: number;
  /** Digest over the manifest and all unit digests; the same on every host. Hexadecimal. */
  readonly treeDigest?: string;
  /** With `--type decompress`, in the run that unpacked it. */
  readonly unpacked?: Unpacked;
  readonly backup?: BackupResult;
};

export type SourceChange = {
  readonly path: string;
  readonly what: 'changed' | 'grew' | 'shrank' | 'vanished' | 'unreadable';
};

/** A thing that could not be kept on a target, counted. */
export type NotKept = {
  readonly target: string;
  readonly what: 'owner' | 'setuid' | 'xattr' | 'acl' | 'capability' | 'device' | 'times' | 'mode';
  readonly count: number;
  readonly example: string;
  /** The system's word for it, such as EPERM. */
  readonly reason: string;
};

export type CopySummary = {
  readonly source: string;
  readonly manifestDigest: string;
  readonly entries: number;
  readonly files: number;
  readonly contentBytes: number;
  readonly wireBytes: number;
  readonly durationMs: number;
  readonly targets: readonly TargetResult[];
  readonly changes: readonly SourceChange[];
  readonly changesTotal: number;
  readonly skippedSockets: number;
};

/** An agent on its way to a host that has none: bytes handed over to the remote shell, of all. */
export type Carrying = { readonly host: string; readonly sentBytes: number; readonly totalBytes: number };

/** An agent that has arrived. `path` stays on the host until it is forgotten. */
export type Carried = {
  readonly host: string;
  readonly path: string;
  readonly bytes: number;
  readonly durationMs: number;
};

export type CopyEvent =
  | { readonly type: 'host'; readonly host: string; readonly version: string }
  | ({ readonly type: 'carrying' } & Carrying)
  | ({ readonly type: 'carried' } & Carried)
  | {
      readonly type: 'scanned';
      readonly entries: number;
      readonly files: number;
      readonly contentBytes: number;
      readonly skippedSockets: readonly string[];
      readonly skippedSocketsTotal: number;
    }
  /** What a target did about its firewall: opened it, found nothing that filters, or could not look or open it. */
  | {
      readonly type: 'firewall';
      readonly target: string;
      readonly did: 'opened' | 'nothing' | 'unable';
      readonly port: number;
      /** Who may send to the port. */
      readonly addresses: readonly string[];
      /** The chains that were opened, or the reason. */
      readonly where: string;
    }
  | { readonly type: 'findings'; readonly findings: readonly Finding[] }
  | { readonly type: 'plan'; readonly plan: PlanSummary; readonly dryRun: boolean }
  | { readonly type: 'progress'; readonly targets: readonly TargetProgress[] }
  | {
      readonly type: 'resumed';
      readonly target: string;
      readonly keptBytes: number;
      readonly keptUnits: number;
      readonly discardedFiles: number;
    }
  | {
      readonly type: 'unit-damaged';
      readonly target: string;
      readonly unit: number;
      readonly path: string;
      readonly offset: number;
      readonly length: number;
    }
  | {
      readonly type: 'rerouted';
      readonly target: string;
      readonly from: string;
      readonly to: string;
      readonly reason: string;
    }
  | { readonly type: 'source-change'; readonly change: SourceChange }
  | { readonly type: 'not-kept'; readonly notKept: NotKept }
  | { readonly type: 'replication'; readonly state: 'stopped' | 'started'; readonly threads: readonly string[] }
  | { readonly type: 'target-done'; readonly result: TargetResult }
  | { readonly type: 'target-failed'; readonly result: TargetResult }
  | { readonly type: 'summary'; readonly summary: CopySummary };
