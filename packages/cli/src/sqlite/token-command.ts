import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { makeDirectories } from '@batondb/core/files/make-directories';
import { type Command, Option } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import * as values from '../option-values.ts';
import { jsonLine } from '../render/json.ts';
import { pad, widthOf } from '../render/style.ts';
import type { Accept, Run } from './command.ts';
import { tokenExamples } from './help.ts';
import { defaultDirectory, isNodeDirectory, tokensPath } from './places.ts';

// `baton sqlite token`: what is done to a directory's list of tokens, while a server runs or not.

type TokenFlags = {
  readonly dir?: string;
  readonly tokenFile?: string;
  readonly rights: readonly string[];
  readonly json?: true;
};

/** The rights that the library knows, without loading it for a help text. */
const rightNames = ['read', 'write', 'join'] as const;

export function addTokenCommand(program: Command, accept: Accept): void {
  const token = program
    .command('token')
    .description('makes, lists and revokes tokens')
    .addHelpText('after', `\n${tokenExamples}`)
    .helpCommand(false);
  addPlace(token.command('create'))
    .description('makes a token and prints it')
    .usage('[options] NAME')
    .argument('<name>', 'what you call it')
    .addOption(
      new Option('--rights <list>', 'with commas between: read, write, join')
        .argParser(parseRights)
        .default(['write'], 'write'),
    )
    .action((name: string, flags: TokenFlags) => accept(createToken(name, flags)));
  addPlace(token.command('list'))
    .description('lists tokens, without their text')
    .option('--json', 'one JSON object a token')
    .action((flags: TokenFlags) => accept(listTokens(flags)));
  addPlace(token.command('revoke'))
    .description('makes a token worthless at once')
    .usage('[options] NAME|ID')
    .argument('<name>', 'its name, or its number')
    .action((name: string, flags: TokenFlags) => accept(revokeToken(name, flags)));
}

function addPlace(command: Command): Command {
  return command
    .option('--dir <directory>', 'of the server (default: as for serve)')
    .option('--token-file <file>', 'the list itself (default: DIR/.baton/tokens)');
}

function createToken(name: string, flags: TokenFlags): Run {
  return async (context) => {
    const { createToken: create } = await import('@batondb/sqlite');
    const path = pathOf(flags, context, true);
    const token = create(path, name, flags.rights as readonly (typeof rightNames)[number][]);
    await context.stdout.writeLines([token]);
    await context.stderr.writeLines([`made in ${path}: this text cannot be had again`]);
    return exitCodes.ok;
  };
}

function listTokens(flags: TokenFlags): Run {
  return async (context) => {
    const { listTokens: list } = await import('@batondb/sqlite');
    const tokens = list(pathOf(flags, context, false));
    const nowMs = Date.now();
    if (flags.json) {
      await context.stdout.writeLines(tokens.map((token) => jsonLine({ type: 'token', ...token }, nowMs)));
      return exitCodes.ok;
    }
    const nameWidth = Math.max(0, ...tokens.map(({ name }) => widthOf(name)));
    const lines = tokens.map(({ id, name, rights, createdMs }) => {
      const made = new Date(createdMs).toISOString().slice(0, 10);
      return `${id}  ${pad(name, nameWidth)}  ${made}  ${rights.join(', ')}`;
    });
    await context.stdout.writeLines(lines);
    return exitCodes.ok;
  };
}

function revokeToken(name: string, flags: TokenFlags): Run {
  return async (context) => {
    const { revokeToken: revoke } = await import('@batondb/sqlite');
    revoke(pathOf(flags, context, false), name);
    await context.stderr.writeLines([`revoked: ${name}`]);
    return exitCodes.ok;
  };
}

/** The list's path. `isMade`: the directory may have no server yet, which will find the list there. */
function pathOf(flags: TokenFlags, { environment, userId }: Parameters<Run>[0], isMade: boolean): string {
  if (flags.tokenFile !== undefined) return resolve(flags.tokenFile);
  const directory = resolve(flags.dir ?? defaultDirectory(environment, userId));
  if (!isMade && !isNodeDirectory(directory)) {
    throw new BatonError('NOT_FOUND', `${directory} is not the directory of a server`, { hint: 'name it with --dir' });
  }
  const own = join(directory, '.baton');
  if (isMade && !existsSync(own)) makeDirectories(own, 0o700);
  return tokensPath(directory);
}

function parseRights(text: string): readonly string[] {
  return text.split(',').map((word) => values.parseChoice('--rights', rightNames)(word.trim()));
}
