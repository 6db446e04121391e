import type { ErrorRecord } from '@batondb/core/errors';
import type { EntryKind } from '@batondb/core/protocol/entry';
import type { VersionRange } from '@batondb/core/protocol/versions';
import type { ServerVersion } from '@batondb/mariadb';
import type { BackupResult, Incremental, NotKept, SourceChange, TargetPhase, Unpacked } from '../events.ts';
import type { Admitted } from '../firewall/firewall.ts';
import type { Admission, FirewallMode } from '../firewall/gate.ts';
import type { Compression, CopyInput, CopyType } from '../options.ts';
import type { InventoryBatch, InventoryParams } from './inventory.ts';

// What coordinator and agent say to each other: JSON in length-prefixed frames, over the agent's stdin and stdout.
// Unknown fields are ignored, so that a newer side may say more; a required field is never added within a version.
// Paths are base64 (their bytes need not be text), digests hexadecimal. schemas.ts checks all of it where it arrives.

/** Versions of this conversation that this build speaks. */
export const controlVersions: VersionRange = { min: 1, max: 1 };

/** Comes before the agent's first frame, since a login shell may print before it. */
export const preamble = '\nBATON AGENT\n';

/** A list that is cut: its first members and how many there are. */
export type Sample = { readonly first: readonly string[]; readonly total: number };

/** The agent's first frame. */
export type Greeting = {
  readonly software: string;
  readonly control: VersionRange;
  readonly data: VersionRange;
  /** SHA-256 of the agent's certificate for this job. */
  readonly fingerprint: string;
  readonly hostname: string;
  /** Tells two names of one machine from two machines. */
  readonly bootId: string;
  readonly uid: number;
  readonly cores: number;
  /** Of SSH_CONNECTION: the address this host was reached at, and the one it was reached from. */
  readonly reachedAt?: string;
  readonly reachedFrom?: string;
  /** Those that others may see it come from; without loopback. */
  readonly addresses?: readonly string[];
};

/** What a target directory has left. */
export type Space = {
  readonly device: string;
  readonly freeBytes: number;
  readonly freeInodes?: number;
  /** Some path on it, for people. */
  readonly mount: string;
};

/** A hop to feed: the receiver's number, its route, and where it may be reached. */
export type HopTarget = {
  readonly to: number;
  readonly epoch: number;
  readonly addresses: readonly string[];
  readonly port: number;
};

/** What an abandoned copy left. */
export type Abandoned = {
  readonly path: string;
  readonly source: string;
  readonly bytes: number;
  readonly createdMs: number;
  readonly removed: boolean;
  readonly reason?: string;
};

/** A stream that its source can read once. */
export type StreamInput =
  | Exclude<CopyInput, { readonly kind: 'tree' | 'mariadb' }>
  | {
      readonly kind: 'mariadb';
      readonly socketPath: string;
      readonly defaultsFile?: string;
      readonly loginPath?: string;
      readonly stopReplica: boolean;
      /** It is an incremental one, taken from where its base ends (decimal): the base of all targets, if they have one in common. */
      readonly incremental?: { readonly fromLsn?: string };
    };

/** What a server says of itself to be compared with bases, where it can be known. */
export type IncrementalSource = {
  readonly serverUuid?: string;
  /** Up to where its redo log is written. Decimal. */
  readonly serverLsn?: string;
};

/** What a target makes of a backup. */
export type BackupTask = {
  readonly server: ServerVersion;
  readonly prepare: boolean;
  readonly prepareMemoryBytes: number;
  readonly owner?: string;
  readonly incremental?: Incremental;
};

type Nothing = Readonly<Record<never, never>>;

