import type { Command } from 'commander';
import type { Accept } from '../service/subcommands.ts';
import { checkExamples, recoverExamples, statusExamples } from './help.ts';

// The grammar of what is asked of a node. Which one: by options of its server, and without any it is the machine's own.

export type NodeFlags = {
  readonly datadir?: string;
  readonly defaultsFile?: string;
  readonly socket?: string;
  readonly json?: true;
};

export function addCheckCommand(program: Command, accept: Accept): void {
  addNodeOptions(program.command('check'))
    .description('examines a node before it matters, and says what to do')
    .option('--json', 'one JSON object a finding')
    .addHelpText('after', `\n${checkExamples}`)
    .action((words: readonly string[], flags: NodeFlags) =>
      accept(async (context) => {
        const { runCheck } = await import('./check.ts');
        return await runCheck(wordsOf(words, flags), flags, context);
      }),
    );
}

export function addStatusCommand(program: Command, accept: Accept): void {
  addNodeOptions(program.command('status'))
    .description('shows a running transfer, on either of its nodes')
    .option('--json', 'as one JSON object')
    .addHelpText('after', `\n${statusExamples}`)
    .action((words: readonly string[], flags: NodeFlags) =>
      accept(async (context) => {
        const { runStatus } = await import('./status.ts');
        return await runStatus(wordsOf(words, flags), flags, context);
      }),
    );
}

export function addRecoverCommand(program: Command, accept: Accept): void {
  addNodeOptions(program.command('recover'))
    .description('brings the data directory into order before its server starts')
    .option('--json', 'as one JSON object')
    .addHelpText('after', `\n${recoverExamples}`)
    .action((words: readonly string[], flags: NodeFlags) =>
      accept(async (context) => {
        const { runRecover } = await import('./recover.ts');
        return await runRecover(wordsOf(words, flags), flags, context);
      }),
    );
}

function addNodeOptions(command: Command): Command {
  return command
    .usage('[options] [-- SERVER OPTIONS]')
    .argument('[words...]', 'more options that the server is started with')
    .option('--datadir <directory>', 'of the server (default: as its option files say)')
    .option('--defaults-file <file>', 'the option file that the server is started with')
    .option('--socket <path>', 'of the server (default: as its option files say)');
}

function wordsOf(words: readonly string[], { datadir, defaultsFile, socket }: NodeFlags): string[] {
  const named = { 'defaults-file': defaultsFile, datadir, socket };
  const given = Object.entries(named).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  return [...given, ...words];
}
