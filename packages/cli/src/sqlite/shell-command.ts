import { type Command, Option } from 'commander';
import * as values from '../option-values.ts';
import { type AccessFlags, addAccessOptions } from '../service/access.ts';
import type { Accept } from '../service/subcommands.ts';
import { shellExamples } from './help.ts';
import { defaultServer, parsePlace } from './places.ts';

// The grammar of `baton sqlite shell`.

/** How rows can be shown: shell/formats.ts, which a help text does not need. */
const modes = ['table', 'csv', 'json', 'line', 'list'] as const;

export type ShellFlags = AccessFlags & {
  readonly database?: string;
  readonly mode?: (typeof modes)[number];
};

export function addShellCommand(program: Command, accept: Accept): void {
  addAccessOptions(program.command('shell'))
    .description('runs SQL, at a server or in a directory')
    .usage('[options] [URL|DIR]')
    .argument('[place]', 'of the database', defaultServer)
    .option('--database <name>', 'of a directory: which of its databases (default: main)')
    .addOption(
      new Option(
        '--mode <form>',
        `how rows are shown: ${modes.join(', ')} (default: table at a terminal, else list)`,
      ).argParser(values.parseChoice('--mode', modes)),
    )
    .addHelpText('after', `\n${shellExamples}`)
    .action((place: string, flags: ShellFlags) =>
      accept(async (context) => {
        const { runShell } = await import('./shell/run.ts');
        return await runShell(parsePlace(place), flags, context);
      }),
    );
}
