import type { Row } from './client-output.ts';
import { isAtLeast, type ServerVersion } from './version.ts';

/** Where a replica is in the binlogs of its source. `offset` in bytes. */
export type BinlogPosition = { readonly file: string; readonly offset: number };

/** What a replica says about one channel (MariaDB: connection). */
export type ReplicaStatus = {
  /** Name of the channel; the default one has none: ''. */
  readonly channel: string;
  /** The thread that fetches lives: it may also be connecting. */
  readonly ioRunning: boolean;
  /** As the server says it: `Yes`, `No`, `Connecting`, `Preparing`. */
  readonly ioState: string;
  /** The thread that applies (the coordinator of its workers) lives. */
  readonly sqlRunning: boolean;
  readonly sourceHost: string;
  readonly sourcePort: number;
  /** How far the source's binlogs were fetched, and how far they were applied. Undefined before the first event. */
  readonly fetched: BinlogPosition | undefined;
  readonly applied: BinlogPosition | undefined;
  /** MariaDB: `No`, `Slave_Pos`, `Current_Pos`; MySQL: `Auto_Position` or `No`. */
  readonly usingGtid: string;
  /** MariaDB: gtid_slave_pos of all channels; MySQL: the set of what was executed. '' without GTIDs. */
  readonly gtid: string;
  /** Undefined when the server does not know it, as with a stopped thread. */
  readonly secondsBehind: number | undefined;
  /** The last errors of the two threads, '' when there are none. */
  readonly ioError: string;
  readonly sqlError: string;
};

/** The statement whose rows {@link parseReplicaStatus} reads. */
export function replicaStatusStatement(version: ServerVersion): string {
  if (version.family === 'mariadb') return 'SHOW ALL SLAVES STATUS';
  return isAtLeast(version, 8, 0, 22) ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS';
}

/** One channel, by the column names of MariaDB, of MySQL up to 8.0.21, or of MySQL since. */
export function parseReplicaStatus(row: Row): ReplicaStatus {
  const get = (...names: readonly string[]): string => {
    const value = names.map((name) => row.get(name)).find((found) => found !== undefined) ?? '';
    return value === 'NULL' ? '' : value;
  };
  const ioState = get('Slave_IO_Running', 'Replica_IO_Running');
  const isAutoPosition = get('Auto_Position') === '1';
  return {
    channel: get('Connection_name', 'Channel_Name'),
    ioRunning: ioState !== 'No' && ioState !== '',
    ioState,
    sqlRunning: get('Slave_SQL_Running', 'Replica_SQL_Running') === 'Yes',
    sourceHost: get('Master_Host', 'Source_Host'),
    sourcePort: Number(get('Master_Port', 'Source_Port')),
    fetched: binlogPosition(
      get('Master_Log_File', 'Source_Log_File'),
      get('Read_Master_Log_Pos', 'Read_Source_Log_Pos'),
    ),
    applied: binlogPosition(
      get('Relay_Master_Log_File', 'Relay_Source_Log_File'),
      get('Exec_Master_Log_Pos', 'Exec_Source_Log_Pos'),
    ),
    usingGtid: get('Using_Gtid') || (isAutoPosition ? 'Auto_Position' : 'No'),
    gtid: get('Gtid_Slave_Pos', 'Executed_Gtid_Set').replaceAll('\n', ''),
    secondsBehind: parseSeconds(get('Seconds_Behind_Master', 'Seconds_Behind_Source')),
    ioError: get('Last_IO_Error'),
    sqlError: get('Last_SQL_Error'),
  };
}

function binlogPosition(file: string, offset: string): BinlogPosition | undefined {
  return file === '' || !/^\d+$/.test(offset) ? undefined : { file, offset: Number(offset) };
}

function parseSeconds(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
