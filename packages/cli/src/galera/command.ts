import { type CommandLine, parseSubcommands } from '../service/subcommands.ts';
import { doorHelp } from './help.ts';
import { addInstallCommand, addSelfTestCommand, addUninstallCommand } from './install-command.ts';
import { addKeyCommand } from './key-command.ts';
import { addCheckCommand, addRecoverCommand, addStatusCommand } from './node-command.ts';
import { addDonateCommand, addRehearseCommand } from './rehearse-command.ts';

/** Reads the words after `baton galera`. Throws USAGE. */
export function parseGalera(words: readonly string[]): CommandLine {
  return parseSubcommands('baton galera', words, (program, accept) => {
    program
      .description('Gives Galera nodes their state: what wsrep_sst_method=baton needs on each of them.')
      .usage('COMMAND …')
      .addHelpText('after', `\n${doorHelp}`);
    addInstallCommand(program, accept);
    addUninstallCommand(program, accept);
    addKeyCommand(program, accept);
    addCheckCommand(program, accept);
    addStatusCommand(program, accept);
    addRecoverCommand(program, accept);
    addRehearseCommand(program, accept);
    addDonateCommand(program, accept);
    addSelfTestCommand(program, accept);
    program.command('sst', { hidden: true }).description('what a server starts as wsrep_sst_baton');
  });
}
