import { BatonError } from '@batondb/core/errors';
import type { BackupTool } from './tool.ts';
import { startTool } from './tool-process.ts';

export type PrepareOptions = {
  /** An unpacked backup. It is changed in place: killed in the middle, it is worthless and has to be copied anew. */
  readonly directory: string;
  readonly tool: BackupTool;
  /** For InnoDB's buffer pool: at least 16 MiB; the more the faster. Default: 128 MiB. */
  readonly memoryBytes?: number;
  /** Unpacked incremental backups, the oldest first, each based on the one before. Default: none. */
  readonly incrementals?: readonly string[];
  /** An option file for the tool, where pages are encrypted. Default: none at all, not even this machine's own ones. */
  readonly defaultsFile?: string;
  /** What an administrator wants the tool to be told besides. Default: nothing. */
  readonly moreArguments?: readonly string[];
};

/** How far a prepare is. */
export type PrepareProgress = {
  /** Steps are the backup itself, then its incrementals: `step` of `steps`, from 1. */
  readonly step: number;
  readonly steps: number;
  /** A line of the tool, for those who want to see it. */
  readonly line: string;
};

const memoryBytesMin = 16 * 1024 * 1024;

/** The tool's command lines, one a step, to be run in order. */
export function prepareArguments(options: PrepareOptions): string[][] {
  const { directory, tool, defaultsFile, incrementals = [], memoryBytes = 128 * 1024 * 1024 } = options;
  if (!Number.isSafeInteger(memoryBytes) || memoryBytes < memoryBytesMin) {
    throw new BatonError('USAGE', `prepare needs ${memoryBytesMin} bytes of memory or more, not ${memoryBytes}`);
  }
  const common = [
    tool.program,
    defaultsFile === undefined ? '--no-defaults' : `--defaults-file=${defaultsFile}`,
    '--prepare',
    `--target-dir=${directory}`,
    `--use-memory=${memoryBytes}`,
    ...(options.moreArguments ?? []),
  ];
  return [undefined, ...incrementals].map((incremental, index) => [
    ...common,
    // xtrabackup rolls back what had not been committed in its last step; what comes after that would not fit any more.
    ...(tool.kind === 'xtrabackup' && index < incrementals.length ? ['--apply-log-only'] : []),
    ...(incremental === undefined ? [] : [`--incremental-dir=${incremental}`]),
  ]);
}

/**
 * Makes a backup one that a server can start on, with its incrementals applied in order. Resolves only when every step has ended
 * with 0 and `completed OK!`. Throws BACKUP_FAILED, USAGE, and the signal's reason.
 */
export async function prepare(
  options: PrepareOptions,
  onProgress: (progress: PrepareProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const commands = prepareArguments(options);
  const steps = commands.length;
  for (const [index, argv] of commands.entries()) {
    const what = index === 0 ? `prepare of ${options.directory}` : `applying ${options.incrementals?.[index - 1]}`;
    const onLine = (line: string): void => onProgress({ step: index + 1, steps, line });
    const { child, done } = await startTool({ argv, what, onLine }, signal);
    await using _ending = { [Symbol.asyncDispose]: () => child.terminate(0) };
    child.stdin.end();
    child.stdout.resume();
    await done;
  }
}
