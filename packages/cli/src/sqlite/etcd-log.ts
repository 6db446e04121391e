import type { EtcdLogOptions } from '@batondb/sqlite';
import { type Command, Option } from 'commander';
import * as values from '../option-values.ts';
import type { Environment } from '../service/context.ts';
import { addEtcdOptions, type EtcdFlags, etcdAccessOf, hasEtcdFlags } from '../service/etcd-options.ts';

// A log in etcd, on the command line of `baton sqlite serve`.

export type EtcdLogFlags = EtcdFlags & { readonly log?: string; readonly etcdRetain?: number };

export function addEtcdLogOptions(command: Command): Command {
  command.addOption(
    new Option('--log <url>', 'keep the log in etcd: etcd://HOST:PORT,HOST:PORT/PREFIX, or etcds:// for TLS').conflicts(
      ['follow', 'promote'],
    ),
  );
  return addEtcdOptions(command).addOption(
    new Option('--etcd-retain <size>', 'log that stays in etcd for nodes that were away (default: 64MiB)').argParser(
      values.parseMemory('--etcd-retain'),
    ),
  );
}

/** Throws a usage error for options that say nothing without a log in etcd. */
export function checkEtcdLogFlags(flags: EtcdLogFlags): void {
  const isAny = hasEtcdFlags(flags) || flags.etcdRetain !== undefined;
  if (flags.log === undefined && isAny)
    throw values.usage('--etcd-… and --shared-etcd are for a log in etcd', 'say --log URL');
}

/** The log that is asked for; undefined: one in the directory. */
export function etcdLogOf(flags: EtcdLogFlags, environment: Environment): EtcdLogOptions | undefined {
  const { log, etcdRetain } = flags;
  if (log === undefined) return undefined;
  return {
    kind: 'etcd',
    url: log,
    ...etcdAccessOf(flags, environment),
    ...(etcdRetain === undefined ? {} : { etcdRetainBytes: etcdRetain }),
  };
}
