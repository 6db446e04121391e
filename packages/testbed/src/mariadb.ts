// Real MariaDB servers on this machine, each with a data directory, a socket and a port of its own, below a sandbox.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MariadbClient } from './mariadb-client.ts';
import { copyTemplate } from './mariadb-template.ts';
import { freePort } from './ports.ts';
import { processStart, signalProcess, waitUntil } from './process-table.ts';
import { sweep } from './removal.ts';
import { requireRoot, requireTools } from './requirements.ts';
import type { Sandbox } from './sandbox.ts';

/** How a server is started; every field but the name may be left out. */
export type MariadbOptions = {
  /** Names its directory below the sandbox; short, since a socket's path has 107 bytes at most. */
  readonly name: string;
  /** Default: a new one, as mariadb-install-db makes it: root logs in by the socket, without a password. */
  readonly dataDirectory?: string;
  /** Default: 1, 2, 3… in the order of starts in this process. */
  readonly serverId?: number;
  /** More options of mariadbd, such as `--innodb-buffer-pool-size=1G`. */
  readonly more?: readonly string[];
};

const replicationUser = 'replicator';
const replicationPassword = 'known-to-all-tests';
const startMsMax = 60_000;
let serversStarted = 0;

/** A running server. At the end of its block it is killed; the sandbox takes its files. */
export class MariadbServer extends MariadbClient implements AsyncDisposable {
  /** Directory of the socket, the log and, unless another one was given, the data. */
  readonly path: string;
  readonly dataDirectory: string;
  readonly port: number;
  readonly #child: ChildProcess;

