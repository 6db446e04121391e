import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFileLayer } from '../log/file-layer.ts';
import { Paths } from '../machine/paths.ts';
import type { StateRecord } from '../machine/state-record.ts';
import type { JoinReason } from '../replica/follower.ts';
import { listOld } from '../snapshot/swap.ts';
import { installSnapshot } from '../snapshot/transfer.ts';

/**
 * Puts a received snapshot in the place of a follower's state. What was there stays when it has something that the leader has not; otherwise
 * it is only an older state of the same, and goes.
 */
export function install(directory: string, record: StateRecord, reason: JoinReason): void {
  const paths = new Paths(directory);
  const before = new Set(listOld(nodeFileLayer, paths));
  installSnapshot(directory, record);
  if (reason === 'diverged') return;
  for (const name of listOld(nodeFileLayer, paths))
    if (!before.has(name)) rmSync(join(paths.own, name), { recursive: true });
}
