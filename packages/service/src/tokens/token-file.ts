import {
  closeSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import * as z from 'zod';
import { rights, type TokenRecord } from './token.ts';

// The file that tokens are kept in: mode 0600, written whole beside itself and renamed.

/** A file of a hundred thousand tokens; there are a few. */
const fileBytesMax = 33_554_432;
/** A write takes milliseconds; what is older was left by a crash. */
const staleMs = 10_000;

const content = z.object({
  version: z.literal(1),
  tokens: z.array(
    z.object({
      id: z.string().regex(/^[0-9a-f]{12}$/),
      name: z.string().max(255),
      rights: z.array(z.enum(rights)),
      hash: z.string().regex(/^[0-9a-f]{64}$/),
      createdMs: z.number().int().nonnegative(),
    }),
  ),
});

/** The tokens in a file, or undefined when there is none. Throws USAGE for a file that others could have read or written. */
export function readTokens(path: string): readonly TokenRecord[] | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toBatonError(error, { path });
  }
  try {
    checkTrust(path, fstatSync(file));
    return content.parse(JSON.parse(readFileSync(file, 'utf8'))).tokens;
  } catch (cause) {
    if (cause instanceof BatonError) throw cause;
    throw new BatonError('USAGE', `${path} is no file of tokens`, { cause, hint: 'put it aside and make new tokens' });
  } finally {
    closeSync(file);
  }
}

/** Reads, changes and writes the tokens. Throws BUSY while somebody else does. */
export function updateTokens(path: string, change: (tokens: readonly TokenRecord[]) => readonly TokenRecord[]): void {
  // Made exclusively, so that it is a lock, too: of two changes at once neither is lost.
  const newPath = `${path}.new`;
  const file = openExclusively(newPath);
  try {
    const text = JSON.stringify({ version: 1, tokens: change(readTokens(path) ?? []) }, null, 2);
    writeSync(file, `${text}\n`);
    giveToOwner(file, dirname(path));
    fsyncSync(file);
    renameSync(newPath, path);
  } catch (error) {
    rmSync(newPath, { force: true });
    throw toBatonError(error, { path });
  } finally {
    closeSync(file);
  }
  syncDirectory(dirname(path));
}

function openExclusively(path: string): number {
  const age = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (age !== undefined && Date.now() - age > staleMs) rmSync(path, { force: true });
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw toBatonError(error, { path });
    throw new BatonError('BUSY', `${path} exists: somebody else changes the tokens`, { retryable: true, cause: error });
  }
}

/** What root writes in the directory of another user is for that one's server, which has to read it. */
function giveToOwner(file: number, directory: string): void {
  const { uid, gid } = statSync(directory);
  if (process.geteuid?.() === 0) fchownSync(file, uid, gid);
}

function checkTrust(path: string, { mode, uid, size }: Stats): void {
  if ((mode & 0o077) !== 0) {
    throw new BatonError('USAGE', `${path} has mode ${(mode & 0o777).toString(8)}, and others can use it`, {
      hint: `chmod 600 ${path}, and make new tokens if others may have written to it`,
    });
  }
  const own = process.geteuid?.() ?? uid;
  const isTrusted = uid === own || uid === 0 || uid === statSync(dirname(path)).uid;
  if (!isTrusted) throw new BatonError('USAGE', `${path} belongs to user ${uid}, and this is user ${own}`);
  if (size > fileBytesMax) throw new BatonError('LIMIT', `${path} has ${size} bytes; the limit is ${fileBytesMax}`);
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
