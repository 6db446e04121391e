import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { close } from '@batondb/core/files/libc';
import { printable } from '@batondb/core/files/names';
import { listDirectory, openDirectory } from '@batondb/core/files/open';
import { describeStaging, removeStaging } from '@batondb/core/transfer/staging';
import { stagingNames } from '@batondb/core/transfer/staging-names';
import type { WorkerPool } from '@batondb/core/transfer/worker-pool';
import type { Abandoned } from '../control/messages.ts';

/** Lists the staging directories in a directory, and unless `dryRun` removes those that no copy is at work on. */
export async function cleanDirectory(directory: Uint8Array, dryRun: boolean, pool: WorkerPool): Promise<Abandoned[]> {
  const path = printable(directory);
  const descriptor = openDirectory(directory);
  try {
    const found: Abandoned[] = [];
    for (const name of stagingNames(listDirectory(descriptor, () => path))) {
      const shown = `${path.replace(/\/$/, '')}/${printable(name)}`;
      found.push({ path: shown, ...(await cleanOne(descriptor, name, dryRun, pool)) });
    }
    return found;
  } finally {
    close(descriptor);
  }
}

async function cleanOne(
  descriptor: number,
  name: Uint8Array,
  dryRun: boolean,
  pool: WorkerPool,
): Promise<Omit<Abandoned, 'path'>> {
  try {
    const described = await describeStaging(descriptor, name, pool);
    if (!dryRun) await removeStaging(descriptor, name, pool);
    return { ...described, removed: !dryRun };
  } catch (error) {
    const isBusy = error instanceof BatonError && error.code === 'BUSY';
    const reason = isBusy ? 'a copy is at work on it' : toErrorRecord(error).message;
    return { source: '?', bytes: 0, createdMs: 0, removed: false, reason };
  }
}
