import type { Command } from 'commander';
import { addNegations, type ConfigReader, giveSettings } from '../config/apply.ts';
import { readSettings } from '../config/settings.ts';
import { usage } from '../option-values.ts';
import { contrailSettings } from './contrail.ts';

// The file of one sync: its keys are the long options of `baton sync`, without a section around them. No other file is read: a sync is what one file
// or one command line says it is.

type FileFlags = { readonly config?: string; readonly contrailConfig?: string };

export function addFileOptions(command: Command): Command {
  return command
    .option('--config <file>', 'options of this sync from a file of YAML, by the names that they have here')
    .option(
      '--contrail-config <file>',
      "what a configuration of Contrail's sync service says: docs/from-contrail-sync.md",
    );
}

/** To be called when a command has all of its options: the command line can take back what a file says. */
export function closeFileOptions(command: Command): Command {
  return addNegations(command);
}

/**
 * Gives a parsed command the options of its files, where its command line says nothing. `grammar` is the command that has them all. Throws USAGE, with
 * file and line.
 */
export function applyFiles(command: Command, grammar: Command, read: ConfigReader): void {
  const { config, contrailConfig } = command.opts<FileFlags>();
  if (config !== undefined && contrailConfig !== undefined)
    throw usage('--config and --contrail-config are both given', 'name one file');
  if (config !== undefined) {
    const files = read({ kind: 'file', path: config });
    giveSettings(command, [...readSettings(files, grammar, 'sync').values()]);
  }
  if (contrailConfig === undefined) return;
  const [file] = read({ kind: 'file', path: contrailConfig });
  if (file !== undefined) giveSettings(command, contrailSettings(file, grammar));
}
