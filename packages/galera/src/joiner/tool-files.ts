import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** What backup tools leave at the top of a backup, and no server ever reads. */
const pattern = /^(xtrabackup_.*|mariadb_backup_.*|backup-my\.cnf|donor_galera_info|baton-position\.json)$/;

/** Removes a backup tool's own files from a data directory. Throws what the file system says. */
export async function removeToolFiles(directory: string): Promise<void> {
  for (const name of await readdir(directory)) if (pattern.test(name)) await rm(join(directory, name), { force: true });
}
