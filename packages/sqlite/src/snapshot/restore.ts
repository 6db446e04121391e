import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { toBatonError } from '@batondb/core/files/system-error';
import type { Reach } from '../log/etcd-history.ts';
import { nodeFileLayer } from '../log/file-layer.ts';
import { Paths } from '../machine/paths.ts';
import { parsePosition } from '../machine/position.ts';
import { forkHistory, type StateRecord } from '../machine/state-record.ts';
import { lockNodeDirectory } from '../node/lock.ts';
import { withCheckThread } from '../node/node-thread.ts';
import { compareFiles } from './backup.ts';
import { type FoundBackup, findBackups, readManifest } from './backup-format.ts';
import { discardOld, finishSwap, installReceived, listOld } from './swap.ts';

// A backup becomes a node's directory. Unless it goes on with the log that it is of, it begins a history of its own, under a new name: what others have of the old one, or get of it,
// does not follow from it. Who follows takes a snapshot (R4); epochs need no leap, since they are only compared within one history.

/** What a restored directory came from. */
export type Restored = {
  readonly path: string;
  readonly position: string;
  /** Newer backups that are not what they should be, and why. */
  readonly skipped: readonly { readonly path: string; readonly message: string }[];
};

/**
 * Restores a whole node's state from one backup: copied beside what is there, verified, looked at by SQLite, and swapped in (B4). What was there
 * is kept in `.baton/old-TIME`. No node may have the directory open. Throws IN_USE, NOT_FOUND, DIGEST_MISMATCH, VERSION_MISMATCH, NO_SPACE, EXISTS.
 */
export async function restoreBackup(backup: string, directory: string, signal: AbortSignal): Promise<Restored> {
  using _lock = lockNodeDirectory(resolve(directory));
  const paths = new Paths(resolve(directory));
  finishSwap(nodeFileLayer, paths);
  const manifest = readManifest(backup);
  await restoreInto(paths, { path: backup, manifest }, forkHistory, signal);
  return { path: backup, position: manifest.position, skipped: [] };
}

/**
 * Restores the newest backup of a directory that is what it should be. Undefined: there is none. Where `log` is given only backups count that it goes on
 * from, and what is restored is a state of that log; else a new history begins. Throws what the newest one's restore threw when none of several is good.
 * The caller has the lock.
 */
export async function restoreNewest(
  backups: string,
  paths: Paths,
  log: Reach | undefined,
  signal: AbortSignal,
): Promise<Restored | undefined> {
  const skipped: { path: string; message: string }[] = [];
  let first: BatonError | undefined;
  for (const backup of findBackups(backups)) {
    if (log !== undefined && !reaches(log, backup)) continue;
    try {
      await restoreInto(paths, backup, log === undefined ? forkHistory : (record) => record, signal);
      return { path: backup.path, position: backup.manifest.position, skipped };
    } catch (error) {
      if (!(error instanceof BatonError) || !isDamage(error)) throw error;
      first ??= error;
      skipped.push({ path: backup.path, message: error.message });
    }
  }
  if (first !== undefined) throw first;
  return undefined;
}

/** What restores have put aside, the oldest first, as paths. */
export function listReplaced(directory: string): string[] {
  const paths = new Paths(resolve(directory));
  if (nodeFileLayer.stat(paths.own) === undefined) return [];
  return listOld(nodeFileLayer, paths).map((name) => join(paths.own, name));
}

/** Removes what restores have put aside. Throws IN_USE. */
export function discardReplaced(directory: string): void {
  using _lock = lockNodeDirectory(resolve(directory));
  discardOld(nodeFileLayer, new Paths(resolve(directory)));
}

function reaches({ logId, trimmed }: Reach, { manifest }: FoundBackup): boolean {
  return manifest.logId === logId && parsePosition(manifest.position).index >= trimmed;
}

async function restoreInto(
  paths: Paths,
  { path, manifest }: FoundBackup,
  change: (record: StateRecord) => StateRecord,
  signal: AbortSignal,
): Promise<void> {
  rmSync(paths.received, { recursive: true, force: true });
  try {
    mkdirSync(paths.received, { recursive: true, mode: 0o700 });
    const record = await withCheckThread(signal, async (thread): Promise<StateRecord> => {
      const names = manifest.files.map(({ name }) => name);
      compareFiles(path, manifest.files, await thread.call('copy', { from: path, to: paths.received, names }));
      return await thread.call('check', { directory: paths.received, withEngine: true });
    });
    installReceived(nodeFileLayer, paths, change(record));
  } catch (error) {
    rmSync(paths.received, { recursive: true, force: true });
    throw toBatonError(error, { path: paths.directory });
  }
}

/** The backup itself is not good, so that an older one may be. */
function isDamage({ code }: BatonError): boolean {
  return code === 'DIGEST_MISMATCH' || code === 'NOT_FOUND' || code === 'LOG_DAMAGED';
}
