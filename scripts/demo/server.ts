import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from './baton.ts';
import { expect } from './failure.ts';

// `baton sqlite serve` as a process of the demo: started, killed, started again, and never left behind.

const readyMsMax = 60_000;

/** What a server says when it serves. */
type Ready = { readonly type: 'ready'; readonly url: string; readonly position: string; readonly pid: number };

/** What it says before, when it joins another one. */
export type Joining = {
  readonly type: 'joining';
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly rateBytesPerSecond: number;
  readonly etaSeconds?: number;
};

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A server that serves. */
export class DemoServer {
  readonly ready: Ready;
  readonly #child: ChildProcess;
  readonly #ended: Promise<NodeJS.Signals | null>;

  private constructor(ready: Ready, child: ChildProcess, ended: Promise<NodeJS.Signals | null>) {
    this.ready = ready;
    this.#child = child;
    this.#ended = ended;
  }

  /** Runs the checkout's `./baton sqlite serve` with these words, until it is ready; what it says besides goes into `logPath`. */
  static async start(
    words: readonly string[],
    logPath: string,
    onJoining: (progress: Joining) => void = () => undefined,
  ): Promise<DemoServer> {
    const child = spawn(join(root, 'baton'), ['sqlite', 'serve', ...words, '--json'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    child.stderr.pipe(createWriteStream(resolve(root, logPath), { flags: 'a' }));
    const ended = new Promise<NodeJS.Signals | null>((settle, reject) => {
      child.once('error', reject);
      child.once('close', (_, signal) => {
        running.delete(child);
        settle(signal);
      });
    });
    const isReady = new Promise<Ready>((settle) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const said = JSON.parse(line) as Ready | Joining;
        if (said.type === 'ready') settle(said);
        else if (said.type === 'joining') onJoining(said);
      });
    });
    const failed = ended.then(() => undefined);
    const late = new Promise<undefined>((settle) => setTimeout(() => settle(undefined), readyMsMax).unref());
    const ready = await Promise.race([isReady, failed, late]);
    expect(ready !== undefined, `the server did not start; ${logPath} says why`);
    return new DemoServer(ready, child, ended);
  }

  get pid(): number {
    return this.ready.pid;
  }

  /** `http://HOST:PORT`. */
  get url(): string {
    return this.ready.url.replace(/^ws/, 'http');
  }

  get hostAndPort(): string {
    return new URL(this.url).host;
  }

  get hasEnded(): boolean {
    return !running.has(this.#child);
  }

  /** Kills it, unless somebody else does so first within a time. Resolves with true when it was somebody else. */
  async kill(waitMs: number): Promise<boolean> {
    const timeUp = new Promise<'late'>((settle) => setTimeout(() => settle('late'), waitMs));
    const first = await Promise.race([this.#ended, timeUp]);
    if (first !== 'late') return true;
    this.#child.kill('SIGKILL');
    await this.#ended;
    return false;
  }

  /** Asks it to stop, and waits until it has. */
  async stop(): Promise<void> {
    if (this.hasEnded) return;
    this.#child.kill('SIGTERM');
    await this.#ended;
  }

  /** What it says of itself. */
  async status(): Promise<ServerStatus> {
    return (await (await fetch(`${this.url}/status`)).json()) as ServerStatus;
  }
}

/** The parts of /status that the demo shows. */
export type ServerStatus = {
  readonly position: string;
  readonly databases: readonly {
    readonly name: string;
    readonly pageCount: number;
    readonly pageBytes: number;
    readonly checksum: string;
  }[];
};
