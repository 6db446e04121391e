import { lstatSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/**
 * Where a person puts pieces for the processor that this machine does not have: npm has no room for them beside its own.
 * Undefined when it is not there, or others could write to it.
 */
export function piecesDirectory(): string | undefined {
  const directory = join(cacheHome(), 'baton', 'pieces');
  try {
    return [dirname(directory), directory].every((one) => isMine(one, 0o022)) ? directory : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A directory of this user's cache that nobody else can enter, made if need be; undefined where there is none to trust: what
 * lies in it is executed on other hosts.
 */
export function privateCache(name: string): string | undefined {
  const home = cacheHome();
  const own = join(home, 'baton');
  const directory = join(own, name);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return isMine(home, 0o022) && isMine(own, 0o022) && isMine(directory, 0o077) ? directory : undefined;
  } catch {
    // Read-only, full, or a file in its place: then every copy packs for itself.
    return undefined;
  }
}

function cacheHome(): string {
  const named = process.env['XDG_CACHE_HOME'] ?? '';
  return isAbsolute(named) ? named : join(homedir(), '.cache');
}

function isMine(directory: string, forbiddenMode: number): boolean {
  const { uid, mode } = lstatSync(directory);
  return uid === process.geteuid?.() && (mode & forbiddenMode) === 0 && lstatSync(directory).isDirectory();
}
