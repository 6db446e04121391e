import { mkdtemp, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { limits } from './limits.ts';
import { type BackupPosition, parseCheckpoints, parsePosition, parseSettings } from './position.ts';

/** The names before MariaDB 11.1 (and of Percona's tool), and since. */
const prefixes = ['mariadb_backup', 'xtrabackup'];

/** The file that {@link writePosition} writes. */
export const positionFileName = 'baton-position.json';

/**
 * Where the backup in a directory ends: unpacked, prepared, or what the tool left in its temporary directory at the source.
 * Throws NOT_FOUND when there is no backup, BACKUP_FAILED when its files make no sense, NO_PERMISSION, LIMIT.
 */
export async function readPosition(directory: string): Promise<BackupPosition> {
  return parsePosition({
    checkpoints: await readCheckpoints(directory),
    info: await readInfo(directory, 'info'),
    binlogInfo: await readInfo(directory, 'binlog_info'),
    slaveInfo: await readInfo(directory, 'slave_info'),
    isWhole: (await readOptional(join(directory, 'backup-my.cnf'))) !== undefined,
  });
}

/**
 * Where in the history of a Galera cluster the backup in a directory ends, `UUID:SEQNO`, as the tool wrote it; undefined when it did not. Throws NO_PERMISSION,
 * LIMIT.
 */
export async function readGaleraInfo(directory: string): Promise<string | undefined> {
  return (await readInfo(directory, 'galera_info'))?.trim();
}

/**
 * What an incremental backup has to be taken from, so that it can be applied to the backup in a directory: the LSN where that one ends.
 * The directory must not have been a server's since: that cannot be seen in it. Throws NOT_FOUND when there is no backup,
 * UNSUPPORTED when nothing can be applied to it any more (xtrabackup, prepared to its end), BACKUP_FAILED.
 */
export async function baseLsnOf(directory: string): Promise<bigint> {
  const { toLsn, state } = parseCheckpoints(await readCheckpoints(directory));
  const toolName = parseSettings((await readInfo(directory, 'info')) ?? '').get('tool_name') ?? '';
  if (state === 'full-prepared' && toolName.includes('xtrabackup')) {
    throw new BatonError(
      'UNSUPPORTED',
      `${directory}: this backup is prepared, and nothing can be applied to it any more`,
      {
        hint: 'take a full backup, and do not prepare it before its incremental ones are there',
      },
    );
  }
  return toLsn;
}

/** The position as JSON has it: log sequence numbers as text, since they are larger than what a number holds. */
export function positionToJson(position: BackupPosition): Record<string, unknown> {
  return { format: 1, ...position, fromLsn: String(position.fromLsn), toLsn: String(position.toLsn) };
}

/**
 * Writes `baton-position.json` (0644) into a directory: whole or not at all, synced, replacing an older one. Returns its path.
 * Throws NO_SPACE, NO_PERMISSION, READ_ONLY, NOT_FOUND.
 */
export async function writePosition(directory: string, position: BackupPosition): Promise<string> {
  const path = join(directory, positionFileName);
  try {
    const temporary = await mkdtemp(join(directory, '.baton-position-'));
    try {
      const file = join(temporary, positionFileName);
      await writeSynced(file, `${JSON.stringify(positionToJson(position), null, 2)}\n`);
      await rename(file, path);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
    await syncDirectory(directory);
  } catch (error) {
    throw toBatonError(error, { path });
  }
  return path;
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.writeFile(text);
    await file.chmod(0o644);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function readCheckpoints(directory: string): Promise<string> {
  const text = await readInfo(directory, 'checkpoints');
  if (text !== undefined) return text;
  const names = prefixes.map((prefix) => `${prefix}_checkpoints`).join(' and no ');
  throw new BatonError('NOT_FOUND', `${directory} holds no backup: it has no ${names}`);
}

async function readInfo(directory: string, name: string): Promise<string | undefined> {
  for (const prefix of prefixes) {
    const text = await readOptional(join(directory, `${prefix}_${name}`));
    if (text !== undefined) return text;
  }
  return undefined;
}

/** The text of a file; undefined when it does not exist. Throws NO_PERMISSION, LIMIT. */
export async function readOptional(path: string): Promise<string | undefined> {
  try {
    const { size } = await stat(path);
    if (size > limits.infoBytesMax) {
      throw new BatonError('LIMIT', `${path} has ${size} bytes, and at most ${limits.infoBytesMax} are read`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toBatonError(error, { path });
  }
}
