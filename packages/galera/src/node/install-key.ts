import { constants, link, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import { keyFingerprint, makeKey, readKey } from './key.ts';
import { groupIdOf } from './users.ts';
import { syncDirectory } from './write-files.ts';

/** What became of the key. */
export type KeyReport = { readonly path: string; readonly fingerprint: string; readonly isNew: boolean };

/** The server's user reads it, root writes it. */
const keyMode = 0o640;
const serverGroup = 'mysql';

/** Makes the key of a node unless there is one: a key that is there is never written over. Throws NOT_FOUND, NO_PERMISSION, NO_SPACE, USAGE. */
export async function installKey(path: string): Promise<KeyReport> {
  const isNew = await makeKeyFile(path);
  return { path, fingerprint: keyFingerprint(readKey(path)), isNew };
}

async function makeKeyFile(path: string): Promise<boolean> {
  const group = groupIdOf(serverGroup);
  if (group === undefined) {
    throw new BatonError('NOT_FOUND', `this machine has no group ${serverGroup}, which has to read ${path}`, {
      hint: 'install the server first',
    });
  }
  const temporary = `${path}.baton-new`;
  try {
    await rm(temporary, { force: true });
    await using file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    await file.chown(0, group);
    await file.chmod(keyMode);
    await file.writeFile(makeKey());
    await file.sync();
    // Unlike a rename, a link does not replace what is there.
    await link(temporary, path);
    await syncDirectory(dirname(path));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw toBatonError(error, { path });
  } finally {
    await rm(temporary, { force: true });
  }
}
