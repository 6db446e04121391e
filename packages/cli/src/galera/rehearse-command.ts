import type { Command } from 'commander';
import type { Accept } from '../service/subcommands.ts';
import { rehearseExamples } from './help.ts';

export type RehearseFlags = {
  readonly donor: string;
  readonly dir: string;
  readonly ssh: string;
  readonly baton: string;
  readonly port: string;
  readonly address?: string;
  readonly useMemory: string;
  readonly json?: true;
};

export function addRehearseCommand(program: Command, accept: Accept): void {
  program
    .command('rehearse')
    .usage('[options] --donor [USER@]HOST --dir SCRATCH [-- SERVER OPTIONS]')
    .description('takes a whole transfer from a live donor into a directory, and says what it took')
    .argument('[words...]', "options of the donor's server, where it is not its machine's own")
    .requiredOption('--donor <host>', 'a node of the cluster, as ssh knows it')
    .requiredOption('--dir <directory>', 'where the backup is made: empty, or a free name')
    .option('--ssh <command>', 'the remote shell, with arguments of its own', 'ssh')
    .option('--baton <path>', 'of baton on the donor', '/usr/local/lib/baton/current/bin/baton')
    .option('--port <port>', 'the port to be reached at by the donor', '4444')
    .option('--address <host>', 'where the donor reaches this machine (default: where the login comes from)')
    .option('--use-memory <size>', 'for preparing the backup, such as 2G', '256M')
    .option('--json', 'the report as one JSON object')
    .addHelpText('after', `\n${rehearseExamples}`)
    .action((words: readonly string[], flags: RehearseFlags) =>
      accept(async (context) => {
        const { runRehearse } = await import('./rehearse.ts');
        return await runRehearse(words, flags, context);
      }),
    );
}

/** What `rehearse` starts on the donor's machine. */
export function addDonateCommand(program: Command, accept: Accept): void {
  program
    .command('donate', { hidden: true })
    .argument('[words...]')
    .allowUnknownOption()
    .action((words: readonly string[]) =>
      accept(async (context) => {
        const { runDonate } = await import('./rehearse.ts');
        return await runDonate(words, context);
      }),
    );
}