/** Every request: what goes with it and what comes back. */
export type Requests = {
  /** Reads the tree's metadata; the agent is the source from now on. */
  readonly scan: {
    readonly params: { readonly path: string; readonly exclude: readonly string[]; readonly oneFileSystem: boolean };
    readonly result: {
      readonly manifestDigest: string;
      readonly manifestBytes: number;
      readonly entries: number;
      readonly files: number;
      readonly contentBytes: number;
      readonly units: number;
      /** What the source itself is. */
      readonly kind?: EntryKind;
      readonly sockets: Sample;
      readonly unreadable: Sample;
    };
  };
  /** Makes the agent the source of a stream. It is opened when the first target is to be fed. */
  readonly stream: {
    readonly params: { readonly name: string; readonly input: StreamInput };
    readonly result: {
      readonly manifestDigest: string;
      readonly manifestBytes: number;
      /** About how much will come, where that can be known. */
      readonly expectedBytes?: number;
      /** Of a backup: the server it is of. */
      readonly server?: ServerVersion;
      /** Of an incremental one. An agent that does not say it would make a full one. */
      readonly incremental?: IncrementalSource;
    };
  };
  /** Whether a target can unpack, prepare and own a backup of a server. */
  readonly checkBackup: {
    readonly params: { readonly server: ServerVersion; readonly owner?: string };
    readonly result: { readonly tool: string };
  };
  /** All units of the stream below this one are safe: its source may forget them, and a target of a backup free those it has unpacked. */
  readonly release: { readonly params: { readonly units: number }; readonly result: Nothing };
  /** Looks at a target directory and changes nothing. */
  readonly inspect: {
    readonly params: {
      readonly directory: string;
      readonly name: string;
      readonly source: string;
      /** It is to hold a stream, of which nothing is ever taken up again. */
      readonly isStream?: boolean;
      /** Default: `file`. */
      readonly type?: CopyType;
      /** It is to hold a backup: it has to be empty, and no server's. */
      readonly isBackup?: boolean;
    };
    readonly result: {
      readonly findings: readonly ErrorRecord[];
      readonly finalPath: string;
      /** What an earlier run claims to have received. */
      readonly resumedBytes: number;
      /** An earlier run of the same job has published the copy. */
      readonly published: boolean;
      /** A broken run has left something that is of no use to another one. */
      readonly isAnew?: boolean;
      readonly space?: Space;
      /** What has the final name, and will be brought up to date. */
      readonly existing?: EntryKind;
      /** The type it was asked about, from an agent that knows types. */
      readonly type?: string;
    };
  };
  /** Looks at the backup in a directory as the base of an incremental one, and changes nothing. */
  readonly inspectBase: {
    readonly params: {
      readonly base: string;
      /** The target directory. */
      readonly directory: string;
      /** The incremental one is to be applied to a copy of it. */
      readonly isApplied: boolean;
    };
    readonly result: {
      /** Log sequence number, decimal, at which it ends. */
      readonly toLsn: string;
      readonly bytes: number;
      /** '' where its files do not tell. */
      readonly serverVersion: string;
      readonly serverUuid?: string;
    };
  };
  /** Opens the data port. */
  readonly listen: {
    readonly params: { readonly port: number; readonly bind?: string };
    readonly result: { readonly port: number; readonly addresses: readonly string[] };
  };
  /** Tells who takes part in the job. */
  readonly join: {
    readonly params: {
      readonly jobId: string;
      readonly member: number;
      /** Certificate fingerprints, by member number. */
      readonly members: readonly string[];
      readonly dataVersion: number;
      readonly priority: 'low' | 'normal';
    };
    readonly result: Nothing;
  };
  /** Has this host's firewall let in exactly these addresses at its data port, and nobody admitted before. */
  readonly admit: { readonly params: Admission & { readonly mode: FirewallMode }; readonly result: Admitted };
  /** Tries the addresses of another member in turn. */
  readonly probe: {
    readonly params: { readonly to: number; readonly addresses: readonly string[]; readonly port: number };
    readonly result: { readonly address: string };
  };
  /** Makes or takes up the staging directory and waits for a sender. */
  readonly receive: {
    readonly params: {
      readonly directory: string;
      readonly name: string;
      readonly source: string;
      readonly type?: CopyType;
      readonly manifestDigest: string;
      readonly manifestBytes: number;
      readonly verify: 'wire' | 'disk';
      /** What is not completed of it is of no use to another run. */
      readonly isStream?: boolean;
      /** It is a backup: what becomes of it. */
      readonly backup?: BackupTask;
    };
    readonly result: Nothing;
  };
  /** Only the sender of this route is admitted from now on. */
  readonly expect: { readonly params: { readonly epoch: number }; readonly result: Nothing };
  /** The hops this agent feeds from now on; one that is not named ends. */
  readonly send: {
    readonly params: {
      readonly hops: readonly HopTarget[];
      readonly streams: number;
      readonly compression: Compression;
      readonly bytesPerSecond?: number;
    };
    readonly result: Nothing;
  };
  /** Reads the source again and reports files that are not what was sent. */
  readonly verifySource: { readonly params: Nothing; readonly result: { readonly treeDigest: string } };
  /** The digest over what the source sent in this run; none when a receiver was not sent everything. */
  readonly sourceDigest: { readonly params: Nothing; readonly result: { readonly treeDigest?: string } };
  /** The whole job is done: no run will ask again whether this copy is. */
  readonly conclude: { readonly params: Nothing; readonly result: Nothing };
  /** Lists, and unless `dryRun` removes, what abandoned copies left in a directory. */
  readonly clean: {
    readonly params: { readonly directory: string; readonly dryRun: boolean };
    readonly result: { readonly found: readonly Abandoned[] };
  };
  /** Begins to read a tree that is there, its content too when asked to, and changes nothing. */
  readonly inventory: { readonly params: InventoryParams; readonly result: Nothing };
  /** What comes next in the inventory; waits until there is something. */
  readonly inventoryBatch: { readonly params: Nothing; readonly result: InventoryBatch };
};

