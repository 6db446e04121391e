import { BatonError } from '@batondb/core/errors';
import { type EtcdAccess, type EtcdPlace, planEtcdAccess } from '@batondb/etcd';
import { limits } from '../limits.ts';

// How a log on etcd is named and kept, with every default in one place.

/** A log on etcd, as it is asked for. */
export type EtcdLogOptions = EtcdPlace & { readonly kind: 'etcd' } & Partial<EtcdLogLimits>;

export type EtcdLogLimits = {
  /** How long another node waits before it takes over from one that is gone. Reads end a fifth of it before. */
  readonly leaseSeconds: number;
  /** etcd may have so many bytes in use, of ours and of others, before writes are refused. */
  readonly budgetBytes: number;
  /** etcd's own quota (`--quota-backend-bytes`), where etcd does not tell it: before 3.6. Writes are refused when its file comes near. */
  readonly quotaBytes: number;
  /** How much of the log stays in etcd after this node's files hold it, for nodes that wait to take over. */
  readonly etcdRetainBytes: number;
  /** The etcd may hold keys of Patroni or Kubernetes. */
  readonly sharedEtcd: boolean;
  /** This node may compact and defragment the etcd, and disarm its alarms for space: nobody else looks after it. */
  readonly etcdMaintenance: boolean;
};

export const defaultEtcdLimits: EtcdLogLimits = {
  leaseSeconds: 10,
  budgetBytes: 1_073_741_824,
  quotaBytes: 2_147_483_648,
  etcdRetainBytes: 67_108_864,
  sharedEtcd: false,
  etcdMaintenance: false,
};

/** The same, as threads get it. */
export type EtcdLogPlan = EtcdLogLimits & {
  readonly access: EtcdAccess;
  readonly prefix: string;
  /** The address as a person may see it. */
  readonly address: string;
};

/** Reads the options of a log. Throws USAGE, and what keeps the password from being read. */
export function planEtcdLog({ kind, ...options }: EtcdLogOptions): EtcdLogPlan {
  if (kind !== 'etcd') throw new BatonError('USAGE', `there is no log of the kind ${String(kind)}`);
  const { access, prefix, address, more } = planEtcdAccess(options);
  const plan = { ...defaultEtcdLimits, ...more };
  if (plan.leaseSeconds < limits.leaseSecondsMin)
    throw new BatonError(
      'USAGE',
      `the lease (--etcd-lease, leaseSeconds) is ${plan.leaseSeconds} s, and at least ${limits.leaseSecondsMin} s are needed`,
    );
  const requestMs = Math.min(limits.etcdRequestMs, plan.leaseSeconds * 500);
  return { ...plan, access: { ...access, requestMs }, prefix, address };
}
