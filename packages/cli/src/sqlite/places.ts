import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { ServerAccess } from '@batondb/service/client';

// Where things are when nothing else was said, and what operands name.

/** The server that commands speak to unless they are told of another one: where `serve` listens by default. */
export const defaultServer = 'ws://127.0.0.1:6480';

export type Environment = Readonly<Record<string, string | undefined>>;

/** A token is a line; a file that is longer is something else. */
const tokenBytesMax = 65_536;

/** Where databases lie: in the system's place for root, in the user's own for others (XDG Base Directory Specification). */
export function defaultDirectory(environment: Environment, userId: number): string {
  if (userId === 0) return '/var/lib/baton/sqlite';
  return join(xdgHome(environment, 'XDG_DATA_HOME', '.local/share'), 'baton', 'sqlite');
}

/** The file of what was typed into the shell. */
export function historyPath(environment: Environment): string {
  return join(xdgHome(environment, 'XDG_STATE_HOME', '.local/state'), 'baton', 'sqlite-history');
}

/** The file of tokens of a directory. */
export function tokensPath(directory: string): string {
  return join(directory, '.baton', 'tokens');
}

/** What an operand of the shell names. A directory that exists is one, whatever it looks like. */
export type Place =
  | { readonly kind: 'server'; readonly address: string }
  | { readonly kind: 'directory'; readonly path: string };

/** Reads an operand: an address, or the directory of a node. Throws NOT_FOUND for a directory that does not exist. */
export function parsePlace(text: string): Place {
  if (text.includes('://') || text.startsWith('unix:')) return { kind: 'server', address: text };
  const isDirectory = statSync(text, { throwIfNoEntry: false })?.isDirectory() === true;
  if (!isDirectory && /^(?:\[[^\]]+\]|[^/:]+):\d{1,5}(?:\/|$)/.test(text)) return { kind: 'server', address: text };
  if (isDirectory) return { kind: 'directory', path: resolve(text) };
  throw new BatonError('NOT_FOUND', `${text} is no directory, and no address of a server`, {
    hint: `an address looks like ${defaultServer} or unix:PATH`,
  });
}

/** Whether a path is the directory of a node. */
export function isNodeDirectory(path: string): boolean {
  return existsSync(join(path, '.baton'));
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
    hint: 'it is the one line that baton sqlite token create has printed, not the list of a server',
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw toBatonError(error, { path });
  }
}

/** A relative path in a variable of the specification is no setting, as it says. */
function xdgHome(environment: Environment, name: string, fallback: string): string {
  const given = environment[name] ?? '';
  return isAbsolute(given) ? given : join(environment['HOME'] || homedir(), fallback);
}
