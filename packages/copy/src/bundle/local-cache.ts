import { lstatSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * A directory of this user's cache that nobody else can enter, made if need be; undefined where there is none to trust: what
 * lies in it is executed on other hosts.
 */
export function privateCache(name: string): string | undefined {
  const cacheHome = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  if (!isAbsolute(cacheHome)) return undefined;
  const own = join(cacheHome, 'baton');
  const directory = join(own, name);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return isMine(cacheHome, 0o022) && isMine(own, 0o022) && isMine(directory, 0o077) ? directory : undefined;
  } catch {
    // Read-only, full, or a file in its place: then every copy packs for itself.
    return undefined;
  }
}

function isMine(directory: string, forbiddenMode: number): boolean {
  const { uid, mode } = lstatSync(directory);
  return uid === process.geteuid?.() && (mode & forbiddenMode) === 0 && lstatSync(directory).isDirectory();
}