  constructor(path: string, dataDirectory: string, port: number, child: ChildProcess) {
    super(join(path, 's.sock'));
    this.path = path;
    this.dataDirectory = dataDirectory;
    this.port = port;
    this.#child = child;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What the server has logged so far. */
  log(): string {
    return readFileSync(join(this.path, 'log'), 'utf8');
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    signalProcess(this.pid, signal);
    await ended;
  }
}

/** Starts a server and waits until it answers. Needs root. A failure has the end of the server's log. */
export async function startMariadb(sandbox: Sandbox, options: MariadbOptions): Promise<MariadbServer> {
  requireRoot('a database server');
  requireTools('a database server', ['mariadbd', 'mariadb-install-db', 'mariadb']);
  await sweep();
  const path = sandbox.join(options.name);
  const dataDirectory = options.dataDirectory ?? join(path, 'data');
  const temporary = join(path, 'tmp');
  mkdirSync(temporary, { recursive: true });
  if (!existsSync(dataDirectory)) await copyTemplate(sandbox, dataDirectory);
  const port = await freePort();
  const serverId = options.serverId ?? ++serversStarted;
  const log = openSync(join(path, 'log'), 'a');
  const argv = [...smallServer, `--datadir=${dataDirectory}`, `--socket=${join(path, 's.sock')}`, `--port=${port}`];
  const own = [
    `--tmpdir=${temporary}`,
    `--server-id=${serverId}`,
    `--pid-file=${join(path, 'pid')}`,
    ...(options.more ?? []),
  ];
  const child = spawn('mariadbd', [...argv, ...own], { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  const server = new MariadbServer(path, dataDirectory, port, child);
  await once(child, 'spawn');
  sandbox.record.addProcess(server.pid);
  try {
    await waitUntil(`${options.name} answers`, () => answers(server), startMsMax);
  } catch (error) {
    await server.kill();
    throw new Error(`${(error as Error).message}\n${server.log().slice(-3000)}`);
  }
  return server;
}

async function answers(server: MariadbServer): Promise<boolean> {
  if (processStart(server.pid) === undefined) throw new Error('the server has ended');
  if (!existsSync(server.socketPath)) return false;
  return await server.value('SELECT 1').then(
    (value) => value === '1',
    () => false,
  );
}

/** Little memory, small logs, no syncs that no test asks about, and nobody else's option files. */
const smallServer = [
  '--no-defaults',
  '--user=root',
  '--bind-address=127.0.0.1',
  '--skip-name-resolve',
  '--innodb-buffer-pool-size=32M',
  '--innodb-log-file-size=16M',
  '--innodb-flush-log-at-trx-commit=2',
  '--innodb-fast-shutdown=1',
  '--key-buffer-size=1M',
  '--aria-pagecache-buffer-size=4M',
  '--log-bin=binlog',
  '--relay-log=relay',
  '--log-slave-updates',
  '--binlog-format=ROW',
  '--slave-net-timeout=5',
];

/** Which source a replica follows, and from where. */
export type ReplicationStart = {
  readonly source: MariadbServer;
  /** Name of the connection. Default: the one without a name. */
  readonly channel?: string;
  /** Where to begin: a list of GTIDs, or a place in a binlog. Default: the source's very first binlog. */
  readonly from?: { readonly gtid: string } | { readonly file: string; readonly offset: number };
};

/** Makes a server a replica of another one and starts both of its threads. */
export async function startReplication(replica: MariadbServer, start: ReplicationStart): Promise<void> {
  await attachReplica(replica, start);
  await replica.sql(`START SLAVE ${quote(start.channel ?? '')}`);
}

/** Makes a server a replica of another one, with both threads standing. */
export async function attachReplica(replica: MariadbServer, start: ReplicationStart): Promise<void> {
  const { source, channel = '', from } = start;
  // Not in the binlog: what a test counts there is its own.
  await source.sql(
    `SET SESSION sql_log_bin=0;
     GRANT REPLICATION SLAVE ON *.* TO '${replicationUser}'@'127.0.0.1' IDENTIFIED BY '${replicationPassword}';`,
  );
  const settings = [
    `MASTER_HOST='127.0.0.1', MASTER_PORT=${source.port}, MASTER_CONNECT_RETRY=1`,
    `MASTER_USER='${replicationUser}', MASTER_PASSWORD='${replicationPassword}'`,
  ];
  if (from === undefined) settings.push(`MASTER_USE_GTID=no, MASTER_LOG_FILE='binlog.000001', MASTER_LOG_POS=4`);
  else if ('gtid' in from) settings.push('MASTER_USE_GTID=slave_pos');
  else settings.push(`MASTER_USE_GTID=no, MASTER_LOG_FILE='${from.file}', MASTER_LOG_POS=${from.offset}`);
  if (from !== undefined && 'gtid' in from) await replica.sql(`SET GLOBAL gtid_slave_pos='${from.gtid}'`);
  await replica.sql(`CHANGE MASTER ${quote(channel)} TO ${settings.join(', ')}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Waits until a replica has applied all that its source has written. */
export async function waitUntilCaughtUp(replica: MariadbServer, source: MariadbServer, channel = ''): Promise<void> {
  const [[file, offset] = []] = await source.sql('SHOW MASTER STATUS');
  const result = await replica.value(`SELECT MASTER_POS_WAIT('${file}', ${offset}, 30, ${quote(channel)})`);
  if (result === 'NULL' || result === '-1') {
    throw new Error(`the replica did not get to ${file}:${offset}: ${result}\n${replica.log().slice(-3000)}`);
  }
}

/** Rows that are written until it is stopped, each in a transaction of its own. */
export type WriteLoad = AsyncDisposable & {
  /** Stops, and returns when all of it is committed. */
  stop(): Promise<void>;
};

/** Writes into `load_test.rows`, which it makes: one row a transaction, numbered from 1 without gaps, about a thousand a second. */
export async function startWriteLoad(server: MariadbServer): Promise<WriteLoad> {
  await server.sql('CREATE DATABASE load_test; CREATE TABLE load_test.rows (id INT PRIMARY KEY, text VARCHAR(400))');
  const argv = ['--no-defaults', '--batch', `--socket=${server.socketPath}`];
  const client = spawn('mariadb', argv, { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = once(client, 'exit') as Promise<[number | null]>;
  let isStopped = false;
  const write = async (): Promise<void> => {
    for (let row = 1; !isStopped; row++) {
      const taken = client.stdin.write(`INSERT INTO load_test.rows VALUES (${row}, REPEAT('row ${row} ', 20));\n`);
      if (!taken && client.exitCode === null) await Promise.race([once(client.stdin, 'drain'), ended]);
      if (row % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    client.stdin.end();
  };
  client.stdin.on('error', () => undefined);
  const writing = write();
  await waitUntil('the write load has begun', async () => Number(await server.value(countRows)) > 50, 10_000);
  const stop = async (): Promise<void> => {
    isStopped = true;
    await writing;
    const [code] = await ended;
    if (code !== 0) throw new Error(`the write load ended with ${code}`);
  };
  let stopped: Promise<void> | undefined;
  const stopOnce = (): Promise<void> => (stopped ??= stop());
  return { stop: stopOnce, [Symbol.asyncDispose]: stopOnce };
}

const countRows = 'SELECT COUNT(*) FROM load_test.rows';

/** A number for the content of a table: equal rows, equal numbers. */
export async function tableChecksum(server: MariadbServer, table: string): Promise<string> {
  const [[, checksum = ''] = []] = await server.sql(`CHECKSUM TABLE ${table} EXTENDED`);
  return checksum;
}
