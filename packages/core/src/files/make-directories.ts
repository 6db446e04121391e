import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { toBatonError } from './system-error.ts';

/**
 * Makes a directory and those above it that are missing; one that is there is left as it is. Node's own `recursive` never returns below
 * /proc, where no directory can be made and none is missing. Throws BatonError.
 */
export function makeDirectories(path: string, mode: number): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const above = dirname(path);
  if (above !== path) makeDirectories(above, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && statSync(path).isDirectory()) return;
    throw toBatonError(error, { path });
  }
}
