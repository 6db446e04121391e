import { Command, CommanderError } from 'commander';
import * as values from '../option-values.ts';
import type { CommandContext } from './context.ts';

// The grammar of a door with subcommands. Each subcommand declares itself, and loads what does its work when it is asked for.

/** Does what a command line asks for, and resolves with the exit code. */
export type Run = (context: CommandContext) => Promise<number>;

/** What a command line comes to. `isAsked` false: help that stands in for an error. */
export type CommandLine =
  | { readonly kind: 'run'; readonly run: Run }
  | { readonly kind: 'text'; readonly text: string; readonly isAsked: boolean };

/** How a subcommand hands over what it is to do. */
export type Accept = (run: Run) => void;

/** Reads the words after the name of a door, such as `baton sqlite`. `fill` adds its subcommands. Throws USAGE. */
export function parseSubcommands(
  name: string,
  words: readonly string[],
  fill: (program: Command, accept: Accept) => void,
): CommandLine {
  let run: Run | undefined;
  let printed = '';
  const print = (text: string): void => {
    printed += text;
  };
  const program = new Command(name)
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: print, outputError: () => {} })
    .configureHelp({ minWidthToWrap: 30 })
    .enablePositionalOptions()
    .helpCommand(false);
  fill(program, (accepted) => (run = accepted));
  try {
    program.parse(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const isHelp = error.code === 'commander.helpDisplayed' || error.code === 'commander.help';
    if (!isHelp) throw usageError(error, words, program);
    return { kind: 'text', text: printed, isAsked: error.exitCode === 0 };
  }
  if (run === undefined) throw values.usage('no command was given', `see: ${name} --help`);
  return { kind: 'run', run };
}

function usageError(error: CommanderError, words: readonly string[], program: Command): Error {
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const name = program.commands.find((command) => command.name() === words[0])?.name();
  const help = `see: ${program.name()} ${name === undefined ? '' : `${name} `}--help`;
  return values.usage(message, suggestion?.replace(/^\((.*)\)$/, '$1').replace(/^D/, 'd') ?? help);
}
