import { BatonError } from '@batondb/core/errors';
import { type EtcdAccess, formatEtcdAddress, parseEtcdAddress, readPasswordFile } from '@batondb/etcd';
import { limits } from '../limits.ts';

// How a log on etcd is named and kept, with every default in one place.

/** A log on etcd, as it is asked for. */
export type EtcdLogOptions = {
  readonly kind: 'etcd';
  /** `etcd://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/PREFIX`; `etcds://` for TLS. All nodes of one log have the same prefix, and no other log has. */
  readonly url: string;
  /** A user's password; instead of one in the URL. */
  readonly password?: string;
  /** A file with the password; instead of `password`. */
  readonly passwordFile?: string;
  /** PEM, of whoever signed etcd's certificates. Default: those that Node knows. */
  readonly ca?: string;
  /** PEM, for an etcd that wants its clients' certificates. */
  readonly certificate?: string;
  readonly key?: string;
} & Partial<EtcdLogLimits>;

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
export function planEtcdLog({ kind, url, ...options }: EtcdLogOptions): EtcdLogPlan {
  if (kind !== 'etcd') throw new BatonError('USAGE', `there is no log of the kind ${String(kind)}`);
  const parsed = parseEtcdAddress(url);
  const { endpoints, isTls, user, prefix } = parsed;
  const { password: given, passwordFile, ca, certificate, key, ...chosen } = options;
  const password = given ?? (passwordFile === undefined ? parsed.password : readPasswordFile(passwordFile));
  if (!isTls && (ca ?? certificate ?? key) !== undefined)
    throw new BatonError('USAGE', 'certificates are given for an etcd without TLS', { hint: 'write etcds://' });
  const plan = { ...defaultEtcdLimits, ...chosen };
  if (plan.leaseSeconds < limits.leaseSecondsMin)
    throw new BatonError(
      'USAGE',
      `the lease (--etcd-lease, leaseSeconds) is ${plan.leaseSeconds} s, and at least ${limits.leaseSecondsMin} s are needed`,
    );
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
  };
  const access = {
    endpoints,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    ...(isTls ? { tls } : {}),
    requestMs: Math.min(limits.etcdRequestMs, plan.leaseSeconds * 500),
  };
  return { ...plan, access, prefix, address: formatEtcdAddress(parsed) };
}
