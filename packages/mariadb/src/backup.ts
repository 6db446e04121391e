import type { Readable } from 'node:stream';
import { BatonError } from '@batondb/core/errors';
import type { BackupPosition } from './position.ts';
import { readPosition } from './position-files.ts';
import type { Server } from './server.ts';
import { connectionArguments } from './server-options.ts';
import type { BackupTool } from './tool.ts';
import { startTool } from './tool-process.ts';

/** What a backup tool tells while it runs. */
export type BackupEvent =
  /** A file goes into the stream from now on; several do at the same time. `path` is relative to the data directory. */
  | { readonly type: 'file'; readonly path: string }
  /** The redo log was read up to here. */
  | { readonly type: 'log'; readonly lsn: bigint }
  /** The server holds back changes of tables (and, at the end, commits) from now on, or no longer. */
  | { readonly type: 'locked' }
  | { readonly type: 'unlocked' };

export type BackupOptions = {
  readonly server: Server;
  readonly tool: BackupTool;
  /** Files that are read at the same time: 1 to 64. Default: 4. */
  readonly parallel?: number;
  /** The end of an earlier backup, by {@link baseLsnOf}: only pages that changed since are streamed. Default: a full backup. */
  readonly incrementalFromLsn?: bigint;
  /** The server is a node of a Galera cluster, and the backup is to say where in its history it ends. Default: no. */
  readonly withGaleraInfo?: boolean;
  /** What an administrator wants the tool to be told besides. Default: nothing. */
  readonly moreArguments?: readonly string[];
  /**
   * An empty directory of the caller's, not readable by others, on a disk (not in the server's data directory). The tool keeps small
   * files in it; the caller removes it, also after a kill.
   */
  readonly temporaryDirectory: string;
  readonly onEvent?: (event: BackupEvent) => void;
};

export type BackupResult = {
  /** 0 for a full backup. */
  readonly fromLsn: bigint;
  /** The state that the backup has once it is prepared, and the base of an incremental one. */
  readonly toLsn: bigint;
  /** As far as the source knows it; `readPosition` on an unpacked target knows all. */
  readonly position: BackupPosition;
};

/** A running backup. Leaving its block ends it. */
export type RunningBackup = AsyncDisposable & {
  readonly pid: number;
  /** The stream in xbstream format, as fast as it is read, in pieces of a unit. It is whole only when it has ended and `done` has resolved. */
  readonly stdout: Readable;
  /**
   * Resolves when the tool has ended with 0 and its last words were `completed OK!`. Rejects with BACKUP_FAILED (with the tool's
   * last lines), ACCESS_DENIED, or the signal's reason. Nobody has to listen.
   */
  readonly done: Promise<BackupResult>;
};

/** The tool's whole command line. Holds no secret: user and password are in the files that the server options name. */
export function backupArguments(options: BackupOptions): string[] {
  const { server, tool, temporaryDirectory, incrementalFromLsn } = options;
  const parallel = options.parallel ?? 4;
  if (!Number.isSafeInteger(parallel) || parallel < 1 || parallel > 64) {
    throw new BatonError('USAGE', `a backup reads 1 to 64 files at a time, not ${parallel}`);
  }
  return [
    tool.program,
    ...connectionArguments(server.options),
    ...(tool.kind === 'mariadb-backup' ? ['--protocol=socket'] : []),
    // An option file may name another one, and what is backed up is this server.
    `--datadir=${server.dataDirectory}`,
    '--backup',
    '--stream=xbstream',
    '--slave-info',
    `--parallel=${parallel}`,
    `--target-dir=${temporaryDirectory}`,
    `--tmpdir=${temporaryDirectory}`,
    `--extra-lsndir=${temporaryDirectory}`,
    ...(options.withGaleraInfo === true ? ['--galera-info'] : []),
    ...(incrementalFromLsn === undefined ? [] : [`--incremental-lsn=${incrementalFromLsn}`]),
    ...(options.moreArguments ?? []),
  ];
}

/**
 * Starts a hot backup of a server, as a stream that can be read once. Throws USAGE, CHILD_FAILED when the tool cannot be started, and
 * the signal's reason; everything later comes by `done`. The signal ends the tool, and with its connection the server's backup locks.
 */
export async function startBackup(options: BackupOptions, signal: AbortSignal): Promise<RunningBackup> {
  const { onEvent, temporaryDirectory } = options;
  const onLine = (line: string): void => {
    const event = onEvent === undefined ? undefined : parseBackupLine(line);
    if (event !== undefined) onEvent?.(event);
  };
  const argv = backupArguments(options);
  const { child, done } = await startTool({ argv, what: 'the backup', stdout: 'units', onLine }, signal);
  // The tool reads nothing.
  child.stdin.end();
  const result = done.then(() => readResult(temporaryDirectory));
  result.catch(() => undefined);
  return {
    pid: child.pid,
    stdout: child.stdout,
    done: result,
    [Symbol.asyncDispose]: () => child.terminate(0),
  };
}

async function readResult(temporaryDirectory: string): Promise<BackupResult> {
  const position = await readPosition(temporaryDirectory);
  return { fromLsn: position.fromLsn, toLsn: position.toLsn, position };
}

/** One line of the tool's stderr; undefined for what is of no interest. */
export function parseBackupLine(line: string): BackupEvent | undefined {
  const lsn = />> log scanned up to \((\d{1,20})\)/.exec(line)?.[1];
  if (lsn !== undefined) return { type: 'log', lsn: BigInt(lsn) };
  const path = /Streaming (?:\.\/)?(\S.*?)(?: to \S+)?$/.exec(line)?.[1];
  if (path !== undefined) return { type: 'file', path };
  if (
    /(?:BACKUP STAGE BLOCK_DDL|Executing (?:FLUSH TABLES WITH READ LOCK|LOCK TABLES FOR BACKUP|LOCK INSTANCE FOR BACKUP))/.test(
      line,
    )
  )
    return { type: 'locked' };
  if (/(?:BACKUP STAGE END|All tables unlocked|Executing UNLOCK (?:TABLES|INSTANCE))/.test(line))
    return { type: 'unlocked' };
  return undefined;
}
