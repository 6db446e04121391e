import { existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import type { Environment } from '../service/context.ts';

// Where things are when nothing else was said, and what operands name.

/** The server that commands speak to unless they are told of another one: where `serve` listens by default. */
export const defaultServer = 'ws://127.0.0.1:6480';

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

/** A relative path in a variable of the specification is no setting, as it says. */
function xdgHome(environment: Environment, name: string, fallback: string): string {
  const given = environment[name] ?? '';
  return isAbsolute(given) ? given : join(environment['HOME'] || homedir(), fallback);
}
