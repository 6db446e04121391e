// Real PostgreSQL servers on this machine, each with a data directory, a socket and a port of its own, below a sandbox. Debian's own
// cluster `main` is never touched: nothing here knows where it is.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import { PostgresClient } from './postgres-client.ts';
import { killServer, readPostmaster, signalServer } from './postgres-processes.ts';
import { asPostgres, postgresProgram } from './postgres-programs.ts';
import { makeDataDirectory } from './postgres-template.ts';
import { processStart, signalProcess, waitUntil } from './process-table.ts';
import { mustRun } from './processes.ts';
import { sweep } from './removal.ts';
import { requireRoot, requireTools } from './requirements.ts';
import type { Sandbox } from './sandbox.ts';

/** How a server is started; every field may be left out. */
export type PostgresOptions = {
  /** Names its directory below the sandbox; short, since a socket's path has 107 bytes at most. Default: `postgres`. */
  readonly name?: string;
  /** Lines of postgresql.conf beyond those of `smallServer`, or in their place. `ALTER SYSTEM` still overrides them. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
  /** Lines of pg_hba.conf before the testbed's own, which let everybody in by password. */
  readonly hba?: readonly string[];
  /** Paths of a certificate and its key, PEM: the server then takes TLS as well as plain connections. */
  readonly tls?: { readonly certificatePath: string; readonly keyPath: string };
  /** Its own system identifier, for about a second more. Default: that of all servers of this machine's testbed. */
  readonly ownSystemId?: boolean;
  /** Default: a free one. */
  readonly port?: number;
  /** A running server that this one is made a copy of and follows by streaming. Default: none. */
  readonly standbyOf?: PostgresServer;
};

const startMsMax = 60_000;

/** Little memory, no syncs that no test asks about, and nothing left in /dev/shm. */
const smallServer = {
  listen_addresses: '127.0.0.1',
  wal_level: 'logical',
  fsync: false,
  full_page_writes: false,
  shared_buffers: '32MB',
  max_connections: 100,
  max_wal_senders: 20,
  max_replication_slots: 20,
  max_prepared_transactions: 10,
  hot_standby_feedback: true,
  dynamic_shared_memory_type: 'mmap',
  jit: false,
  timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%u@%d ',
};

/** A server. At the end of its block it is ended at once; the sandbox takes its files. */
export class PostgresServer extends PostgresClient implements AsyncDisposable {
  /** Directory of the data, the socket, the log and the password. */
  readonly path: string;
  readonly dataDirectory: string;
  readonly #sandbox: Sandbox;
  #child: ChildProcess | undefined;

  constructor(sandbox: Sandbox, path: string, port: number) {
    super(path, port);
    this.path = path;
    this.dataDirectory = join(path, 'data');
    this.#sandbox = sandbox;
  }

  /** Of its first process. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** What the server has logged so far. */
  log(): string {
    return readFileSync(join(this.path, 'log'), 'utf8');
  }

  /** Starts it on the data that it has, and waits until it takes connections. A failure has the end of its log. */
  async start(): Promise<void> {
    const log = openSync(join(this.path, 'log'), 'a');
    const argv = asPostgres([postgresProgram('postgres'), '-D', this.dataDirectory]);
    const child = spawn(argv[0] as string, argv.slice(1), { stdio: ['ignore', log, log], detached: true, cwd: '/' });
    closeSync(log);
    this.#child = child;
    await once(child, 'spawn');
    this.#sandbox.record.addProcess(this.pid);
    try {
      await waitUntil(`the PostgreSQL server in ${this.path} takes connections`, () => this.#isReady(), startMsMax);
    } catch (error) {
      await this.kill();
      throw new Error(`${(error as Error).message}\n${this.log().slice(-3000)}`);
    }
  }

  /** Ends it in order: open transactions are rolled back, and replicas get what is written (mode `fast`). */
  async stop(): Promise<void> {
    await this.#end('SIGINT');
  }

  /** Ends it in order and starts it again, on the same port. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** kill -9 of all of its processes. `start()` recovers. */
  async kill(): Promise<void> {
    if (!this.#isRunning()) return;
    await killServer(this.pid, this.dataDirectory);
  }

  /** All of its processes stand still, with their connections open. */
  pause(): void {
    signalServer(this.pid, 'SIGSTOP');
  }

  resume(): void {
    signalServer(this.pid, 'SIGCONT');
  }

  /** Makes a standby a primary, and waits until it takes writes. */
  async promote(): Promise<void> {
    await this.psql('SELECT pg_promote(true)');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isRunning()) return;
    this.resume();
    await this.#end('SIGQUIT');
  }

  #isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #isReady(): boolean {
    if (processStart(this.pid) === undefined) throw new Error('the server has ended');
    const postmaster = readPostmaster(this.dataDirectory);
    return postmaster?.pid === this.pid && (postmaster.status === 'ready' || postmaster.status === 'standby');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.#isRunning()) return;
    const ended = once(this.#child as ChildProcess, 'exit');
    signalProcess(this.pid, signal);
    await ended;
  }
}

/** Starts a server and waits until it takes connections. Needs root. */
export async function startPostgres(sandbox: Sandbox, options: PostgresOptions = {}): Promise<PostgresServer> {
  requireRoot('a PostgreSQL server');
  requireTools('a PostgreSQL server', ['setpriv', 'ipcrm']);
  await sweep();
  const path = sandbox.join(options.name ?? 'postgres');
  mkdirSync(path, { recursive: true });
  await mustRun(['chown', 'postgres:postgres', path]);
  const server = new PostgresServer(sandbox, path, options.port ?? (await freePort()));
  if (options.standbyOf === undefined) {
    await makeDataDirectory(sandbox, server.dataDirectory, options.ownSystemId ?? false);
  } else await copyServer(options.standbyOf, server.dataDirectory);
  await configure(server, options);
  await server.start();
  return server;
}

async function copyServer(source: PostgresServer, dataDirectory: string): Promise<void> {
  const from = `host=${source.host} port=${source.port} user=postgres password=${source.password}`;
  const argv = [postgresProgram('pg_basebackup'), `--dbname=${from}`, `--pgdata=${dataDirectory}`];
  const how = ['--checkpoint=fast', '--write-recovery-conf', '--no-sync', '--wal-method=stream'];
  await mustRun(asPostgres([...argv, ...how]), { cwd: '/' });
}

async function configure(server: PostgresServer, options: PostgresOptions): Promise<void> {
  const { dataDirectory } = server;
  const settings = { ...smallServer, port: server.port, unix_socket_directories: server.path, ...options.settings };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`);
  if (options.tls !== undefined) {
    // The server reads a key only when nobody else can.
    for (const [name, from] of [
      ['server.crt', options.tls.certificatePath],
      ['server.key', options.tls.keyPath],
    ] as const) {
      writeFileSync(join(dataDirectory, name), readFileSync(from));
      chmodSync(join(dataDirectory, name), 0o600);
      await mustRun(['chown', 'postgres:postgres', join(dataDirectory, name)]);
    }
    lines.push("ssl = 'on'");
  }
  writeFileSync(join(dataDirectory, 'testbed.conf'), `${lines.join('\n')}\n`, { mode: 0o644 });
  if (options.standbyOf === undefined)
    appendFileSync(join(dataDirectory, 'postgresql.conf'), "include 'testbed.conf'\n");
  const everybody = ['local all all', 'host all all all', 'local replication all', 'host replication all all'];
  const hba = [...(options.hba ?? []), ...everybody.map((line) => `${line} scram-sha-256`)];
  writeFileSync(join(dataDirectory, 'pg_hba.conf'), `${hba.join('\n')}\n`);
}
