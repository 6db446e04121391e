import { join } from 'node:path';
import { readHead } from './file-head.ts';
import { parseSettings } from './position.ts';
import { readOptional } from './position-files.ts';

// By what a server is told from another one. MySQL names itself, and xtrabackup writes that down; MariaDB does not, but its engine Aria
// does, in a control file that a backup has, too (storage/maria/ma_control_file.c): magic fe fe 0c, version 1, UUID 16. Not checked: the
// rest of that file. A server whose data directory began as the copy of another one's may have the UUID of that one.

const controlName = 'aria_log_control';
const controlMagic = Buffer.from('fefe0c', 'hex');
const uuidOffset = 4;
const uuidBytes = 16;

/** The UUID of the server that a backup is of; undefined where its files do not tell. Throws NO_PERMISSION, LIMIT. */
export async function backupServerUuid(directory: string): Promise<string | undefined> {
  const settings = parseSettings((await readOptional(join(directory, 'backup-my.cnf'))) ?? '');
  return settings.get('server_uuid') ?? (await ariaUuid(directory));
}

/** The UUID in Aria's control file, as hexadecimal digits; undefined where there is none. Throws NO_PERMISSION. */
export async function ariaUuid(directory: string): Promise<string | undefined> {
  const head = await readHead(join(directory, controlName), uuidOffset + uuidBytes);
  const isControl = head?.subarray(0, controlMagic.length).equals(controlMagic) ?? false;
  return isControl ? head?.toString('hex', uuidOffset) : undefined;
}
