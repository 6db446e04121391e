import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { directoryBytes } from './data-bytes.ts';
import { readHead } from './file-head.ts';
import { baseLsnOf, readPosition } from './position-files.ts';
import { backupServerUuid } from './server-uuid.ts';

/** A backup in a directory, as that which an incremental one is based on. */
export type BackupBase = {
  /** What the incremental one has to be taken from. */
  readonly toLsn: bigint;
  /** It is itself an incremental one, which holds no more than what had changed. */
  readonly incremental: boolean;
  /** As the server said it. '' where the tool has not noted it. */
  readonly serverVersion: string;
  /** Of the server that it is of; undefined where its files do not tell. */
  readonly serverUuid: string | undefined;
  /** The sizes of all its files. */
  readonly bytes: number;
};

/**
 * Reads what a backup says of itself as a base. Throws NOT_FOUND when there is no backup, UNSUPPORTED when nothing can be applied to
 * it any more (a server has run on it; xtrabackup, prepared to its end), BACKUP_FAILED, NO_PERMISSION, LIMIT, and the signal's reason.
 */
export async function readBase(directory: string, signal: AbortSignal): Promise<BackupBase> {
  const toLsn = await baseLsnOf(directory);
  await checkUntouched(directory);
  const { incremental, serverVersion } = await readPosition(directory);
  const serverUuid = await backupServerUuid(directory);
  return { toLsn, incremental, serverVersion, serverUuid, bytes: await directoryBytes(directory, () => false, signal) };
}

// The redo log begins with who has made it (storage/innobase/include/log0log.h, LOG_HEADER_CREATOR): `Backup 10.11.19` in what
// mariadb-backup leaves, `MariaDB 10.11.19` once a server has started, which makes the log anew in its own size. xtrabackup leaves none.
const creatorOffset = 16;
const creatorBytes = 32;

/** M7: what a server has written since is not in its backups' log sequence; an incremental one on top of it would be rubbish. */
async function checkUntouched(directory: string): Promise<void> {
  const head = await readHead(join(directory, 'ib_logfile0'), creatorOffset + creatorBytes);
  const creator = head?.toString('latin1', creatorOffset).replace(/\0.*/s, '') ?? '';
  if (!/^(MariaDB|MySQL)\b/.test(creator)) return;
  const message = `a server has run on the backup in ${directory} (its redo log is of ${creator}), and nothing can be applied to it any more`;
  throw new BatonError('UNSUPPORTED', message, {
    hint: 'name a backup that no server was started on, or take a full one',
  });
}
