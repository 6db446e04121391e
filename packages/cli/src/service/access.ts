import { readFileSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { ServerAccess } from '@batondb/service/client';
import type { Command } from 'commander';
import type { Environment } from './context.ts';

// How a server is reached that somebody else runs, or this machine.

/** A token is a line; a file that is longer is something else. */
const tokenBytesMax = 65_536;

/** Adds how a server is reached. */
export function addAccessOptions(command: Command): Command {
  return command
    .option('--token-file <file>', 'a file with the token to show (default: the variable BATON_TOKEN)')
    .option(
      '--ca <file>',
      'the authority that signed the certificate of the server, PEM (default: those of the system)',
    );
}

/** What is said to a server besides its address. The token is never a word of the command line, which others can see. */
export type AccessFlags = { readonly tokenFile?: string; readonly ca?: string };

/** The token comes from a file, or from BATON_TOKEN. Throws USAGE. */
export function readAccess({ tokenFile, ca }: AccessFlags, environment: Environment): ServerAccess {
  const token = tokenFile === undefined ? environment['BATON_TOKEN'] : readToken(tokenFile);
  return {
    ...(token === undefined || token === '' ? {} : { token }),
    ...(ca === undefined ? {} : { ca: readText(ca) }),
  };
}

function readToken(path: string): string {
  const token = readText(path).trim();
  if (/^\S+$/.test(token) && token.length <= tokenBytesMax && !token.startsWith('{')) return token;
  throw new BatonError('USAGE', `${path} holds no token`, {
    hint: 'it is the one line that token create has printed, not the list of a server',
  });
}

/** A text of a file. Throws NOT_FOUND, NO_PERMISSION. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw toBatonError(error, { path });
  }
}
