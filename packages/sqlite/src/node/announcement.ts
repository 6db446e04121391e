import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// Where the server of a directory listens, for people who find the directory in use. It is a hint and nothing more: after a crash it
// stays until the next start.

/** An address is not longer; whatever else lies there is none. */
const charactersMax = 512;

/** Notes where a directory is served, for as long as the result is not disposed of. Whoever calls it holds the directory's lock. */
export function announce(directory: string, url: string): Disposable {
  const path = announcementPath(directory);
  writeFileSync(`${path}.new`, `${url}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return { [Symbol.dispose]: () => rmSync(path, { force: true }) };
}

/** Where a directory was said to be served last, or undefined. */
export function announcedAt(directory: string): string | undefined {
  try {
    const text = readFileSync(announcementPath(directory), 'utf8').trim();
    return text === '' || text.length > charactersMax ? undefined : text;
  } catch {
    return undefined;
  }
}

function announcementPath(directory: string): string {
  return join(directory, '.baton', 'listen');
}
