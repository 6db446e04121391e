// What a server makes at the top of a data directory, by name and kind. What is not here is not the server's, and stays where it is (G9).
// The rules are those of MariaDB, with what MySQL 8 adds for its descendants; sources: the manuals' lists of files, and directories that
// real servers have made.

/** What a top entry is to a server. Each role can have a directory of its own, but for `data`. */
export type Role =
  /** Of the system tablespace: `ibdata1`. */
  | 'system'
  /** InnoDB's redo log: `ib_logfile0`. */
  | 'redo'
  | 'undo'
  /** Aria's log and its control file. */
  | 'aria'
  | 'binlog'
  | 'binlog-index'
  | 'relay-log'
  /** Databases, and all else that is data or speaks of it. */
  | 'data';

/** The empty file by which scripts, proxies and health checks know a node that is taking its state. */
export const progressMarkName = 'sst_in_progress';

/** Names that depend on the server's options. */
export type ServerNames = {
  /** Files of the system tablespace, in order. Default of the server: `ibdata1`. */
  readonly systemTablespace: readonly string[];
  /** Name of the binary logs without their number; undefined when there are none. */
  readonly binlog?: string | undefined;
  readonly binlogIndex?: string | undefined;
  /** Name of the relay logs without their number. Default of the server: `HOST-relay-bin`. */
  readonly relayLog?: string | undefined;
};

/** What a directory holds: a database's files, nothing at all, or what no server made. */
export type Contents = 'tables' | 'nothing' | 'other';

/** An entry at the top of a directory; of a symlink, `kind` and `contents` are those of what it leads to. */
export type TopEntry = {
  /** Text as `bytesToText` makes it. */
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'other';
  readonly isSymlink: boolean;
  /** Of a directory; `other` for what cannot be read. */
  readonly contents?: Contents;
};

/** Kept whatever they look like: Galera's own state, logs, certificates, and the marks that others look for. */
const keptNames: ReadonlySet<string> = new Set([
  '.sst',
  'grastate.dat',
  'gvwstate.dat',
  'galera.cache',
  progressMarkName,
  'tables_flushed',
  'lost+found',
  'auto.cnf',
]);
const keptPattern = /^(gcache\.page\..*|RPM_UPGRADE_.*|.*\.(pem|err|pid|sock))$/;

const redoPattern = /^ib_logfile\d+$/;
const undoPattern = /^undo_?\d{3}$/;
const ariaPattern = /^aria_log(_control|\.\d{8})$/;

/**
 * The rest of what servers make. The journals of DDL and of two-phase commits end in `.log` and still go: a server would roll the old
 * data's changes back in the new data. So do the places where replication stopped, and with them all that says how to go on from there.
 */
const dataFiles: readonly RegExp[] = [
  // InnoDB: the buffer pool's pages, temporary tables, doublewrite files and general tablespaces of MySQL 8, links to tables elsewhere.
  /^ib_buffer_pool(\.incomplete)?$/,
  /^ibtmp\d+$/,
  /^#ib_.*\.b?dblwr$/,
  /^.+\.(ibd|ibu|isl)$/,
  // Binary logs that InnoDB keeps itself, as a part of its data (MariaDB 12).
  /^binlog-\d+\.ibb$/,
  // The server: DDL in progress, commits in two phases, the version that tables were upgraded to.
  /^ddl_(recovery|log|recovery-backup)\.log$/,
  /^tc\.log$/,
  /^(mysql|mariadb)_upgrade_info$/,
  // Asynchronous replication.
  /^multi-master\.info$/,
  /^(master|relay-log)(-.*)?\.info$/,
  // Mroonga keeps its tables beside the databases.
  /^.+\.mrn(\..*)?$/,
  // What the backup tools leave, and the older scripts.
  /^(xtrabackup|mariadb_backup)_[a-z_]+$/,
  /^backup-my\.cnf$/,
  /^(donor_galera_info|xtrabackup_galera_info)$/,
];

/** Directories that are not databases: RocksDB's, and those of InnoDB in MySQL 8. */
const dataDirectories: ReadonlySet<string> = new Set(['#rocksdb', '#innodb_redo', '#innodb_temp']);

/** Ends of names that files in a database's directory have. */
const tableFilePattern = /(^db\.opt|\.(frm|ibd|isl|MYD|MYI|MAD|MAI|CSV|CSM|MRG|ARM|ARZ|TRG|TRN|par))$/;

/** Whether a file in a directory shows that the directory is a database. */
export function isTableFile(name: string): boolean {
  return tableFilePattern.test(name);
}

/** What an entry is to a server; undefined when no server made it, and it stays where it is. Pure. */
export function roleOf(entry: TopEntry, names: ServerNames): Role | undefined {
  if (keptNames.has(entry.name)) return undefined;
  if (entry.kind === 'file') return roleOfFile(entry.name, names);
  if (entry.kind !== 'directory') return undefined;
  if (dataDirectories.has(entry.name)) return 'data';
  // Dot directories are never databases: a server encodes the dot.
  return entry.contents === 'tables' && !entry.name.startsWith('.') ? 'data' : undefined;
}

/** The role of what is a file by its name alone. */
export function roleOfFile(name: string, names: ServerNames): Role | undefined {
  if (names.systemTablespace.includes(name)) return 'system';
  if (redoPattern.test(name)) return 'redo';
  if (undoPattern.test(name)) return 'undo';
  if (ariaPattern.test(name)) return 'aria';
  // Before what is kept: a base may be called `host.log`.
  if (name === names.binlogIndex) return 'binlog-index';
  if (names.binlog !== undefined && isLogOf(name, names.binlog)) return 'binlog';
  if (names.relayLog !== undefined && isLogOf(name, names.relayLog)) return 'relay-log';
  if (/^.+-relay-bin(-.+)?\.(\d{6,}|index|state)$/.test(name)) return 'relay-log';
  if (dataFiles.some((pattern) => pattern.test(name))) return keptPattern.test(name) ? undefined : 'data';
  return undefined;
}

/** `BASE.000001`, its index of GTIDs, `BASE.index`, `BASE.state`, and those of named replication channels. */
function isLogOf(name: string, base: string): boolean {
  // The server drops an extension that was given.
  for (const stem of new Set([base, base.replace(/\.[^./]*$/, '')])) {
    if (stem === '' || !name.startsWith(stem)) continue;
    if (/^(-.+)?\.(\d{6,}(\.idx)?|index|state)$/.test(name.slice(stem.length))) return true;
  }
  return false;
}
