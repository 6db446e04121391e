import { BatonError } from '@batondb/core/errors';
import { limits } from './limits.ts';
import type { BinlogPosition } from './replica-status.ts';

// Where a backup ends, read from the text files that the tools write beside it. Their names are those of Percona's tool;
// MariaDB 11.1 has its own. Not checked: that a GTID is one.

/** Where the backed-up server was as a replica, for one of its channels. */
export type ReplicaSource = {
  /** '' for the default channel. */
  readonly channel: string;
  /** In the source's binlogs; undefined when the channel goes by GTID. */
  readonly binlog: BinlogPosition | undefined;
  /** What was applied, of all channels together; undefined when the channel goes by file and offset. */
  readonly gtid: string | undefined;
};

/** Where a backup ends: a server that starts on it has everything up to there, and nothing after it. */
export type BackupPosition = {
  /** In the binlogs of the server that was backed up; undefined when it writes none. */
  readonly binlog: BinlogPosition | undefined;
  /** MariaDB: the last transaction of each domain; MySQL: the set of all. Undefined without GTIDs. */
  readonly gtid: string | undefined;
  /** One per channel when that server is itself a replica. Undefined where this is not known: on the source of a stream. */
  readonly replicaSource: readonly ReplicaSource[] | undefined;
  /** 0 for a full backup, else what it was taken against. */
  readonly fromLsn: bigint;
  /** What an incremental backup on top of this one is taken against. */
  readonly toLsn: bigint;
  readonly incremental: boolean;
  /** Whether a server can be started on it. */
  readonly prepared: boolean;
  /** As the server said it. '' where the tool has not noted it. */
  readonly serverVersion: string;
  readonly toolName: string;
  readonly toolVersion: string;
};

/** The texts of the files; undefined for one that does not exist. */
export type PositionFiles = {
  readonly checkpoints: string;
  readonly info: string | undefined;
  readonly binlogInfo: string | undefined;
  readonly slaveInfo: string | undefined;
  /** False for what a tool leaves at the source of a stream, which says nothing of the server's own sources. */
  readonly isWhole: boolean;
};

/** All of it together. Throws BACKUP_FAILED when a file says what it cannot, LIMIT. */
export function parsePosition(files: PositionFiles): BackupPosition {
  const { fromLsn, toLsn, state } = parseCheckpoints(files.checkpoints);
  const info = parseSettings(files.info ?? '');
  const binlog = files.binlogInfo === undefined ? parseInfoBinlog(info) : parseBinlogInfo(files.binlogInfo);
  return {
    binlog: binlog?.binlog,
    gtid: binlog?.gtid,
    replicaSource: files.isWhole ? parseSlaveInfo(files.slaveInfo ?? '') : undefined,
    fromLsn,
    toLsn,
    incremental: state === 'incremental',
    prepared: isPrepared(state, info.get('tool_name') ?? ''),
    serverVersion: info.get('server_version') ?? '',
    toolName: info.get('tool_name') ?? '',
    toolVersion: info.get('tool_version') ?? '',
  };
}

/** Lines `name = value`. What is written twice counts once, the last time. */
export function parseSettings(text: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>();
  for (const line of linesOf(text)) {
    const [, name, value] = /^(\w+) ?=[ \t]*(.*)$/.exec(line) ?? [];
    if (name !== undefined) settings.set(name, value ?? '');
  }
  return settings;
}

/** What a backup is. `log-applied` is as far as MariaDB's tool goes; Percona's says so of one that still takes incremental ones. */
type BackupState = 'full-backuped' | 'incremental' | 'log-applied' | 'full-prepared';
const backupStates: readonly BackupState[] = ['full-backuped', 'incremental', 'log-applied', 'full-prepared'];

/** Whether a server can be started on a backup in this state, by whose tool it is. */
function isPrepared(state: BackupState, toolName: string): boolean {
  return state === 'full-prepared' || (state === 'log-applied' && !toolName.includes('xtrabackup'));
}

type Checkpoints = { readonly fromLsn: bigint; readonly toLsn: bigint; readonly state: BackupState };

/** `xtrabackup_checkpoints`: what the backup is, and the log sequence numbers it is between. */
export function parseCheckpoints(text: string): Checkpoints {
  const settings = parseSettings(text);
  const type = settings.get('backup_type') ?? '';
  const state = backupStates.find((one) => one === type);
  if (state === undefined) {
    throw new BatonError(
      'BACKUP_FAILED',
      `the backup says that it is '${type}', and known are ${backupStates.join(', ')}`,
    );
  }
  return { fromLsn: parseLsn(settings, 'from_lsn'), toLsn: parseLsn(settings, 'to_lsn'), state };
}

function parseLsn(settings: ReadonlyMap<string, string>, name: string): bigint {
  const text = settings.get(name) ?? '';
  if (/^\d{1,20}$/.test(text)) return BigInt(text);
  throw new BatonError('BACKUP_FAILED', `the backup says ${name} = '${text}', which is no log sequence number`);
}

