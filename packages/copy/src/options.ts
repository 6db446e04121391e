// What a caller of copy() can say, with every default in one place.

/** How hard content is compressed on the wire; chosen anew for every unit in `auto`. */
export type Compression =
  | { readonly mode: 'auto' }
  | { readonly mode: 'none' }
  | { readonly mode: 'zstd'; readonly level: number };

/** What is copied: a file or directory tree; or a stream that can be read once, which becomes a file under the source's name. */
export type CopyInput =
  | { readonly kind: 'tree' }
  /** The standard input of this process. The source is a local path, which only names the copy. */
  | { readonly kind: 'stdin' }
  /** What a command writes to its standard output, run by bash with pipefail on the source's host. */
  | { readonly kind: 'command'; readonly command: string }
  /** A hot backup of the MariaDB or MySQL server whose socket the source is: unpacked into the target directories, which are empty. */
  | ({ readonly kind: 'mariadb' } & BackupOptions);

/** How a hot backup is made, and what becomes of it. */
export type BackupOptions = {
  /** An option file with the login, on the source's host; undefined: the operating system's user, or the host's own option files. */
  readonly defaultsFile: string | undefined;
  /** A name in `~/.mylogin.cnf` there (MySQL only). */
  readonly loginPath: string | undefined;
  /** Stop replication on the source before, and start what was stopped afterwards. */
  readonly stopReplica: boolean;
  /**
   * The absolute path, on every target, of an earlier backup: only what has changed since it is copied. Undefined: a full backup.
   * Prepared, it is applied to a copy of that one.
   */
  readonly base: string | undefined;
  /** Make it one that a server starts on. */
  readonly prepare: boolean;
  /** For InnoDB's buffer pool while it is prepared. */
  readonly prepareMemoryBytes: number;
  /** `USER` or `USER:GROUP` that everything belongs to on the targets; undefined: the agent's user. */
  readonly owner: string | undefined;
};

export const defaultBackupOptions: BackupOptions = {
  defaultsFile: undefined,
  loginPath: undefined,
  stopReplica: false,
  base: undefined,
  prepare: false,
  prepareMemoryBytes: 128 * 1024 * 1024,
  owner: undefined,
};

/** What is made of the source on the targets. */
export const copyTypes = ['file', 'update', 'decompress'] as const;
export type CopyType = (typeof copyTypes)[number];

export type CopyOptions = {
  readonly input: CopyInput;
  /**
   * `file`: a copy of the file or tree; `update`: one that takes the place of an older copy, of which what is the same is not sent;
   * `decompress`: what an archive (.tar, .tar.gz, .tgz, .tar.zst) holds, in an empty directory.
   */
  readonly type: CopyType;
  /** Name of the copy in the target directory. Default: the source's base name. */
  readonly as?: string;
  /** Patterns of what is left out, as in .gitignore without negation: `name`, `*.log`, `/cache` (anchored at the source). */
  readonly exclude: readonly string[];
  /** Do not descend into other file systems below the source. */
  readonly oneFileSystem: boolean;
  /** The remote shell: program and its first arguments. Called as `SSH… [user@]host COMMAND`. */
  readonly ssh: readonly string[];
  /** Where baton is on the remote hosts: a path, or `auto`: wherever it is installed, else it is carried there. */
  readonly agent: string;
  /** Hosts whose agent runs under `sudo -n`; `all` for every remote host. */
  readonly sudo: 'all' | readonly string[];
  /** TCP port the targets listen on; 0: the first free of 4400 to 4500, without 4444. */
  readonly port: number;
  /** Address or network (CIDR) that targets listen on; undefined: all addresses. */
  readonly bind: string | undefined;
  /** The firewall that targets open for their senders; `auto`: whichever filters; `none`: none is touched. */
  readonly firewall: 'auto' | 'nftables' | 'iptables' | 'none';
  readonly priority: 'low' | 'normal';
  /** Bytes per second and hop; undefined: no limit. */
  readonly bandwidthBytesPerSecond: number | undefined;
  readonly topology: 'chain' | 'star';
  /** `given`: the chain follows the order of the targets; `near`: hosts that answer faster come first. */
  readonly order: 'given' | 'near';
  /** Connections per hop; 0: as many as the source has cores, at most 4. */
  readonly streams: number;
  readonly compress: Compression;
  /** `wire`: digests on the way; `disk`: both sides are read again after the copy. */
  readonly verify: 'wire' | 'disk';
  /** Plan and preflight only. */
  readonly dryRun: boolean;
};

/** For `agent`: baton brings itself along where no version of it that fits is installed. */
export const autoAgent = 'auto';

export const defaultOptions: CopyOptions = {
  input: { kind: 'tree' },
  type: 'file',
  exclude: [],
  oneFileSystem: false,
  ssh: ['ssh'],
  agent: autoAgent,
  sudo: [],
  port: 0,
  bind: undefined,
  firewall: 'auto',
  priority: 'low',
  bandwidthBytesPerSecond: undefined,
  topology: 'chain',
  order: 'given',
  streams: 0,
  compress: { mode: 'auto' },
  verify: 'wire',
  dryRun: false,
};
