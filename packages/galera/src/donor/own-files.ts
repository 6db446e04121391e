import { basename } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import type { ServerOptions } from '../settings/server-options.ts';

/** Files of a data directory that belong to its node, and to no copy of it. */
const nodesOwn = [
  'grastate.dat',
  'gvwstate.dat',
  'galera.cache',
  'gcache.page.*',
  'sst_in_progress',
  'baton_sst.json',
  'tables_flushed',
  'sst_error',
  'auto.cnf',
  '.sst',
  '.baton-*',
  'lost+found',
  'ib_buffer_pool',
  'ibtmp*',
  'ddl_recovery*.log',
  'tc.log',
  '*.pid',
  '*.sock',
  '*.err',
  '*.log',
  '*.pem',
  'master.info',
  'relay-log.info',
  'multi-master.info',
] as const;

/** What of a data directory is not sent, as patterns from its top. */
export function notSent({ binlog, binlogIndex }: Pick<ServerOptions, 'binlog' | 'binlogIndex'>): string[] {
  const logs = binlog === undefined ? [] : [`${basename(binlog)}.[0-9]*`];
  const index = binlogIndex === undefined ? [] : [basename(binlogIndex)];
  return [...nodesOwn, ...logs, ...index].map((name) => `/${name}`);
}

/** The method `files` copies one directory. Throws UNSUPPORTED for a server that keeps data elsewhere, too. */
export function checkOnePlace(server: ServerOptions): void {
  const { dataDirectory } = server;
  const places = {
    innodb_data_home_dir: server.innodbDataHome,
    innodb_log_group_home_dir: server.innodbLogGroupHome,
    innodb_undo_directory: server.innodbUndo,
    aria_log_dir_path: server.ariaLog,
  };
  for (const [option, path] of Object.entries(places)) {
    if (path === dataDirectory || path === `${dataDirectory}/.`) continue;
    throw new BatonError('UNSUPPORTED', `${option} is ${path}, and method=files copies ${dataDirectory} alone`, {
      hint: 'use method=backup, which takes all directories',
    });
  }
}
