import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { makeDirectories } from '@batondb/core/files/make-directories';
import type { Command } from 'commander';
import type { Accept, Run } from '../service/subcommands.ts';
import { addTokenCommands, type TokenFlags } from '../service/token-command.ts';
import { tokenExamples } from './help.ts';
import { defaultDirectory, isNodeDirectory, tokensPath } from './places.ts';

/** `baton sqlite token`: what is done to a directory's list of tokens, while a server runs or not. */
export function addTokenCommand(program: Command, accept: Accept): void {
  addTokenCommands(program, accept, {
    rights: ['read', 'write', 'join'],
    examples: tokenExamples,
    addPlace: (command) =>
      command
        .option('--dir <directory>', 'of the server (default: as for serve)')
        .option('--token-file <file>', 'the list itself (default: DIR/.baton/tokens)'),
    pathOf,
  });
}

/** The list's path. `isMade`: the directory may have no server yet, which will find the list there. */
function pathOf(
  flags: TokenFlags & { readonly dir?: string },
  { environment, userId }: Parameters<Run>[0],
  isMade: boolean,
): string {
  if (flags.tokenFile !== undefined) return resolve(flags.tokenFile);
  const directory = resolve(flags.dir ?? defaultDirectory(environment, userId));
  if (!isMade && !isNodeDirectory(directory)) {
    throw new BatonError('NOT_FOUND', `${directory} is not the directory of a server`, { hint: 'name it with --dir' });
  }
  const own = join(directory, '.baton');
  if (isMade && !existsSync(own)) makeDirectories(own, 0o700);
  return tokensPath(directory);
}
