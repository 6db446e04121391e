import { defaultOperations } from '@batondb/sync/operations/client';
import type { Command } from 'commander';
import { type AccessFlags, addAccessOptions } from '../service/access.ts';
import type { Accept } from '../service/subcommands.ts';
import { orderExamples, statusExamples } from './help.ts';

// The grammar of what is asked of a sync that runs.

export type StatusFlags = AccessFlags & { readonly json?: true };

export function addStatusCommand(program: Command, accept: Accept): void {
  addPlace(program.command('status'))
    .description('shows how a sync stands')
    .addHelpText('after', `\n${statusExamples}`)
    .action((url: string, flags: StatusFlags) =>
      accept(async (context) => {
        const { runStatus } = await import('./status.ts');
        return await runStatus(url, flags, context);
      }),
    );
}

export function addOrderCommands(program: Command, accept: Accept): void {
  const orders = [
    ['pause', 'stops giving changes to the sink; the source keeps them meanwhile, which fills its disk'],
    ['resume', 'goes on after a pause'],
  ] as const;
  for (const [kind, what] of orders) {
    addPlace(program.command(kind))
      .description(what)
      .action((url: string, flags: StatusFlags) =>
        accept(async (context) => {
          const { runOrder } = await import('./status.ts');
          return await runOrder({ kind }, url, flags, context);
        }),
      );
  }
  addPlace(program.command('resync'))
    .description('reads a table anew, while the others go on')
    .requiredOption('--table <name>', 'SCHEMA.TABLE, as at the source')
    .addHelpText('after', `\n${orderExamples}`)
    .action((url: string, { table, ...flags }: StatusFlags & { readonly table: string }) =>
      accept(async (context) => {
        const { runOrder } = await import('./status.ts');
        return await runOrder({ kind: 'resync', table }, url, flags, context);
      }),
    );
}

function addPlace(command: Command): Command {
  return addAccessOptions(command)
    .usage('[options] [URL]')
    .argument('[url]', 'of the sync: its --listen', defaultOperations)
    .option('--json', 'the status as one JSON object');
}
