import { limits } from '../limits.ts';
import type { EtcdLogOptions } from '../log/etcd-settings.ts';
import type { BackupSettings } from '../snapshot/backup-schedule.ts';

// What a node can be told, with every default in one place.

export type NodeOptions = {
  /** Where everything lies. Made when it is missing. */
  readonly directory: string;
  /** Databases whose files were changed while the node was stopped, and which go on from what they are now. */
  readonly adopt?: readonly string[];
  /** Where the log is, if not in files of the directory. Of several nodes with the same log one leads, and the others wait. */
  readonly log?: EtcdLogOptions;
  /** The node whose log this one follows. Default: none; it leads its own. */
  readonly follow?: FollowOptions;
  /** A follower's directory gets a future of its own: this node leads from what it has on. Default: false. */
  readonly promote?: boolean;
  /** Backups of all databases from time to time. */
  readonly backupTo?: BackupSettings;
  /** A new directory begins with the newest backup in `backupTo`, if there is one. Default: false. */
  readonly restoreIfEmpty?: boolean;
} & Partial<NodeSettings>;

/** The node that is followed. */
export type FollowOptions = {
  /** `http://HOST:PORT` or `https://HOST:PORT` of its server. */
  readonly url: string;
  /** A token with the right to join, and to read and write for what is forwarded. */
  readonly token?: string;
  /** Certificates, PEM, of whoever signed its certificate. Default: those that Node knows. */
  readonly ca?: string;
};

/** Settings, all of which have a default. */
export type NodeSettings = {
  /** Threads that read. */
  readonly readers: number;
  /** Page size of new databases, in bytes. */
  readonly pageBytes: number;
  /** Memory of one connection for pages. */
  readonly cacheKib: number;
  /** Memory for the pages of a transaction before they go to a file, in bytes. */
  readonly overlayBytes: number;
  /** Memory for each temporary table, index or journal before it goes to a file, in bytes. */
  readonly temporaryBytes: number;
  /** Pages in the log that are not in the databases' own files: a power of two. It bounds the largest transaction. */
  readonly indexPages: number;
  /** Size of a segment of the log, in bytes. An entry fits into one, so it bounds entries, too. */
  readonly segmentBytes: number;
  /** A checkpoint begins when the log has so many bytes. */
  readonly checkpointBytes: number;
  /** How much of the log stays for followers after the databases' files hold it, in bytes. */
  readonly retainBytes: number;
  /** A follower whose state may be older than its leader's by so much refuses to be read. */
  readonly maxLagMs: number;
  /** A transaction that is open longer is rolled back. */
  readonly transactionMsMax: number;
  /** A statement that takes longer is interrupted. */
  readonly statementMsMax: number;
  /** A read whose snapshot is older loses it when a checkpoint needs the space. */
  readonly snapshotMsMax: number;
  /** Time that a read waits for the position it asked for. */
  readonly positionMsMax: number;
  /** Rows that one statement may give. */
  readonly rowsMax: number;
};

export const defaultSettings: NodeSettings = {
  readers: 2,
  pageBytes: 4096,
  cacheKib: 16_384,
  overlayBytes: 33_554_432,
  temporaryBytes: 8_388_608,
  indexPages: 524_288,
  segmentBytes: limits.segmentBytes,
  checkpointBytes: 67_108_864,
  retainBytes: 67_108_864,
  maxLagMs: Number.POSITIVE_INFINITY,
  transactionMsMax: 30_000,
  statementMsMax: 60_000,
  snapshotMsMax: 60_000,
  positionMsMax: 10_000,
  rowsMax: 1_000_000,
};

/** Readers in the threads that embed a node, besides those of its own threads. Each connection of one has a pin. */
export const pinsMax = 256;
