// One member of a Patroni cluster: a Patroni with the PostgreSQL that it keeps, both on this machine and below a sandbox.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PostgresClient } from './postgres-client.ts';
import { killServer, readPostmaster, signalServer } from './postgres-processes.ts';
import { asPostgres } from './postgres-programs.ts';
import { killProcess, processStart, signalProcess } from './process-table.ts';
import { mustRun } from './processes.ts';
import type { Sandbox } from './sandbox.ts';

/** What a node is started with. */
export type PatroniNodePlan = {
  readonly name: string;
  /** Its own directory, below the sandbox. */
  readonly path: string;
  readonly port: number;
  readonly restPort: number;
  /** Patroni's configuration; JSON is YAML as well. */
  readonly configuration: object;
};

const restTimeoutMs = 2000;

/** A member. It does not know whether it leads: Patroni's REST answers that. */
export class PatroniNode extends PostgresClient implements AsyncDisposable {
  readonly name: string;
  readonly path: string;
  readonly dataDirectory: string;
  readonly restPort: number;
  readonly #sandbox: Sandbox;
  #child: ChildProcess | undefined;

  constructor(sandbox: Sandbox, plan: PatroniNodePlan) {
    mkdirSync(plan.path, { recursive: true });
    super(plan.path, plan.port);
    this.name = plan.name;
    this.path = plan.path;
    this.dataDirectory = join(plan.path, 'data');
    this.restPort = plan.restPort;
    this.#sandbox = sandbox;
    writeFileSync(this.configurationPath, JSON.stringify(plan.configuration, undefined, 2), { mode: 0o644 });
  }

  get configurationPath(): string {
    return join(this.path, 'patroni.yml');
  }

  /** Of Patroni. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Of the first process of its PostgreSQL; 0 when none runs. */
  get postgresPid(): number {
    const pid = readPostmaster(this.dataDirectory)?.pid ?? 0;
    return processStart(pid) === undefined ? 0 : pid;
  }

  /** Whether Patroni runs, or stands still. */
  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts Patroni, which starts PostgreSQL and makes it what the cluster needs. Does not wait for that. */
  async start(): Promise<void> {
    await mustRun(['chown', 'postgres:postgres', this.path]);
    const log = openSync(join(this.path, 'log'), 'a');
    const [program = '', ...argv] = asPostgres(['patroni', this.configurationPath]);
    // Debian's Patroni belongs to Debian's Python, whatever else PATH has first. The directory marks it for the sandbox's end.
    const env = { ...process.env, PATH: '/usr/bin:/bin' };
    this.#child = spawn(program, argv, { stdio: ['ignore', log, log], detached: true, cwd: this.path, env });
    closeSync(log);
    await once(this.#child, 'spawn');
    this.#sandbox.record.addProcess(this.pid);
  }

  /** What Patroni and PostgreSQL have logged so far. */
  log(): string {
    return readFileSync(join(this.path, 'log'), 'utf8');
  }

  /** Whether it holds the lock and its PostgreSQL takes writes, as Patroni's REST says. */
  async leads(): Promise<boolean> {
    const said = await this.#rest('/primary');
    // With the lock alone the status is 200 already, while the promotion goes on.
    return said !== undefined && (JSON.parse(said) as { role: string }).role === 'master';
  }

  /** Whether a permanent slot would survive that this standby became the leader: it is there, and Patroni holds it to be safe. */
  async holdsSlot(slot: string): Promise<boolean> {
    const log = this.log();
    const isSafe = log.lastIndexOf(`Logical slot ${slot} is safe`) > log.lastIndexOf('Copying logical slots');
    // One that was made while the node led is never copied.
    if (!isSafe && log.includes('Copying logical slots')) return false;
    const held = `SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'logical' AND catalog_xmin IS NOT NULL`;
    return (await this.psql(held).catch(() => '')).split('\n').includes(slot);
  }

  /** Ends both in order: a leader gives its lock away. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const ended = once(this.#child as ChildProcess, 'exit');
    signalProcess(this.pid, 'SIGTERM');
    await ended;
  }

  /** kill -9 of both, as when the machine dies. */
  async kill(): Promise<void> {
    await this.killPatroni();
    await this.killPostgres();
  }

  /** kill -9 of Patroni; PostgreSQL goes on, with nobody to keep it. */
  async killPatroni(): Promise<void> {
    if (this.isRunning) await killProcess(this.pid);
  }

  /** kill -9 of PostgreSQL; a Patroni that lives starts it again. */
  async killPostgres(): Promise<void> {
    const pid = this.postgresPid;
    if (pid !== 0) await killServer(pid, this.dataDirectory);
  }

  /** Both stand still, with their connections open, as when the machine hangs. */
  pause(): void {
    this.pausePatroni();
    signalServer(this.postgresPid, 'SIGSTOP');
  }

  resume(): void {
    if (this.postgresPid !== 0) signalServer(this.postgresPid, 'SIGCONT');
    this.resumePatroni();
  }

  /** Patroni stands still and loses its lock in time; its PostgreSQL goes on. */
  pausePatroni(): void {
    signalProcess(this.pid, 'SIGSTOP');
  }

  resumePatroni(): void {
    signalProcess(this.pid, 'SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  /** What Patroni's REST answers at a path; undefined when it answers no, or nothing in time. */
  async #rest(path: string): Promise<string | undefined> {
    const signal = AbortSignal.timeout(restTimeoutMs);
    try {
      const response = await fetch(`http://${this.host}:${this.restPort}${path}`, { signal });
      const body = await response.text();
      return response.ok ? body : undefined;
    } catch {
      return undefined;
    }
  }
}
