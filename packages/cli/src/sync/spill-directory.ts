import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toBatonError } from '@batondb/core/files/system-error';

/** A directory of this process's own. One that a crash has left is the operating system's to clean, as all below TMPDIR is. */
export async function makeSpillDirectory(parent: string | undefined, started: AsyncDisposableStack): Promise<string> {
  const below = parent ?? tmpdir();
  try {
    const path = await mkdtemp(join(below, 'baton-sync-'));
    started.defer(() => rm(path, { recursive: true, force: true }));
    return path;
  } catch (error) {
    throw toBatonError(error, { path: below });
  }
}