type BinlogInfo = { readonly binlog: BinlogPosition; readonly gtid: string | undefined };

/**
 * `xtrabackup_binlog_info`: file, offset and, with GTIDs, what was executed, parted by tabs. Of several lines the last is the
 * present binlog. A set of GTIDs may go on over further lines (MySQL), the earlier ones ending with a comma.
 */
export function parseBinlogInfo(text: string): BinlogInfo | undefined {
  const line = linesOf(text.replace(/,\r?\n/g, ',')).findLast((candidate) => candidate !== '');
  if (line === undefined) return undefined;
  const [file = '', offset = '', gtid = ''] = line.split('\t');
  const binlog = makeBinlog(file, offset);
  if (binlog === undefined) {
    throw new BatonError('BACKUP_FAILED', `the backup says '${line.slice(0, 200)}', which is no position in a binlog`);
  }
  return { binlog, gtid: gtid === '' || gtid === '[]' ? undefined : gtid };
}

/** The same from `xtrabackup_info`, which alone the tool leaves at the source of a stream. */
function parseInfoBinlog(info: ReadonlyMap<string, string>): BinlogInfo | undefined {
  const pattern = /^filename '([^']*)', position '(\d+)'(?:, GTID of the last change '([^']*)'?)?/;
  const [, file = '', offset = '', gtid = ''] = pattern.exec(info.get('binlog_pos') ?? '') ?? [];
  const binlog = makeBinlog(file, offset);
  return binlog === undefined ? undefined : { binlog, gtid: gtid === '' ? undefined : gtid };
}

function makeBinlog(file: string, offset: string): BinlogPosition | undefined {
  const number = Number(offset);
  if (file === '' || file.includes('/') || !/^\d+$/.test(offset) || !Number.isSafeInteger(number)) return undefined;
  return { file, offset: number };
}

/**
 * `xtrabackup_slave_info`: the statements that would attach a server at the same place, one CHANGE MASTER (or CHANGE REPLICATION
 * SOURCE) a channel, after one that sets what was executed.
 */
export function parseSlaveInfo(text: string): ReplicaSource[] {
  const found: ReplicaSource[] = [];
  let gtid: string | undefined;
  for (const line of linesOf(text)) {
    gtid = /^SET GLOBAL (?:gtid_slave_pos|gtid_purged)\s*=\s*'([^']*)'/i.exec(line)?.[1] ?? gtid;
    // The names of channels stand between quotes as they are, also when they have quotes in them.
    const change = /^CHANGE (?:MASTER|REPLICATION SOURCE)(?: '(.*)')? TO ((?:MASTER|SOURCE)_.*)$/i.exec(line);
    if (change === null) continue;
    const [, mariadbName, settings = ''] = change;
    const mysqlName = / FOR CHANNEL '(.*)';?$/i.exec(settings)?.[1];
    const file = /(?:MASTER|SOURCE)_LOG_FILE\s*=\s*'([^']*)'/i.exec(settings)?.[1] ?? '';
    const offset = /(?:MASTER|SOURCE)_LOG_POS\s*=\s*(\d+)/i.exec(settings)?.[1] ?? '';
    const usesGtid = /(?:AUTO_POSITION\s*=\s*1|use_gtid\s*=\s*(?:slave|current)_pos)/i.test(settings);
    found.push({
      channel: mariadbName ?? mysqlName ?? '',
      binlog: usesGtid ? undefined : makeBinlog(file, offset),
      gtid: usesGtid ? (gtid ?? '') : undefined,
    });
  }
  return found;
}

function linesOf(text: string): string[] {
  if (text.length > limits.infoBytesMax) {
    throw new BatonError(
      'LIMIT',
      `a file of the backup has ${text.length} characters, and at most ${limits.infoBytesMax} are read`,
    );
  }
  const lines = text.split(/\r?\n/);
  if (lines.length > limits.infoLinesMax) {
    throw new BatonError(
      'LIMIT',
      `a file of the backup has ${lines.length} lines, and at most ${limits.infoLinesMax} are read`,
    );
  }
  return lines;
}

/** For people, one line: `binlog.000002:1234, GTID 0-1-5, LSN 44894`; for a replica also where its source was. */
export function formatPosition(position: BackupPosition): string {
  const { binlog, gtid, replicaSource, incremental, fromLsn, toLsn } = position;
  const sources = (replicaSource ?? []).map(({ channel, binlog: at, gtid: set }) => {
    const name = channel === '' ? 'its source' : `its source '${channel}'`;
    return `of ${name} ${at === undefined ? `GTID ${set || 'none'}` : formatBinlog(at)}`;
  });
  return [
    ...(binlog === undefined ? [] : [formatBinlog(binlog)]),
    ...(gtid === undefined ? [] : [`GTID ${gtid}`]),
    ...sources,
    incremental ? `LSN ${fromLsn} to ${toLsn}` : `LSN ${toLsn}`,
  ].join(', ');
}

function formatBinlog({ file, offset }: BinlogPosition): string {
  return `${file}:${offset}`;
}
