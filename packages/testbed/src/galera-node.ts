// One member of a Galera cluster: a server with a data directory, a socket and ports of its own, below a sandbox, as user mysql.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatOptionFile, type GaleraNodeOptions, type GaleraPlace } from './galera-options.ts';
import { MariadbClient } from './mariadb-client.ts';
import { type ProcessInfo, processesBelow, processStart, signalProcess, waitUntil } from './process-table.ts';
import { mustRun } from './processes.ts';
import type { Sandbox } from './sandbox.ts';

/** How a node's server is started. */
export type GaleraStart = {
  /** Begin a new cluster instead of joining the others (`--wsrep-new-cluster`). Default: false. */
  readonly isNewCluster?: boolean;
  /** More arguments, for this start only. */
  readonly more?: readonly string[];
};

/** Enough for a transfer of a small database on a busy machine; whoever transfers more says more. */
const syncedMsMax = 120_000;
const endMsMax = 60_000;
const answerMsMax = 10_000;
const logCharactersShown = 6000;

/** A member, running or not. Its data directory may be empty until it joins. At the end of its block everything it started is killed. */
export class GaleraNode extends MariadbClient implements AsyncDisposable {
  readonly place: GaleraPlace;
  readonly #sandbox: Sandbox;
  #options: GaleraNodeOptions;
  #child: ChildProcess | undefined;

  constructor(sandbox: Sandbox, place: GaleraPlace, options: GaleraNodeOptions) {
    super(join(place.path, 's.sock'));
    this.#sandbox = sandbox;
    this.place = place;
    this.#options = options;
  }

  get name(): string {
    return this.place.name;
  }

  get dataDirectory(): string {
    return join(this.place.path, 'data');
  }

  get optionFile(): string {
    return join(this.place.path, 'my.cnf');
  }

  /** Of the server; 0 when none was started. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Makes its directories, which user mysql can read and write, and its option file. */
  async prepare(): Promise<void> {
    const { path } = this.place;
    for (const name of ['data', 'tmp']) mkdirSync(join(path, name), { recursive: true });
    await mustRun(['chown', '-R', 'mysql:mysql', path]);
    chmodSync(path, 0o755);
    this.configure({});
  }

  /** Changes what is named and keeps the rest; the next start sees it. */
  configure(changes: Partial<GaleraNodeOptions>): void {
    this.#options = { ...this.#options, ...changes };
    writeFileSync(this.optionFile, formatOptionFile(this.place, this.#options), { mode: 0o644 });
  }

  /** Starts the server and returns at once: {@link untilSynced} tells when it has its state. */
  async start(start: GaleraStart = {}): Promise<void> {
    if (this.isRunning) throw new Error(`${this.name} runs already`);
    rmSync(this.socketPath, { force: true });
    const argv = [`--defaults-file=${this.optionFile}`, ...(start.more ?? [])];
    if (start.isNewCluster === true) argv.push('--wsrep-new-cluster');
    const { path = [], environment } = this.#options;
    const env = { ...process.env, ...environment, PATH: [...path, '/usr/sbin:/usr/bin:/sbin:/bin'].join(':') };
    const log = openSync(this.#logPath, 'a');
    // The working directory marks what it starts for the sandbox's end.
    const stdio: ['ignore', number, number] = ['ignore', log, log];
    this.#child = spawn('mariadbd', argv, { stdio, env, cwd: this.dataDirectory, detached: true });
    closeSync(log);
    await once(this.#child, 'spawn');
    this.#sandbox.record.addProcess(this.pid);
  }

  /** Waits until it takes part in the cluster with all of its state. A failure has the end of its log. */
  async untilSynced(timeoutMs: number = syncedMsMax): Promise<void> {
    const isSynced = async (): Promise<boolean> => {
      if (!this.isRunning) throw new Error(`${this.name} has ended`);
      return existsSync(this.socketPath) && (await this.state()) === 'Synced';
    };
    await this.withLog(waitUntil(`${this.name} is Synced`, isSynced, timeoutMs, 50));
  }

  /** Its state as `wsrep_local_state_comment` says it; '' when it does not answer. */
  async state(): Promise<string> {
    return await this.status('wsrep_local_state_comment').catch(() => '');
  }

  /** A variable of `SHOW GLOBAL STATUS`. */
  async status(name: string): Promise<string> {
    const [[, value = ''] = []] = await this.sql(`SHOW GLOBAL STATUS LIKE '${name}'`, answerMsMax);
    return value;
  }

  /** Waits until the server has ended by itself; returns its exit code, or the signal that ended it. */
  async untilEnd(timeoutMs: number = endMsMax): Promise<number | NodeJS.Signals> {
    await this.withLog(waitUntil(`${this.name} ends`, () => !this.isRunning, timeoutMs, 20));
    return this.#child?.exitCode ?? this.#child?.signalCode ?? 0;
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    if (this.isRunning) signalProcess(this.pid, 'SIGTERM');
    await this.untilEnd();
  }

  /** kill -9 of the server alone: what it has started is on its own then. */
  async kill(): Promise<void> {
    if (this.isRunning) signalProcess(this.pid, 'SIGKILL');
    await this.untilEnd();
  }

  /** Ends it in order, starts it again, and waits until it is Synced. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
    await this.untilSynced();
  }

  /** What it has started and still runs, such as the processes of a transfer: what works in its data directory. */
  childProcesses(): ProcessInfo[] {
    return processesBelow(this.dataDirectory).filter(({ pid }) => pid !== this.pid);
  }

  /** What the server and what it has started have logged so far, over all starts. */
  log(): string {
    return readFileSync(this.#logPath, 'utf8');
  }

  /** Adds the end of the log to what a promise fails with. */
  async withLog<T>(promise: Promise<T>): Promise<T> {
    return await promise.catch((error: unknown) => {
      const said = existsSync(this.#logPath) ? this.log().slice(-logCharactersShown) : '';
      throw new Error(`${(error as Error).message}\n--- the log of ${this.name} ends with\n${said}`, { cause: error });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await waitUntil(`what ${this.name} has started ends`, () => {
      const left = this.childProcesses().filter(({ pid }) => processStart(pid) !== undefined);
      for (const { pid } of left) signalProcess(pid, 'SIGKILL');
      return left.length === 0;
    });
  }

  get #logPath(): string {
    return join(this.place.path, 'log');
  }
}