export type RequestName = keyof Requests;
export type RequestParams<N extends RequestName> = Requests[N]['params'];
export type RequestResult<N extends RequestName> = Requests[N]['result'];

/** What an agent tells unasked. */
export type AgentEvent =
  | {
      readonly type: 'progress';
      readonly phase: TargetPhase;
      readonly doneBytes: number;
      readonly totalBytes: number;
      readonly doneFiles: number;
      readonly totalFiles: number;
      readonly wireBytes: number;
      readonly resumedBytes: number;
      /** Of a stream: all units below it are here. */
      readonly heldUnits?: number;
    }
  /** How much of a stream its source has read. `isWaiting`: it reads no further until units are released. */
  | {
      readonly type: 'produced';
      readonly bytes: number;
      readonly units: number;
      readonly isWaiting: boolean;
      readonly isEnded: boolean;
    }
  | { readonly type: 'stream-failed'; readonly error: ErrorRecord }
  | {
      readonly type: 'resumed';
      readonly keptBytes: number;
      readonly keptUnits: number;
      readonly discardedFiles: number;
    }
  | {
      readonly type: 'unit-damaged';
      readonly unit: number;
      readonly path: string;
      readonly offset: number;
      readonly length: number;
    }
  | ({ readonly type: 'source-change' } & SourceChange)
  | ({ readonly type: 'not-kept' } & Omit<NotKept, 'target'>)
  | { readonly type: 'hop-failed'; readonly to: number; readonly epoch: number; readonly error: ErrorRecord }
  | { readonly type: 'hop-done'; readonly to: number; readonly epoch: number }
  | { readonly type: 'done'; readonly treeDigest: string; readonly unpacked?: Unpacked; readonly backup?: BackupResult }
  /** What a source does to the server that it backs up. */
  | { readonly type: 'replication'; readonly state: 'stopped' | 'started'; readonly threads: readonly string[] }
  | { readonly type: 'failed'; readonly error: ErrorRecord };

/** One frame of the conversation after the greeting. */
export type Message =
  | { readonly kind: 'request'; readonly id: number; readonly name: string; readonly params: unknown }
  | { readonly kind: 'reply'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly error: ErrorRecord }
  | { readonly kind: 'event'; readonly event: unknown }
  | { readonly kind: 'ping' };
