import { randomInt } from 'node:crypto';
import { BatonError } from '@batondb/core/errors';
import { type EtcdLogOptions, type EtcdLogPlan, planEtcdLog } from '../log/etcd-settings.ts';
import type { Epoch } from '../log/log.ts';
import type { StateRecord } from '../machine/state-record.ts';
import { parseLeaderUrl } from '../replica/connect.ts';
import type { FollowOptions } from './options.ts';

// Whether a node leads its directory's log or follows another node's, and when it may do which.

/** What a node is opened as. `promote`: what followed leads from now on. `share`: its log is in etcd, and it leads when no other node does. */
export type NodeRole =
  | { readonly kind: 'lead' }
  | { readonly kind: 'promote' }
  | { readonly kind: 'share'; readonly plan: EtcdLogPlan }
  | { readonly kind: 'follow'; readonly url: string };

/** The role that options give. Throws USAGE. */
export function roleOf(follow: FollowOptions | undefined, promote: boolean, log: EtcdLogOptions | undefined): NodeRole {
  if (log !== undefined) {
    if (follow === undefined && !promote) return { kind: 'share', plan: planEtcdLog(log) };
    throw new BatonError('USAGE', 'a node whose log is in etcd neither follows nor is promoted', {
      hint: 'leave out one of both',
    });
  }
  if (follow === undefined) return promote ? { kind: 'promote' } : { kind: 'lead' };
  if (promote)
    throw new BatonError('USAGE', 'a node that is promoted follows nobody', { hint: 'leave out one of both' });
  return { kind: 'follow', url: parseLeaderUrl(follow.url).origin };
}

/** Room for the epochs of other futures that begin at the same position. */
const forkSpan = 2 ** 20;

/** Throws REFUSED for a follower's directory that would be led: its leader may be alive, and the two would go apart (R7). */
export function checkRole(record: StateRecord, role: NodeRole, directory: string): void {
  const { follows } = record;
  if (follows === undefined) return;
  const isShared = follows.startsWith('etcd');
  if (role.kind === 'lead' && isShared) {
    throw new BatonError('REFUSED', `${directory} belongs to the log at ${follows}, and was opened without it`, {
      hint: `serve it with --log ${follows}; or with --promote, if that etcd is gone for good`,
    });
  }
  if (role.kind === 'lead' || (role.kind === 'share' && !isShared)) {
    throw new BatonError('REFUSED', `${directory} holds a follower of ${follows}, and was opened to be written`, {
      hint: `serve it with --follow ${follows}; or promote it (--promote), if its leader is gone for good`,
    });
  }
  if (role.kind !== 'follow' || !isShared) return;
  throw new BatonError(
    'REFUSED',
    `${directory} belongs to the log at ${follows}, and was opened to follow ${role.url}`,
    {
      hint: 'follow with an empty directory',
    },
  );
}

/** True for a directory that never held anything. */
export function isNew({ position, databases }: StateRecord): boolean {
  return position.index === 0 && databases.length === 0;
}

/**
 * An epoch for a future that begins here while another one may go on from the same position: the next ones are what the other future has.
 * So two entries of one log with the same epoch and index are the same entry (R2), but for one chance in a million.
 */
export function forkEpoch(epoch: Epoch): Epoch {
  return epoch + randomInt(1, forkSpan);
}
