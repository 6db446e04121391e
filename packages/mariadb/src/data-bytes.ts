import type { Dirent } from 'node:fs';
import { lstat, opendir, realpath } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { toBatonError } from '@batondb/core/files/system-error';

/** Where a server's files are. Paths that are relative are so to `dataDirectory`; empty ones count for nothing. */
export type DataPlaces = {
  readonly dataDirectory: string;
  readonly moreDirectories: readonly string[];
  /** Paths of binlogs and relay logs, to which the server appends `.000001` and the like. */
  readonly logBasenames: readonly string[];
};

/** At the top of a data directory: the redo log, temporary tables, the doublewrite buffer. A backup does not stream them. */
const notStreamed = /^(ib_logfile\d+|ibtmp\d+|#innodb_redo|#innodb_temp|#ib_.*\.dblwr)$/;

/** The sizes of the files that a full backup streams, in bytes. What vanishes meanwhile counts for nothing. */
export async function dataFileBytes(places: DataPlaces, signal: AbortSignal): Promise<number> {
  const { dataDirectory } = places;
  const prefixes = places.logBasenames.filter((name) => name !== '').map((name) => `${resolve(dataDirectory, name)}.`);
  const roots = [dataDirectory, ...places.moreDirectories.filter((path) => path !== '')];
  const resolved = await Promise.all(
    roots.map((path) => realPath(isAbsolute(path) ? path : join(dataDirectory, path))),
  );
  // A directory inside of another one is counted with it.
  const outermost = resolved.filter(
    (path, index) =>
      resolved.indexOf(path) === index && !resolved.some((other) => other !== path && path.startsWith(`${other}/`)),
  );
  let bytes = 0;
  for (const root of outermost) {
    const isLog = (path: string): boolean => prefixes.some((prefix) => path.startsWith(prefix));
    bytes += await directoryBytes(root, (path, name) => notStreamed.test(name) || isLog(path), signal);
  }
  return bytes;
}

/**
 * The sizes of all files below a directory, in bytes. `isLeftOut` is asked for names at the top only: a database may be called as a
 * log is. What vanishes meanwhile counts for nothing.
 */
export async function directoryBytes(
  directory: string,
  isLeftOut: (path: string, name: string) => boolean,
  signal: AbortSignal,
): Promise<number> {
  let bytes = 0;
  for await (const entry of openEntries(directory)) {
    signal.throwIfAborted();
    const path = join(directory, entry.name);
    if (isLeftOut(path, entry.name)) continue;
    if (entry.isDirectory()) bytes += await directoryBytes(path, () => false, signal);
    else if (entry.isFile()) bytes += await fileBytes(path);
  }
  return bytes;
}

async function* openEntries(directory: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw toBatonError(error, { path: directory });
  }
}

async function fileBytes(path: string): Promise<number> {
  try {
    return (await lstat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw toBatonError(error, { path });
  }
}

async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw toBatonError(error, { path });
  }
}
