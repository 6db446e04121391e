import { toErrorRecord } from '@batondb/core/errors';
import { close } from '@batondb/core/files/libc';
import { printable } from '@batondb/core/files/names';
import { listDirectory, openDirectory } from '@batondb/core/files/open';
import { describeStaging, isStagingName, removeStaging } from '@batondb/core/transfer/staging';
import type { RequestResult } from '../control/messages.ts';

type Found = RequestResult<'clean'>['found'][number];

/** Lists the staging directories in a directory, and unless `dryRun` removes those that no copy is at work on. */
export function cleanDirectory(directory: Uint8Array, dryRun: boolean): Found[] {
  const path = printable(directory);
  const descriptor = openDirectory(directory);
  try {
    const names = listDirectory(descriptor, () => path).filter(isStagingName);
    return names.map((name) => cleanOne(descriptor, name, `${path.replace(/\/$/, '')}/${printable(name)}`, dryRun));
  } finally {
    close(descriptor);
  }
}

function cleanOne(descriptor: number, name: Uint8Array, path: string, dryRun: boolean): Found {
  const unknown = { path, source: '?', bytes: 0, createdMs: 0 };
  try {
    const { source, bytes, createdMs, isBusy } = describeStaging(descriptor, name);
    const found = { path, source, bytes, createdMs };
    if (isBusy) return { ...found, removed: false, reason: 'a copy is at work on it' };
    if (dryRun) return { ...found, removed: false };
    removeStaging(descriptor, name);
    return { ...found, removed: true };
  } catch (error) {
    return { ...unknown, removed: false, reason: toErrorRecord(error).message };
  }
}
