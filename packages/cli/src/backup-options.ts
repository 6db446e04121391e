import { type CopyInput, defaultBackupOptions } from '@batondb/copy/options';
import { type Command, Option } from 'commander';
import * as values from './option-values.ts';

// The options of `baton copy --type mariadb`, apart from the others: they are refused without it.

/** What they are read into. */
export type BackupFlags = {
  readonly incremental?: string;
  readonly prepare?: true;
  readonly prepareMemory?: number;
  readonly owner?: string;
  readonly stopReplica?: true;
  readonly defaultsFile?: string;
  readonly loginPath?: string;
};

const names = ['incremental', 'prepare', 'prepareMemory', 'owner', 'stopReplica', 'defaultsFile', 'loginPath'] as const;

/** Adds them to the command. */
export function addBackupOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--incremental <base>',
        'of a backup: only what changed since the earlier one in this directory of the targets',
      ).argParser(values.parseAbsolute('--incremental')),
    )
    .option('--prepare', 'of a backup: make it one that a server starts on')
    .addOption(
      new Option('--prepare-memory <size>', 'for that: 1GiB, 500MB (default: 128MiB)').argParser(
        values.parseMemory('--prepare-memory'),
      ),
    )
    .addOption(
      new Option('--owner <user[:group]>', 'of a backup: whom its files belong to on the targets').argParser(
        values.parseOwner,
      ),
    )
    .option('--stop-replica', 'of a backup: stop replication on the source meanwhile')
    .addOption(
      new Option('--defaults-file <path>', 'of a backup: an option file on the source, with the login').argParser(
        values.parseAbsolute('--defaults-file'),
      ),
    )
    .option('--login-path <name>', 'of a backup: a name in ~/.mylogin.cnf on the source (MySQL)');
}

/** What only trees have. */
const namesOfTrees = ['exclude', 'oneFileSystem'] as const;

/**
 * Takes back what configuration files say for the other kind of copies: they say how backups are made and what is left out of trees,
 * not that every copy is both.
 */
export function dropOfOtherKind(copy: Command): void {
  const others: readonly string[] = isBackup(copy.opts<{ type?: string }>().type) ? namesOfTrees : names;
  for (const option of copy.options) {
    const name = option.attributeName();
    if (option.negate || !others.includes(name) || copy.getOptionValueSource(name) !== 'config') continue;
    copy.setOptionValueWithSource(name, option.defaultValue as unknown, 'default');
  }
}

/** Whether a `--type` is that of a backup. */
export function isBackup(type: string | undefined): boolean {
  return type === 'mariadb' || type === 'xtrabackup';
}

/** Throws USAGE when any was given for something that is no backup. */
export function refuseBackupFlags(flags: BackupFlags): void {
  const given = names.find((name) => flags[name] !== undefined);
  if (given === undefined) return;
  const option = `--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw values.usage(`${option} is for backups`, 'say --type mariadb, or leave it out');
}

/** The backup that was asked for. */
export function backupOf(flags: BackupFlags): CopyInput {
  const { prepareMemory: prepareMemoryBytes = defaultBackupOptions.prepareMemoryBytes } = flags;
  return {
    kind: 'mariadb',
    defaultsFile: flags.defaultsFile,
    loginPath: flags.loginPath,
    stopReplica: flags.stopReplica ?? false,
    base: flags.incremental,
    prepare: flags.prepare ?? false,
    prepareMemoryBytes,
    owner: flags.owner,
  };
}
