import type { Sink } from '@batondb/sync';
import type { EtcdSinkOptions, EtcdSinkPlan } from '@batondb/sync/etcd/settings';
import type { Finding } from '@batondb/sync/finding';
import { type PostgresAddress, parsePostgresAddress } from '@batondb/sync/postgres/address';
import { type PasswordFor, passwordSource } from '@batondb/sync/postgres/passwords';
import type { OpenView } from '@batondb/sync/verify/await-view';
import { usage } from '../option-values.ts';
import type { Environment } from '../service/context.ts';
import { etcdAccessOf } from '../service/etcd-options.ts';
import { requireUrl, type SinkFlags, type SourceFlags } from './options.ts';

// From options to the source and the sink that they name. What a sink needs is loaded when it is one.

/** A source that is named, and how its passwords are found. */
export type SourcePlace = { readonly address: PostgresAddress; readonly passwordFor: PasswordFor };

/** Throws USAGE. */
export function sourcePlace(flags: SourceFlags, environment: Environment): SourcePlace {
  const address = parsePostgresAddress(requireUrl('--from', flags.from), environment);
  return { address, passwordFor: passwordSource(address, environment, flags.passwordFile) };
}

const schemes = 'etcd://HOST:PORT/PREFIX, sqlite:FILE, ndjson:FILE, ndjson:- or exec:COMMAND';

/** A sink's address in its parts, and what its rows come from. */
type SinkPlace = { readonly url: string; readonly scheme: string; readonly rest: string; readonly source: string };

/** Throws USAGE. */
function sinkPlace(flags: SinkFlags, database: string): SinkPlace {
  const url = requireUrl('--to', flags.to);
  const [, scheme = '', rest = ''] = /^([a-z]+):(.*)$/s.exec(url) ?? [];
  if (rest === '') throw usage(`${url} is no sink`, `write ${schemes}`);
  // Hosts change with a failover; what comes from another cluster is told by its positions.
  return { url, scheme, rest, source: `postgres:${database}` };
}

/** The sink of rows of a database. Throws USAGE. */
export async function openSink(flags: SinkFlags, database: string, environment: Environment): Promise<Sink> {
  const { url, scheme, rest, source } = sinkPlace(flags, database);
  switch (scheme) {
    case 'etcd':
    case 'etcds': {
      const { EtcdSink } = await import('@batondb/sync/etcd/sink');
      return new EtcdSink(await planEtcd(flags, url, database, environment));
    }
    case 'sqlite': {
      const { sqliteSink } = await import('@batondb/sync/sqlite/sink');
      return sqliteSink({ path: rest, source });
    }
    case 'ndjson': {
      if (rest === '-') {
        const { ndjsonOutputSink } = await import('@batondb/sync/ndjson/output-sink');
        return ndjsonOutputSink({ output: process.stdout, source });
      }
      const { ndjsonFileSink } = await import('@batondb/sync/ndjson/file-sink');
      return ndjsonFileSink({ path: rest, source });
    }
    case 'exec': {
      const { commandSink } = await import('@batondb/sync/ndjson/command-sink');
      return commandSink({ command: rest, source });
    }
    default:
      throw usage(`${scheme}: is no kind of sink`, `write ${schemes}`);
  }
}

/** What is found of a sink before anything is done, as far as there is something to be found. Throws USAGE, and what keeps it from being looked at. */
export async function checkSink(
  flags: SinkFlags,
  database: string,
  environment: Environment,
): Promise<readonly Finding[]> {
  const url = requireUrl('--to', flags.to);
  // What options contradict is told as when it is opened.
  await openSink(flags, database, environment);
  if (!/^etcds?:/.test(url)) return [];
  const { checkEtcd } = await import('@batondb/sync/etcd/check');
  return await checkEtcd(await planEtcd(flags, url, database, environment));
}

async function planEtcd(
  flags: SinkFlags,
  url: string,
  database: string,
  environment: Environment,
): Promise<EtcdSinkPlan> {
  const { planEtcdSink } = await import('@batondb/sync/etcd/settings');
  return planEtcdSink(etcdOptions(flags, url, database, environment));
}

/** How a sink is looked at. Throws USAGE, also for one that keeps nothing which could be read. */
export async function openView(flags: SinkFlags, database: string, environment: Environment): Promise<OpenView> {
  const { url, scheme, rest, source } = sinkPlace(flags, database);
  switch (scheme) {
    case 'etcd':
    case 'etcds': {
      const { openEtcdView } = await import('@batondb/sync/etcd/view');
      const { planEtcdSink } = await import('@batondb/sync/etcd/settings');
      const plan = planEtcdSink(etcdOptions(flags, url, database, environment));
      return () => openEtcdView(plan);
    }
    case 'sqlite': {
      const { openSqliteView } = await import('@batondb/sync/sqlite/view');
      return () => openSqliteView(rest);
    }
    case 'ndjson': {
      if (rest === '-') break;
      const { openNdjsonView } = await import('@batondb/sync/ndjson/view');
      return () => openNdjsonView({ path: rest, source });
    }
    case 'exec':
      break;
    default:
      throw usage(`${scheme}: is no kind of sink`, `write ${schemes}`);
  }
  throw usage(`${url} keeps nothing that could be compared`, 'compare etcd://…, sqlite:FILE or ndjson:FILE');
}

function etcdOptions(flags: SinkFlags, url: string, database: string, environment: Environment): EtcdSinkOptions {
  const { layout, keyTemplate, envelope = false, onError, adopt = false } = flags;
  return {
    url: hasPath(url) ? url : `${url.replace(/\/$/, '')}/baton/${encodeURIComponent(database)}`,
    ...etcdAccessOf(flags, environment),
    ...(keyTemplate === undefined ? {} : { layout: { template: keyTemplate } }),
    ...(layout === undefined ? {} : { layout }),
    envelope,
    onError,
    adopt,
  };
}

function hasPath(url: string): boolean {
  return /^[a-z]+:\/\/[^/]+\/./.test(url);
}
