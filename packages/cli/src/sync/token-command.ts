import { resolve } from 'node:path';
import type { Command } from 'commander';
import { usage } from '../option-values.ts';
import type { Accept } from '../service/subcommands.ts';
import { addTokenCommands } from '../service/token-command.ts';
import { tokenExamples } from './help.ts';

/** `baton sync token`: what is done to the list of tokens that a sync was started with. */
export function addSyncTokenCommand(program: Command, accept: Accept): void {
  addTokenCommands(program, accept, {
    rights: ['read', 'write'],
    examples: tokenExamples,
    addPlace: (command) => command.option('--token-file <file>', 'the list, as the sync is told of it'),
    pathOf: ({ tokenFile }) => {
      if (tokenFile === undefined)
        throw usage('--token-file is missing', 'name the file that the sync is started with');
      return resolve(tokenFile);
    },
  });
}
