import { BatonError } from '@batondb/core/errors';
import { type EtcdAccess, type EtcdPlace, planEtcdAccess } from '@batondb/etcd';
import type { LayoutChoice } from './layout.ts';

// How a sink in etcd is named and kept, with every default in one place.

/** A sink in etcd, as it is asked for. */
export type EtcdSinkOptions = EtcdPlace & Partial<EtcdSinkSettings>;

export type EtcdSinkSettings = {
  /** How long another process waits before it takes over from one that is gone. */
  readonly leaseSeconds: number;
  /** etcd may have so many bytes in use, of ours and of others, before nothing more is written. */
  readonly budgetBytes: number;
  /** etcd's own quota (`--quota-backend-bytes`), where etcd does not tell it: before 3.6. Nothing is written when its file comes near. */
  readonly quotaBytes: number;
  /** The etcd may hold keys of Patroni or Kubernetes. */
  readonly sharedEtcd: boolean;
  /** This process may compact and defragment the etcd, and disarm its alarms for space: nobody else looks after it. */
  readonly etcdMaintenance: boolean;
  /** Operations in one transaction of etcd (`--max-txn-ops`). Undefined: found out. */
  readonly txnOperations: number | undefined;
  /** Bytes in one transaction of etcd: its own `--max-request-bytes` less what it adds. */
  readonly txnBytes: number;
  readonly layout: LayoutChoice;
  /** Values are `{"position":…,"time":…,"row":{…}}` instead of the row alone. */
  readonly envelope: boolean;
  /** What becomes of a row that etcd cannot hold: the sink stops, or keeps its key aside below `m/errors` and goes on. */
  readonly onError: 'stop' | 'record';
  /** Rows that somebody else wrote below the prefix are taken over: what is equal stays, and what the source has not goes. */
  readonly adopt: boolean;
};

export const defaultEtcdSettings: EtcdSinkSettings = {
  leaseSeconds: 10,
  // Half of the quota that etcd has by itself.
  budgetBytes: 1_073_741_824,
  quotaBytes: 2_147_483_648,
  sharedEtcd: false,
  etcdMaintenance: false,
  txnOperations: undefined,
  txnBytes: 1_400_000,
  layout: 'native',
  envelope: false,
  onError: 'stop',
  adopt: false,
};

/** Below, an etcd that elects a leader of its own would cost us the place. */
const leaseSecondsMin = 1;
const requestMsMax = 5_000;
/** One row, the position, and a table's record. */
const txnOperationsMin = 4;
const txnBytesMin = 65_536;

export type EtcdSinkPlan = EtcdSinkSettings & {
  readonly access: EtcdAccess;
  /** Ends with a slash. */
  readonly prefix: string;
  /** The address as a person may see it. */
  readonly address: string;
};

/** Reads the options of a sink. Throws USAGE, and what keeps the password from being read. */
export function planEtcdSink(options: EtcdSinkOptions): EtcdSinkPlan {
  const { access, prefix, address, more } = planEtcdAccess(options);
  const plan = { ...defaultEtcdSettings, ...more };
  expectAtLeast('the lease (leaseSeconds)', plan.leaseSeconds, leaseSecondsMin);
  expectAtLeast('txnOperations', plan.txnOperations ?? txnOperationsMin, txnOperationsMin);
  expectAtLeast('txnBytes', plan.txnBytes, txnBytesMin);
  const requestMs = Math.max(1_000, Math.min(requestMsMax, plan.leaseSeconds * 500));
  return { ...plan, access: { ...access, requestMs }, prefix, address };
}

function expectAtLeast(what: string, given: number, min: number): void {
  if (given < min) throw new BatonError('USAGE', `${what} is ${given}, and at least ${min} are needed`);
}
