import { addConfigOptions, addNegations, applyConfig, type ConfigReader, noConfig } from '../config/apply.ts';
import { type CommandLine, parseSubcommands } from '../service/subcommands.ts';
import { addDatabaseCommands } from './database-command.ts';
import { exitHelp, sqliteExamples } from './help.ts';
import { addLogCommand } from './log-command.ts';
import { addServeCommand } from './serve-command.ts';
import { addShellCommand } from './shell-command.ts';
import { addStatusCommand } from './status-command.ts';
import { addTokenCommand } from './token-command.ts';

/** Reads the words after `baton sqlite`. Throws USAGE. */
export function parseSqlite(words: readonly string[], read: ConfigReader = noConfig): CommandLine {
  return parseSubcommands('baton sqlite', words, (program, accept) => {
    program
      .description('Keeps SQLite databases on a log, and serves them to stock libSQL clients.')
      .addHelpText('after', `\n${sqliteExamples}\n\n${exitHelp}`);
    const serve = addServeCommand(program, accept);
    addNegations(addConfigOptions(serve));
    addShellCommand(program, accept);
    addDatabaseCommands(program, accept);
    addTokenCommand(program, accept);
    addStatusCommand(program, accept);
    addLogCommand(program, accept);
    serve.hook('preAction', () => void applyConfig(serve, serve, read, 'sqlite'));
  });
}
