import { statSync } from 'node:fs';
import { toBatonError } from '@batondb/core/files/system-error';

/**
 * Makes root's process one of the user to whom the data directory belongs, for good: what is written there is then carried out with that user's rights
 * and no others. For everybody else, and where root is the owner, nothing changes. To be called before anything of this room. Throws NOT_FOUND,
 * NO_PERMISSION.
 */
export function becomeOwner(dataDirectory: string): void {
  if (process.geteuid?.() !== 0) return;
  try {
    const { uid, gid } = statSync(dataDirectory);
    if (uid === 0) return;
    process.setgroups?.([gid]);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (error) {
    throw toBatonError(error, { path: dataDirectory });
  }
}
