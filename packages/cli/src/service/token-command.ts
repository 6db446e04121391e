import type { Right } from '@batondb/service/tokens/token';
import { type Command, Option } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import * as values from '../option-values.ts';
import { jsonLine } from '../render/json.ts';
import { pad, widthOf } from '../render/style.ts';
import type { CommandContext } from './context.ts';
import type { Accept, Run } from './subcommands.ts';

// The subcommands called `token`: what is done to a list of tokens, while a server runs or not.

export type TokenFlags = {
  readonly tokenFile?: string;
  readonly rights: readonly Right[];
  readonly json?: true;
};

/** What is a door's own. */
export type TokenPlace = {
  readonly rights: readonly Right[];
  readonly examples: string;
  /** Adds the options that say where the list is. */
  readonly addPlace: (command: Command) => Command;
  /** The list's path. `isMade`: it may not be there yet. */
  readonly pathOf: (flags: TokenFlags, context: CommandContext, isMade: boolean) => string;
};

export function addTokenCommands(program: Command, accept: Accept, place: TokenPlace): void {
  const token = program
    .command('token')
    .description('makes, lists and revokes tokens')
    .addHelpText('after', `\n${place.examples}`)
    .helpCommand(false);
  place
    .addPlace(token.command('create'))
    .description('makes a token and prints it')
    .usage('[options] NAME')
    .argument('<name>', 'what you call it')
    .addOption(
      new Option('--rights <list>', `with commas between: ${place.rights.join(', ')}`)
        .argParser(parseRights(place.rights))
        .default(['write'], 'write'),
    )
    .action((name: string, flags: TokenFlags) => accept(createToken(name, flags, place)));
  place
    .addPlace(token.command('list'))
    .description('lists tokens, without their text')
    .option('--json', 'one JSON object a token')
    .action((flags: TokenFlags) => accept(listTokens(flags, place)));
  place
    .addPlace(token.command('revoke'))
    .description('makes a token worthless at once')
    .usage('[options] NAME|ID')
    .argument('<name>', 'its name, or its number')
    .action((name: string, flags: TokenFlags) => accept(revokeToken(name, flags, place)));
}

function createToken(name: string, flags: TokenFlags, { pathOf }: TokenPlace): Run {
  return async (context) => {
    const { createToken: create } = await import('@batondb/service/tokens/manage');
    const path = pathOf(flags, context, true);
    const token = create(path, name, flags.rights);
    await context.stdout.writeLines([token]);
    await context.stderr.writeLines([`made in ${path}: this text cannot be had again`]);
    return exitCodes.ok;
  };
}

function listTokens(flags: TokenFlags, { pathOf }: TokenPlace): Run {
  return async (context) => {
    const { listTokens: list } = await import('@batondb/service/tokens/manage');
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

function revokeToken(name: string, flags: TokenFlags, { pathOf }: TokenPlace): Run {
  return async (context) => {
    const { revokeToken: revoke } = await import('@batondb/service/tokens/manage');
    revoke(pathOf(flags, context, false), name);
    await context.stderr.writeLines([`revoked: ${name}`]);
    return exitCodes.ok;
  };
}

function parseRights(known: readonly Right[]): (text: string) => readonly Right[] {
  return (text) => text.split(',').map((word) => values.parseChoice('--rights', known)(word.trim()));
}
