import type { Command } from 'commander';
import type { Accept } from '../service/subcommands.ts';
import { logExamples } from './help.ts';

// The grammar of `baton sqlite log`.

export type RecoverFlags = { readonly yes?: true; readonly dryRun?: true; readonly json?: true };

export function addLogCommand(program: Command, accept: Accept): void {
  const log = program
    .command('log')
    .description('looks at the log of a stopped server, and gives up what is damaged')
    .addHelpText('after', `\n${logExamples}`)
    .helpCommand(false);
  log
    .command('check')
    .description('says what is whole, torn or damaged, and what can be recovered; changes nothing')
    .argument('<directory>', 'of the stopped server')
    .option('--json', 'as one JSON object')
    .action((directory: string, { json }: { readonly json?: true }) =>
      accept(async (context) => {
        const { runLogCheck } = await import('./log.ts');
        return await runLogCheck(directory, json ?? false, context);
      }),
    );
  log
    .command('recover')
    .description('cuts a damaged log where it can be read no further')
    .argument('<directory>', 'of the stopped server')
    .option('--yes', 'do it without being asked')
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--json', 'as one JSON object')
    .action((directory: string, flags: RecoverFlags) =>
      accept(async (context) => {
        const { runLogRecover } = await import('./log.ts');
        return await runLogRecover(directory, flags, context);
      }),
    );
}
