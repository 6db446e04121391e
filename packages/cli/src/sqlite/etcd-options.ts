import { readFileSync } from 'node:fs';
import { toBatonError } from '@batondb/core/files/system-error';
import type { EtcdLogOptions } from '@batondb/sqlite';
import { type Command, Option } from 'commander';
import * as values from '../option-values.ts';

// A log in etcd, on the command line of `baton sqlite serve`.

/** What the options are read into; what is not there has the library's default. */
export type EtcdFlags = {
  readonly log?: string;
  readonly etcdPasswordFile?: string;
  readonly etcdCa?: string;
  readonly etcdCert?: string;
  readonly etcdKey?: string;
  readonly etcdLease?: number;
  readonly etcdBudget?: number;
  readonly etcdQuota?: number;
  readonly etcdRetain?: number;
  readonly etcdMaintenance?: true;
  readonly sharedEtcd?: true;
};

const size = (flags: string, what: string): Option =>
  new Option(`${flags} <size>`, what).argParser(values.parseMemory(flags));

export function addEtcdOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--log <url>',
        'keep the log in etcd: etcd://HOST:PORT,HOST:PORT/PREFIX, or etcds:// for TLS',
      ).conflicts(['follow', 'promote']),
    )
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
    .addOption(size('--etcd-retain', 'log that stays in etcd for nodes that were away (default: 64MiB)'))
    .option('--etcd-maintenance', 'compact and defragment the etcd: nobody else looks after it')
    .option('--shared-etcd', 'the etcd may hold keys of Patroni or Kubernetes');
}

/** Throws a usage error for options that say nothing without a log in etcd, and where certificates are not in pairs. */
export function checkEtcdFlags({ log, ...flags }: EtcdFlags): void {
  const { etcdPasswordFile, etcdCa, etcdCert, etcdKey, etcdLease, etcdBudget, etcdQuota, etcdRetain } = flags;
  const all = [etcdPasswordFile, etcdCa, etcdCert, etcdKey, etcdLease, etcdBudget, etcdQuota, etcdRetain];
  const isAny = [...all, flags.etcdMaintenance, flags.sharedEtcd].some((value) => value !== undefined);
  if (log === undefined && isAny)
    throw values.usage('--etcd-… and --shared-etcd are for a log in etcd', 'say --log URL');
  if ((etcdCert === undefined) !== (etcdKey === undefined))
    throw values.usage('--etcd-cert and --etcd-key belong together', 'give both');
}

/** The log that is asked for, with its files read; undefined: one in the directory. */
export function etcdLogOf(flags: EtcdFlags, environment: NodeJS.ProcessEnv): EtcdLogOptions | undefined {
  const { log, etcdPasswordFile, etcdCa, etcdCert, etcdKey, etcdLease, etcdBudget, etcdQuota, etcdRetain } = flags;
  if (log === undefined) return undefined;
  const password = environment['BATON_ETCD_PASSWORD'];
  return {
    kind: 'etcd',
    url: log,
    ...(etcdPasswordFile !== undefined
      ? { passwordFile: etcdPasswordFile }
      : password === undefined
        ? {}
        : { password }),
    ...(etcdCa === undefined ? {} : { ca: read(etcdCa) }),
    ...(etcdCert === undefined ? {} : { certificate: read(etcdCert) }),
    ...(etcdKey === undefined ? {} : { key: read(etcdKey) }),
    ...(etcdLease === undefined ? {} : { leaseSeconds: Math.ceil(etcdLease / 1000) }),
    ...(etcdBudget === undefined ? {} : { budgetBytes: etcdBudget }),
    ...(etcdQuota === undefined ? {} : { quotaBytes: etcdQuota }),
    ...(etcdRetain === undefined ? {} : { etcdRetainBytes: etcdRetain }),
    etcdMaintenance: flags.etcdMaintenance ?? false,
    sharedEtcd: flags.sharedEtcd ?? false,
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw toBatonError(error, { path });
  }
}
