import { Command, CommanderError } from 'commander';
import { addConfigOptions, addNegations, applyConfig, type ConfigReader, noConfig } from '../config/apply.ts';
import * as values from '../option-values.ts';
import type { SqliteContext } from './context.ts';
import { addDatabaseCommands } from './database-command.ts';
import { exitHelp, sqliteExamples } from './help.ts';
import { addLogCommand } from './log-command.ts';
import { addServeCommand } from './serve-command.ts';
import { addShellCommand } from './shell-command.ts';
import { addStatusCommand } from './status-command.ts';
import { addTokenCommand } from './token-command.ts';

// The grammar of `baton sqlite`. Each subcommand declares itself, and loads what does its work when it is asked for.

/** Does what a command line asks for, and resolves with the exit code. */
export type Run = (context: SqliteContext) => Promise<number>;

/** What a command line of `baton sqlite` comes to. `isAsked` false: help that stands in for an error. */
export type SqliteCommandLine =
  | { readonly kind: 'run'; readonly run: Run }
  | { readonly kind: 'text'; readonly text: string; readonly isAsked: boolean };

/** How a subcommand hands over what it is to do. */
export type Accept = (run: Run) => void;

/** Reads the words after `baton sqlite`. Throws USAGE. */
export function parseSqlite(words: readonly string[], read: ConfigReader = noConfig): SqliteCommandLine {
  let run: Run | undefined;
  let printed = '';
  const program = makeProgram(
    (accepted) => (run = accepted),
    (text) => (printed += text),
    read,
  );
  try {
    program.parse(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const isHelp = error.code === 'commander.helpDisplayed' || error.code === 'commander.help';
    if (!isHelp) throw usageError(error, words, program);
    return { kind: 'text', text: printed, isAsked: error.exitCode === 0 };
  }
  if (run === undefined) throw values.usage('no command was given', 'see: baton sqlite --help');
  return { kind: 'run', run };
}

function makeProgram(accept: Accept, print: (text: string) => void, read: ConfigReader): Command {
  const program = new Command('baton sqlite')
    .description('Keeps SQLite databases on a log, and serves them to stock libSQL clients.')
    .addHelpText('after', `\n${sqliteExamples}\n\n${exitHelp}`)
    .exitOverride()
    .configureOutput({ writeOut: print, writeErr: print, outputError: () => {} })
    .configureHelp({ minWidthToWrap: 30 })
    .enablePositionalOptions()
    .helpCommand(false);
  const serve = addServeCommand(program, accept);
  addNegations(addConfigOptions(serve));
  addShellCommand(program, accept);
  addDatabaseCommands(program, accept);
  addTokenCommand(program, accept);
  addStatusCommand(program, accept);
  addLogCommand(program, accept);
  serve.hook('preAction', () => void applyConfig(serve, serve, read, 'sqlite'));
  return program;
}

function usageError(error: CommanderError, words: readonly string[], program: Command): Error {
  const [message = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const name = program.commands.find((command) => command.name() === words[0])?.name();
  const help = `see: baton sqlite ${name === undefined ? '' : `${name} `}--help`;
  return values.usage(message, suggestion?.replace(/^\((.*)\)$/, '$1').replace(/^D/, 'd') ?? help);
}
