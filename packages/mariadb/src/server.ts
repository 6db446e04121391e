import { resolve } from 'node:path';
import { BatonError } from '@batondb/core/errors';
import { runStatement } from './client.ts';
import type { Row } from './client-output.ts';
import { dataFileBytes } from './data-bytes.ts';
import { limits } from './limits.ts';
import { parseReplicaStatus, type ReplicaStatus, replicaStatusStatement } from './replica-status.ts';
import { checkServerOptions, type ServerOptions } from './server-options.ts';
import { ariaUuid } from './server-uuid.ts';
import { parseServerVersion, type ServerVersion } from './version.ts';

/**
 * A running server of this machine, asked through the installed client, a process a statement. Holds no connection: there is
 * nothing to close, and nothing of it is left when this process is killed.
 */
export class Server {
  readonly options: ServerOptions;
  /** Family and version, as they were when it was connected. */
  readonly version: ServerVersion;
  /** Absolute path of the server's data directory, without a slash at its end. */
  readonly dataDirectory: string;

  private constructor(options: ServerOptions, version: ServerVersion, dataDirectory: string) {
    this.options = options;
    this.version = version;
    this.dataDirectory = dataDirectory;
  }

  /**
   * Logs in once and learns what the server is. Throws NOT_FOUND (no socket), UNREACHABLE (nobody listens), ACCESS_DENIED,
   * NO_PERMISSION, UNSUPPORTED (no client, or not a server that we know), USAGE, and the signal's reason.
   */
  static async connect(options: ServerOptions, signal: AbortSignal): Promise<Server> {
    checkServerOptions(options);
    const statement = 'SELECT @@version AS version, @@version_comment AS comment, @@datadir AS datadir';
    const [row] = await runStatement(options, statement, limits.readMsMax, signal);
    const version = parseServerVersion(row?.get('version') ?? '', row?.get('comment') ?? '');
    const dataDirectory = (row?.get('datadir') ?? '').replace(/(?<=.)\/+$/, '');
    if (!dataDirectory.startsWith('/')) {
      throw new BatonError(
        'UNSUPPORTED',
        `the data directory of the server is '${dataDirectory}', not an absolute path`,
      );
    }
    return new Server(options, version, dataDirectory);
  }

  /** The rows of one statement that only reads. Throws as {@link runStatement} does. */
  query(statement: string, signal: AbortSignal): Promise<Row[]> {
    return runStatement(this.options, statement, limits.readMsMax, signal);
  }

  /** One row per channel in the server's order; none when the server is no replica. */
  async replicas(signal: AbortSignal): Promise<ReplicaStatus[]> {
    const rows = await this.query(replicaStatusStatement(this.version), signal);
    return rows.map(parseReplicaStatus);
  }

  /**
   * About how many bytes a full backup streams: the sizes of what is in the data directory and in those that InnoDB keeps
   * elsewhere, without logs (binlogs, relay logs, the redo log) and temporary tables. For a progress bar: the server goes on
   * writing. Throws NO_PERMISSION when this user may not look into the directory.
   */
  async dataBytes(signal: AbortSignal): Promise<number> {
    const names = ['innodb_data_home_dir', 'innodb_undo_directory', 'log_bin_basename', 'relay_log_basename'];
    const values = await this.#variables(names, signal);
    return dataFileBytes(
      {
        dataDirectory: this.dataDirectory,
        moreDirectories: [values.get('innodb_data_home_dir') ?? '', values.get('innodb_undo_directory') ?? ''],
        logBasenames: [values.get('log_bin_basename') ?? '', values.get('relay_log_basename') ?? ''],
      },
      signal,
    );
  }

  /** By what this server is told from another one, as its backups have it; undefined where it cannot be known. */
  async uuid(signal: AbortSignal): Promise<string | undefined> {
    const values = await this.#variables(['server_uuid', 'aria_log_dir_path'], signal);
    return (
      values.get('server_uuid') ?? (await ariaUuid(resolve(this.dataDirectory, values.get('aria_log_dir_path') ?? '')))
    );
  }

  /** Up to where InnoDB has written its redo log; undefined where it does not say. */
  async logSequenceNumber(signal: AbortSignal): Promise<bigint | undefined> {
    const [row] = await this.query('SHOW ENGINE INNODB STATUS', signal);
    const lsn = /^Log sequence number +(\d{1,20})$/m.exec(row?.get('Status') ?? '')?.[1];
    return lsn === undefined ? undefined : BigInt(lsn);
  }

  async #variables(names: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const list = names.map((name) => `'${name}'`).join(', ');
    const rows = await this.query(`SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`, signal);
    return new Map(rows.map((row) => [row.get('Variable_name') ?? '', row.get('Value') ?? '']));
  }
}
