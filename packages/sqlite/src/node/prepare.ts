import { rmSync } from 'node:fs';
import { BatonError } from '@batondb/core/errors';
import { reachOf } from '../log/etcd-history.ts';
import type { EtcdLogPlan } from '../log/etcd-settings.ts';
import { nodeFileLayer } from '../log/file-layer.ts';
import type { Paths } from '../machine/paths.ts';
import { findBackups } from '../snapshot/backup-format.ts';
import { type Restored, restoreNewest } from '../snapshot/restore.ts';
import { finishSwap } from '../snapshot/swap.ts';
import type { NodeRole } from './role.ts';

/**
 * Finishes what was begun in a directory, and removes what was not; a new one gets the newest backup, if it is said where those are. Resolves to what that
 * was. The caller has the directory's lock. Throws what `restoreNewest` and `reachOf` throw.
 */
export async function prepareDirectory(
  paths: Paths,
  backups: string | undefined,
  role: NodeRole,
): Promise<Restored | undefined> {
  finishSwap(nodeFileLayer, paths);
  for (const path of [paths.received, paths.incoming]) rmSync(path, { recursive: true, force: true });
  // A follower's state is its leader's.
  if (backups === undefined || role.kind === 'follow' || nodeFileLayer.stat(paths.state) !== undefined)
    return undefined;
  const { signal } = new AbortController();
  if (role.kind !== 'share') return await restoreNewest(backups, paths, undefined, signal);
  return await restoreShared(backups, paths, role.plan, signal);
}

/**
 * A new directory of a log that is in etcd. What the log holds from its first entry on needs no backup; one that was trimmed is gone on with from a backup
 * of this very log (E11).
 */
async function restoreShared(
  backups: string,
  paths: Paths,
  plan: EtcdLogPlan,
  signal: AbortSignal,
): Promise<Restored | undefined> {
  const [newest] = findBackups(backups);
  if (newest === undefined) return undefined;
  const reach = await reachOf(plan);
  if (reach === undefined) {
    throw new BatonError(
      'DIVERGED',
      `there is no log at ${plan.address}, and ${newest.path} is a backup of log ${newest.manifest.logId}`,
      {
        hint: 'look at the address; for a new log say another directory for backups; if the etcd is gone for good, start without it, and the newest backup is restored',
      },
    );
  }
  if (reach.trimmed === 0) return undefined;
  return await restoreNewest(backups, paths, reach, signal);
}
