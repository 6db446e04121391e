import { nearestName } from '@batondb/core/text/suggest';
import type { Command } from 'commander';
import { type ConfigReader, noConfig } from '../config/apply.ts';
import { usage } from '../option-values.ts';
import { type CommandLine, parseSubcommands } from '../service/subcommands.ts';
import { addFileOptions, applyFiles, closeFileOptions } from './config.ts';
import { exitHelp } from './help.ts';
import { acceptSync, addSyncOptions, type SyncFlags } from './run-command.ts';
import { addCheckCommand, addDropCommand, addSetupCommand } from './setup-command.ts';
import { addOrderCommands, addStatusCommand } from './status-command.ts';
import { addSyncTokenCommand } from './token-command.ts';
import { addVerifyCommand } from './verify-command.ts';

/** Reads the words after `baton sync`. Throws USAGE. */
export function parseSync(words: readonly string[], read: ConfigReader = noConfig): CommandLine {
  return parseSubcommands('baton sync', words, (program, accept) => {
    closeFileOptions(addSyncOptions(addFileOptions(program)))
      .description(
        'Keeps etcd, SQLite and others supplied from PostgreSQL: its state, then every change, exactly once.',
      )
      .usage('[options] | baton sync COMMAND …')
      .argument('[words...]')
      .addHelpText('after', `\n${exitHelp}`)
      .action((rest: readonly string[]) => {
        refuseWords(rest, program);
        applyFiles(program, program, read);
        acceptSync(program.opts<SyncFlags>(), accept);
      });
    const files = { grammar: program, read };
    addSetupCommand(program, accept, files);
    addCheckCommand(program, accept, files);
    addDropCommand(program, accept, files);
    addVerifyCommand(program, accept, files);
    addStatusCommand(program, accept);
    addOrderCommands(program, accept);
    addSyncTokenCommand(program, accept);
    program.hook('preSubcommand', () => refuseOptionsBefore(program));
  });
}

function refuseWords([word]: readonly string[], program: Command): void {
  if (word === undefined) return;
  const near = nearestName(
    word,
    program.commands.map((command) => command.name()),
  );
  throw usage(
    `there is no command ${word}`,
    near === undefined ? 'see: baton sync --help' : `did you mean baton sync ${near}?`,
  );
}

/** An option before the name of a command would be that of another one. */
function refuseOptionsBefore(program: Command): void {
  const early = program.options.find((option) => program.getOptionValueSource(option.attributeName()) === 'cli');
  if (early !== undefined) throw usage(`${early.long} stands before the command`, 'write options behind its name');
}
