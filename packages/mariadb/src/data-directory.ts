import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';

/** Names that were given for the servers of this family, as /proc has them (15 characters). */
const serverNames: ReadonlySet<string> = new Set(['mariadbd', 'mysqld', 'mysqld-debug']);
/** Files that a running server keeps locked (fcntl) in its data directory. */
const lockedFiles = ['ibdata1', 'aria_log_control', 'undo_001'];
const namesQuotedMax = 5;

/**
 * Checks that a directory is one to unpack a backup into: it exists, no running server uses it, and it is empty but for
 * `lost+found` and the names in `allowedNames`. Throws NOT_FOUND, NOT_A_DIRECTORY, NO_PERMISSION, IN_USE (names the server's process),
 * EXISTS (names some of what is there).
 */
export async function checkEmptyDataDirectory(directory: string, allowedNames: readonly string[] = []): Promise<void> {
  const path = await resolveDirectory(directory);
  // Whoever emptied the directory of a running server gets this answer, not that it is empty.
  await checkNotInUse(path);
  const allowed = new Set(['lost+found', ...allowedNames]);
  const names = (await namesIn(path)).filter((name) => !allowed.has(name));
  if (names.length === 0) return;
  const quoted = names.sort().slice(0, namesQuotedMax).join(', ');
  const more = names.length > namesQuotedMax ? ` and ${names.length - namesQuotedMax} more` : '';
  throw new BatonError('EXISTS', `${directory} is not empty: it has ${quoted}${more}`, {
    hint: 'a backup is only unpacked into an empty directory: move away what is there, or name another one',
  });
}

/** Throws IN_USE when a running server uses the directory, by whatever name it knows it. `path` has no symlinks. */
export async function checkNotInUse(path: string): Promise<void> {
  const pid = (await findServerIn(path)) ?? (await findLockHolder(path)) ?? (await findByPidFile(path));
  if (pid === undefined) return;
  throw new BatonError('IN_USE', `${path} is the data directory of a running server, process ${pid}`, {
    hint: 'name another directory; if it is that server that you mean to replace, stop it and empty its directory',
  });
}

async function resolveDirectory(directory: string): Promise<string> {
  try {
    const path = await realpath(directory);
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    throw toBatonError(error, { path: directory });
  }
  throw new BatonError('NOT_A_DIRECTORY', `${directory} is not a directory`);
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    throw toBatonError(error, { path });
  }
}

/** A server stands in its data directory, and has files open in it. Of other users' processes only root sees either. */
async function findServerIn(path: string): Promise<number | undefined> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    if (!(await isServer(pid))) continue;
    const links = [`/proc/${pid}/cwd`, ...(await openFilesOf(pid))];
    for (const link of links) {
      const target = await readlink(link).catch(() => '');
      if (target === path || target.startsWith(`${path}/`)) return pid;
    }
  }
  return undefined;
}

async function isServer(pid: number): Promise<boolean> {
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  return serverNames.has(name.trim());
}

async function openFilesOf(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`).catch(() => []);
  return names.map((name) => `/proc/${pid}/fd/${name}`);
}

/** proc_locks(5), which everybody may read: `1: POSIX ADVISORY WRITE 712 08:01:1234 0 EOF`, device and inode at the end. */
async function findLockHolder(path: string): Promise<number | undefined> {
  const locks = await readFile('/proc/locks', 'latin1').catch(() => '');
  for (const name of lockedFiles) {
    const found = await stat(join(path, name), { bigint: true }).catch(() => undefined);
    if (found === undefined) continue;
    const [major, minor] = [(found.dev >> 8n) & 0xfffn, (found.dev & 0xffn) | ((found.dev >> 12n) & 0xfff00n)];
    const hex = (number: bigint): string => number.toString(16).padStart(2, '0');
    const pattern = new RegExp(` (\\d+) ${hex(major)}:${hex(minor)}:${found.ino} `);
    const pid = locks
      .split('\n')
      .map((line) => pattern.exec(line)?.[1])
      .find((one) => one !== undefined);
    if (pid !== undefined) return Number(pid);
  }
  return undefined;
}

/** For a server of another user, where /proc tells its name but not its files. */
async function findByPidFile(path: string): Promise<number | undefined> {
  for (const name of await namesIn(path)) {
    if (!name.endsWith('.pid')) continue;
    const pid = Number((await readFile(join(path, name), 'latin1').catch(() => '')).trim());
    if (Number.isSafeInteger(pid) && pid > 0 && (await isServer(pid))) return pid;
  }
  return undefined;
}
