import { type Command, Option } from 'commander';
import * as values from '../option-values.ts';
import { readText } from './access.ts';
import type { Environment } from './context.ts';

// An etcd that something is kept in, on the command line of the doors that do so.

/** What the options are read into; what is not there has the library's default. */
export type EtcdFlags = {
  readonly etcdPasswordFile?: string;
  readonly etcdCa?: string;
  readonly etcdCert?: string;
  readonly etcdKey?: string;
  readonly etcdLease?: number;
  readonly etcdBudget?: number;
  readonly etcdQuota?: number;
  readonly etcdMaintenance?: true;
  readonly sharedEtcd?: true;
};

/** What they come to. */
export type EtcdAccess = {
  readonly passwordFile?: string;
  readonly password?: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly leaseSeconds?: number;
  readonly budgetBytes?: number;
  readonly quotaBytes?: number;
  readonly etcdMaintenance: boolean;
  readonly sharedEtcd: boolean;
};

export function addEtcdOptions(command: Command): Command {
  const size = (flags: string, what: string): Option =>
    new Option(`${flags} <size>`, what).argParser(values.parseMemory(flags));
  return command
    .option('--etcd-password-file <file>', "a file with the password of the URL's user (or BATON_ETCD_PASSWORD)")
    .option('--etcd-ca <file>', "the authority that signed etcd's certificates, PEM")
    .option('--etcd-cert <file>', 'a certificate for an etcd that wants one, PEM')
    .option('--etcd-key <file>', 'its key, PEM')
    .addOption(
      new Option('--etcd-lease <duration>', 'another node takes over after it (default: 10s)').argParser(
        values.parseDuration('--etcd-lease'),
      ),
    )
    .addOption(size('--etcd-budget', 'nothing is written while etcd has as much in use (default: 1GiB)'))
    .addOption(size('--etcd-quota', "etcd's own quota, where it does not tell it (default: 2GiB)"))
    .option('--etcd-maintenance', 'compact and defragment the etcd: nobody else looks after it')
    .option('--shared-etcd', 'the etcd may hold keys of Patroni or Kubernetes');
}

/** Whether any of them was given. Throws a usage error where certificates are not in pairs. */
export function hasEtcdFlags(flags: EtcdFlags): boolean {
  if ((flags.etcdCert === undefined) !== (flags.etcdKey === undefined))
    throw values.usage('--etcd-cert and --etcd-key belong together', 'give both');
  const { etcdPasswordFile, etcdCa, etcdCert, etcdKey, etcdLease, etcdBudget, etcdQuota } = flags;
  const all = [etcdPasswordFile, etcdCa, etcdCert, etcdKey, etcdLease, etcdBudget, etcdQuota];
  return [...all, flags.etcdMaintenance, flags.sharedEtcd].some((value) => value !== undefined);
}

/** What they come to, with their files read but for the password's, which is read again at every login. */
export function etcdAccessOf(flags: EtcdFlags, environment: Environment): EtcdAccess {
  const { etcdPasswordFile, etcdCa, etcdCert, etcdKey, etcdLease, etcdBudget, etcdQuota } = flags;
  const password = environment['BATON_ETCD_PASSWORD'];
  return {
    ...(etcdPasswordFile !== undefined
      ? { passwordFile: etcdPasswordFile }
      : password === undefined
        ? {}
        : { password }),
    ...(etcdCa === undefined ? {} : { ca: readText(etcdCa) }),
    ...(etcdCert === undefined ? {} : { certificate: readText(etcdCert) }),
    ...(etcdKey === undefined ? {} : { key: readText(etcdKey) }),
    ...(etcdLease === undefined ? {} : { leaseSeconds: Math.ceil(etcdLease / 1000) }),
    ...(etcdBudget === undefined ? {} : { budgetBytes: etcdBudget }),
    ...(etcdQuota === undefined ? {} : { quotaBytes: etcdQuota }),
    etcdMaintenance: flags.etcdMaintenance ?? false,
    sharedEtcd: flags.sharedEtcd ?? false,
  };
}
