import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { makeDirectories } from '@batondb/core/files/make-directories';
import { toBatonError } from '@batondb/core/files/system-error';
import { nodeFileLayer } from '../log/file-layer.ts';
import { formatPosition } from '../machine/position.ts';
import { withCheckThread } from '../node/node-thread.ts';
import {
  type BackupManifest,
  backupName,
  type FoundBackup,
  findBackups,
  makeManifest,
  manifestName,
  partialPrefix,
} from './backup-format.ts';
import type { NodeSnapshot } from './snapshot.ts';
import type { WrittenFile } from './snapshot-calls.ts';
import { replaceFile } from './swap.ts';

/**
 * Makes a backup of a snapshot: written beside, read again and compared with its digests, looked at by SQLite, synced, and only then given its
 * name (B5). What fails leaves nothing under that name. Throws NO_SPACE, NO_PERMISSION, HISTORY_LOST, DIGEST_MISMATCH.
 */
export async function makeBackup(
  snapshot: NodeSnapshot,
  directory: string,
  { nowMs, signal }: { readonly nowMs: number; readonly signal: AbortSignal },
): Promise<FoundBackup> {
  const { logId, position } = snapshot.record;
  const stamp = { madeMs: nowMs, position: formatPosition(position) };
  const name = backupName(stamp);
  const partial = join(directory, `${partialPrefix(logId)}${name}.partial`);
  const path = join(directory, name);
  try {
    makeDirectories(directory, 0o700);
    removePartial(directory, logId);
    mkdirSync(partial, { mode: 0o700 });
    const files = await snapshot.writeFiles(partial);
    const manifest = { ...stamp, logId, files: [...files] };
    replaceFile(nodeFileLayer, partial, manifestName, makeManifest(manifest));
    await verifyBackup(partial, files, signal);
    renameSync(partial, path);
    nodeFileLayer.syncDirectory(directory);
    return { path, manifest: { format: 1, ...manifest } };
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw toBatonError(error, { path: directory });
  }
}

/** Compares a backup's files with their digests and checksums, and has SQLite look at them. Throws DIGEST_MISMATCH, NOT_FOUND. */
export async function verifyBackup(path: string, files: readonly WrittenFile[], signal: AbortSignal): Promise<void> {
  await withCheckThread(signal, async (thread) => {
    const found = await thread.call('digest', { directory: path, names: files.map(({ name }) => name) });
    compareFiles(path, files, found);
    await thread.call('check', { directory: path, withEngine: true });
  });
}

/** Throws DIGEST_MISMATCH unless files are what a manifest says. */
export function compareFiles(path: string, wanted: readonly WrittenFile[], found: readonly WrittenFile[]): void {
  for (const [index, { name, bytes, blake3 }] of wanted.entries()) {
    const file = found[index];
    if (file?.blake3 === blake3 && file.bytes === bytes) continue;
    throw new BatonError(
      'DIGEST_MISMATCH',
      `${join(path, name)} has ${file?.bytes ?? 0} bytes with the digest ${file?.blake3.slice(0, 16)}…, and the manifest says ${bytes} with ${blake3.slice(0, 16)}…`,
      { hint: 'use another backup, and look for errors of the disk' },
    );
  }
}

/** Removes the oldest backups of a log beyond those that are kept. Of other logs, and of others at all, nothing is touched (B5). */
export function pruneBackups(directory: string, logId: string, keep: number): void {
  const own = findBackups(directory).filter(({ manifest }) => manifest.logId === logId);
  for (const { path } of own.slice(keep)) rmSync(path, { recursive: true, force: true });
  nodeFileLayer.syncDirectory(directory);
}

/** The newest backup of a log. */
export function newestOf(directory: string, { logId }: Pick<BackupManifest, 'logId'>): FoundBackup | undefined {
  return findBackups(directory).find(({ manifest }) => manifest.logId === logId);
}

/** What a backup that was killed has left. */
function removePartial(directory: string, logId: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(partialPrefix(logId)) || !name.endsWith('.partial')) continue;
    rmSync(join(directory, name), { recursive: true, force: true });
  }
}
