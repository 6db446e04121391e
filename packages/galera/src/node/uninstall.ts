import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import type { NodeLayout } from './layout.ts';
import { readManifest } from './manifest.ts';
import { manifestName } from './plan.ts';
import { runtimesInUse } from './runtimes-in-use.ts';
import { compareFile } from './write-files.ts';

export type UninstallOptions = {
  readonly layout: NodeLayout;
  readonly root: string;
  /** Whether the key goes, too: without it this node can neither give nor take a transfer that others trust. */
  readonly withKey: boolean;
};

export type UninstallReport = {
  readonly removed: readonly string[];
  /** Files that somebody has changed since they were installed. */
  readonly left: readonly string[];
  /** Where the key still is; undefined when there is none or it was removed. */
  readonly key: string | undefined;
};

/**
 * Removes what the manifest lists, and nothing else; the manifest goes last, so that what was interrupted can be repeated. Throws NOT_FOUND when nothing
 * is installed, IN_USE while a transfer runs.
 */
export async function uninstall({ layout, root, withKey }: UninstallOptions): Promise<UninstallReport> {
  const manifestPath = join(layout.library, manifestName);
  const manifest = readManifest(join(root, manifestPath));
  if (manifest === undefined) {
    throw new BatonError('NOT_FOUND', `nothing is installed here: there is no ${join(root, manifestPath)}`);
  }
  const library = join(root, layout.library);
  const [inUse] = runtimesInUse(library);
  if (inUse !== undefined) {
    throw new BatonError('IN_USE', `a process of ${join(library, inUse)} is running`, {
      hint: 'baton galera status tells of a transfer; wait for its end',
      retryable: true,
    });
  }
  const removed: string[] = [];
  const left: string[] = [];
  // Backwards: the script that a server starts was written last, and goes first.
  for (const file of [...manifest.files].reverse()) {
    const state = await compareFile(root, file);
    if (state === 'other') left.push(file.path);
    if (state !== 'same') continue;
    await rm(join(root, file.path));
    removed.push(file.path);
  }
  for (const name of ['current', ...manifest.runtimes]) {
    await rm(join(library, name), { recursive: true, force: true });
    removed.push(join(layout.library, name));
  }
  if (withKey) {
    await rm(join(root, layout.key), { force: true });
    removed.push(layout.key);
  }
  await rm(join(root, manifestPath));
  for (const directory of directoriesOf(layout)) await rmdir(join(root, directory)).catch(ignoreInUse);
  return { removed: [...removed, manifestPath], left, key: withKey ? undefined : layout.key };
}

/** Those that are ours alone when they are empty. */
function directoriesOf({ library, units }: NodeLayout): string[] {
  return [library, join(units, 'mariadb.service.d'), join(units, 'mariadb@.service.d')];
}

function ignoreInUse(error: NodeJS.ErrnoException): void {
  if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(error.code ?? '')) throw error;
}
