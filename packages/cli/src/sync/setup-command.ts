import { type Command, Option } from 'commander';
import { type ConfigReader } from '../config/apply.ts';
import { collect } from '../option-values.ts';
import type { Accept } from '../service/subcommands.ts';
import { addFileOptions, applyFiles } from './config.ts';
import { checkExamples, dropExamples, setupExamples } from './help.ts';
import {
  addChoiceOptions,
  addSinkOptions,
  addSourceOptions,
  type ChoiceFlags,
  type SinkFlags,
  type SourceFlags,
} from './options.ts';
import { collectFilter, type TableFilter } from './table-values.ts';

// The grammar of what is done before and after a sync: `setup`, `check`, `drop`.

export type SetupFlags = SourceFlags &
  ChoiceFlags & {
    readonly schema: readonly string[];
    readonly where: readonly TableFilter[];
    readonly allowUnboundedSlot?: true;
    readonly dryRun?: true;
    readonly json?: true;
  };

export type DropFlags = SourceFlags & { readonly yes?: true; readonly dryRun?: true; readonly json?: true };

export type CheckFlags = SourceFlags & ChoiceFlags & SinkFlags & { readonly json?: true };

/** How a command gets what files say: `grammar` has all options that they may have. */
export type Files = { readonly grammar: Command; readonly read: ConfigReader };

export function addSetupCommand(program: Command, accept: Accept, files: Files): void {
  const command = program.command('setup').description('makes the publication and the slot that a sync reads');
  addChoiceOptions(addSourceOptions(addFileOptions(command)))
    .addOption(
      new Option('--schema <name>', 'publish this schema whole, with tables that come later; repeatable')
        .argParser(collect)
        .default([], 'all schemas'),
    )
    .addOption(
      new Option('--where <table=condition>', 'publish only these rows of tables; repeatable')
        .argParser(collectFilter)
        .default([], 'all rows'),
    )
    .option('--allow-unbounded-slot', 'though max_slot_wal_keep_size is -1: a sync that is away may fill the disk')
    .option('--dry-run', 'print the SQL, for somebody who may run it, and do nothing')
    .option('--json', 'as JSON objects')
    .addHelpText('after', `\n${setupExamples}`)
    .action(() => {
      applyFiles(command, files.grammar, files.read);
      accept(async (context) => {
        const { runSetup } = await import('./setup.ts');
        return await runSetup(command.opts<SetupFlags>(), context);
      });
    });
}

export function addDropCommand(program: Command, accept: Accept, files: Files): void {
  const command = program.command('drop').description('removes the slot and the publication; the sink stays as it is');
  addSourceOptions(addFileOptions(command))
    .option('--yes', 'do it without being asked')
    .option('--dry-run', 'print the SQL, and do nothing')
    .option('--json', 'as JSON objects')
    .addHelpText('after', `\n${dropExamples}`)
    .action(() => {
      applyFiles(command, files.grammar, files.read);
      accept(async (context) => {
        const { runDrop } = await import('./setup.ts');
        return await runDrop(command.opts<DropFlags>(), context);
      });
    });
}

export function addCheckCommand(program: Command, accept: Accept, files: Files): void {
  const command = program
    .command('check')
    .description('looks whether a sync can run, and says what to do where it cannot');
  addSinkOptions(addChoiceOptions(addSourceOptions(addFileOptions(command))))
    .option('--json', 'one JSON object a finding')
    .addHelpText('after', `\n${checkExamples}`)
    .action(() => {
      applyFiles(command, files.grammar, files.read);
      accept(async (context) => {
        const { runCheck } = await import('./check.ts');
        return await runCheck(command.opts<CheckFlags>(), context);
      });
    });
}
