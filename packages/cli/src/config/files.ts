import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { limits } from '@batondb/core/limits';
import { textToBytes } from '@batondb/core/text/bytes';
import { quoteWord } from '@batondb/core/text/words';

// Which configuration files there are, and whether they can be trusted: one names programs that run (`ssh`, `agent`), so
// whoever can write it can run commands as the person who copies.

/** A configuration file that was read. */
export type ConfigFile = { readonly path: string; readonly text: string };

/** Which files a command line asks for: those that everybody has, one of its own, or none. */
export type ConfigChoice =
  | { readonly kind: 'usual' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'none' };

/** What decides where the usual files are and who may own them. */
export type ConfigPlace = {
  readonly systemFile: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The user this process acts as. */
  readonly userId: number;
};

/** The place for this process. */
export function configPlace(environment: Readonly<Record<string, string | undefined>>): ConfigPlace {
  return { systemFile: '/etc/baton/config.yaml', environment, userId: process.geteuid?.() ?? 0 };
}

/** The files of a choice, the one that counts less first. A relative XDG_CONFIG_HOME is no setting, as its standard says. */
export function configPaths(choice: ConfigChoice, place: ConfigPlace): readonly string[] {
  if (choice.kind === 'none') return [];
  if (choice.kind === 'file') return [choice.path];
  const given = place.environment['XDG_CONFIG_HOME'] ?? '';
  const home = place.environment['HOME'] || homedir();
  return [place.systemFile, join(isAbsolute(given) ? given : join(home, '.config'), 'baton', 'config.yaml')];
}

/**
 * Reads the files of a choice, in the order of configPaths. A usual one that does not exist is no failure. Throws USAGE for one
 * that cannot be read or trusted.
 */
export function readConfigFiles(choice: ConfigChoice, place: ConfigPlace): readonly ConfigFile[] {
  return configPaths(choice, place).flatMap((path) => {
    const text = readTrusted(path, choice.kind === 'usual', place.userId);
    return text === undefined ? [] : [{ path, text }];
  });
}

function readTrusted(path: string, mayBeMissing: boolean, userId: number): string | undefined {
  const file = open(path, mayBeMissing);
  if (file === undefined) return undefined;
  try {
    // Of the file that is open, not of its name: a name can lead elsewhere a moment later.
    checkTrust(path, fstatSync(file), userId);
    return decode(path, readBytes(path, file));
  } finally {
    closeSync(file);
  }
}

function open(path: string, mayBeMissing: boolean): number | undefined {
  try {
    // Without waiting: a FIFO would hold the command until somebody writes to it.
    return openSync(Buffer.from(textToBytes(path)), constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isMissing = code === 'ENOENT' || code === 'ENOTDIR';
    if (isMissing && mayBeMissing) return undefined;
    const what = isMissing ? 'does not exist' : `cannot be read: ${(error as Error).message}`;
    const hint = isMissing
      ? 'check the spelling of --config'
      : 'mend its permissions, or leave it out with --no-config';
    throw new BatonError('USAGE', `the configuration file ${path} ${what}`, { hint, cause: error });
  }
}

function checkTrust(path: string, status: Stats, userId: number): void {
  const { mode, uid, size } = status;
  const word = quoteWord(path);
  if (!status.isFile()) throw refusal(path, 'is not a regular file', 'name a file, or leave it out with --no-config');
  if (uid !== 0 && uid !== userId) {
    const owner = userId === 0 ? 'root' : `root or user ${userId}`;
    throw refusal(path, `belongs to user ${uid}, not to ${owner}`, `run: chown ${userId} ${word}`);
  }
  if ((mode & 0o022) !== 0) {
    const octal = (mode & 0o7777).toString(8).padStart(4, '0');
    throw refusal(path, `can be written by others than its owner (mode ${octal})`, `run: chmod go-w ${word}`);
  }
  if (size > limits.configBytesMax) throw tooLarge(path, `${size} bytes`);
}

/** All of a file; one that grows while it is read ends at the limit, too. */
function readBytes(path: string, file: number): Buffer {
  const buffer = Buffer.alloc(limits.configBytesMax + 1);
  let length = 0;
  for (let count = -1; count !== 0 && length < buffer.length; length += count) {
    count = readSync(file, buffer, length, buffer.length - length, null);
  }
  if (length > limits.configBytesMax) throw tooLarge(path, `more than ${limits.configBytesMax} bytes`);
  return buffer.subarray(0, length);
}

function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new BatonError('USAGE', `the configuration file ${path} is not UTF-8`, {
      hint: 'save it as UTF-8, or leave it out with --no-config',
      cause,
    });
  }
}

function tooLarge(path: string, size: string): BatonError {
  return refusal(path, `has ${size}; at most ${limits.configBytesMax} are read`, 'shorten it, or use --no-config');
}

function refusal(path: string, what: string, hint: string): BatonError {
  return new BatonError('USAGE', `the configuration file ${path} ${what}`, { hint });
}
