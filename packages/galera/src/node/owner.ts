import { statSync } from 'node:fs';
import { toBatonError } from '@batondb/core/files/system-error';

/**
 * Does something, which must not wait for anything, as the user to whom a directory belongs, where we are root: root does not act upon what a staging
 * directory of somebody else says. Throws NOT_FOUND, NO_PERMISSION, and what it throws.
 */
export function asOwner<T>(directory: string, act: () => T): T {
  if (process.geteuid?.() !== 0) return act();
  const { uid, gid } = ownerOf(directory);
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    return act();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

function ownerOf(directory: string): { readonly uid: number; readonly gid: number } {
  try {
    return statSync(directory);
  } catch (error) {
    throw toBatonError(error, { path: directory });
  }
}
