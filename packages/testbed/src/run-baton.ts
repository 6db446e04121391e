// Runs the checkout's `./baton` as a person would, and lets a test act while it runs.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { checkoutPath } from './checkout.ts';
import type { Host } from './host.ts';
import type { Bed } from './hosts.ts';
import { killProcess, type ProcessInfo, processesWithVariable, waitUntil } from './process-table.ts';

/** The least an event has; tests name their own type, such as `runBaton<CopyEvent>(…)`. */
export type BatonEvent = { readonly type: string };

/** How baton is run; every field may be left out. */
export type BatonOptions<E extends BatonEvent = BatonEvent> = {
  /** Adds `--ssh` with the configuration of this bed, so that its hosts are known by name. */
  readonly bed?: Bed;
  /** Runs it in the network of this host instead of the root one. */
  readonly on?: Host;
  /** A descriptor that is its standard input. Default: nothing. */
  readonly stdin?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Adds `--json` and reads events from standard output. Default: true. */
  readonly json?: boolean;
  /** Kills it, with all it started in its process group, after this time. Default: 120,000. */
  readonly timeoutMs?: number;
  readonly onEvent?: (event: E) => void;
};

/** How a run ended. */
export type BatonResult<E extends BatonEvent = BatonEvent> = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly events: readonly E[];
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
  /** True when the time limit ended it. */
  readonly timedOut: boolean;
};

type Waiter<E> = {
  readonly matches: (event: E) => boolean;
  readonly resolve: (event: E) => void;
  readonly reject: (error: Error) => void;
};
type Progress = {
  readonly targets: readonly { readonly target: string; readonly doneBytes: number; readonly totalBytes: number }[];
};

/** Marks what a run starts on this machine, in its own process group or not: children inherit it, ssh does not carry it. */
const runVariable = 'BATON_TESTBED_RUN';

/** A baton that runs. It is killed with all it has started on this machine at the end of the block that holds it by `await using`. */
export class BatonRun<E extends BatonEvent = BatonEvent> implements AsyncDisposable {
  readonly pid: number;
  /** Events so far. */
  readonly events: E[] = [];
  /** Lines of standard output that are no event (all of them without `--json`). */
  readonly lines: string[] = [];
  /** How it ended; never rejects. */
  readonly finished: Promise<BatonResult<E>>;
  stderr = '';
  readonly #waiters = new Set<Waiter<E>>();
  readonly #command: string;
  readonly #mark: string;
  #timedOut = false;
  #ended = false;

  constructor(child: ChildProcess, command: string, mark: string, options: BatonOptions<E>) {
    if (child.pid === undefined || child.stdout === null || child.stderr === null)
      throw new Error(`${command} cannot be started`);
    this.pid = child.pid;
    this.#command = command;
    this.#mark = mark;
    const begin = performance.now();
    const stdout: string[] = [];
    const reader = createInterface({ input: child.stdout });
    reader.on('line', (line) => {
      stdout.push(line);
      this.#take(line, options);
    });
    const readToEnd = new Promise<void>((resolve) => reader.once('close', resolve));
    child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    const timer = setTimeout(() => {
      this.#timedOut = true;
      this.killGroup('SIGKILL');
    }, options.timeoutMs ?? 120_000);
    this.finished = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        void readToEnd.then(() => {
          const durationMs = performance.now() - begin;
          const text = stdout.map((line) => `${line}\n`).join('');
          this.#end(code, signal);
          resolve({
            code,
            signal,
            events: this.events,
            stdout: text,
            stderr: this.stderr,
            durationMs,
            timedOut: this.#timedOut,
          });
        });
      });
    });
  }

  /** The first event that matches, also one that has come already. Rejects when baton ends without it, or time is up. */
  async until(matches: (event: E) => boolean, timeoutMs = 60_000): Promise<E> {
    const known = this.events.find(matches);
    if (known !== undefined) return known;
    if (this.#ended)
      throw new Error(`${this.#command} has ended without the awaited event:\n${this.stderr.slice(-2000)}`);
    const { promise, resolve, reject } = Promise.withResolvers<E>();
    const waiter: Waiter<E> = { matches, resolve, reject };
    this.#waiters.add(waiter);
    const timer = setTimeout(
      () =>
        reject(
          new Error(
            `${this.#command} did not send the awaited event within ${timeoutMs} ms:\n${this.stderr.slice(-2000)}`,
          ),
        ),
      timeoutMs,
    );
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    }
  }

  /** Waits for the first event of a type. */
  async untilType<T extends E['type']>(type: T, timeoutMs?: number): Promise<Extract<E, { type: T }>> {
    return (await this.until((event) => event.type === type, timeoutMs)) as Extract<E, { type: T }>;
  }

  /** Waits until a target (or any, when none is named) has the fraction (0 to 1) of its bytes. */
  async untilProgress(fraction: number, target?: string, timeoutMs?: number): Promise<E> {
    const isThere = (event: E): boolean =>
      event.type === 'progress' &&
      (event as unknown as Progress).targets.some(
        (one) =>
          (target === undefined || one.target === target) &&
          one.totalBytes > 0 &&
          one.doneBytes >= fraction * one.totalBytes,
      );
    return await this.until(isThere, timeoutMs);
  }

  /** Sends a signal to baton alone, as kill(1) does. */
  kill(signal: NodeJS.Signals): void {
    if (!this.#ended) process.kill(this.pid, signal);
  }

  /** Sends a signal to its whole process group, as Ctrl-C in a terminal does. */
  killGroup(signal: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  /**
   * All that runs on this machine because of it, itself included: local agents and ssh clients. What it started on a bed's
   * hosts is in `host.processes()`.
   */
  processes(): ProcessInfo[] {
    return processesWithVariable(runVariable, this.#mark);
  }

  /** Waits until nothing of it runs on this machine; throws with the command lines of what still does. */
  async waitForNoProcess(timeoutMs = 10_000): Promise<void> {
    try {
      await waitUntil('baton and all it started end', () => this.processes().length === 0, timeoutMs);
    } catch (error) {
      const left = this.processes().map(({ pid, argv, state }) => `${pid} (${state}) ${argv.join(' ')}`);
      throw new Error(`${(error as Error).message}:\n${left.join('\n')}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.killGroup('SIGKILL');
    await Promise.all(this.processes().map(({ pid }) => killProcess(pid)));
    await this.finished;
  }

  #take(line: string, options: BatonOptions<E>): void {
    let event: E | undefined;
    if (options.json !== false && line.startsWith('{')) {
      try {
        event = JSON.parse(line) as E;
      } catch {
        event = undefined;
      }
    }
    if (event === undefined) {
      this.lines.push(line);
      return;
    }
    this.events.push(event);
    options.onEvent?.(event);
    for (const waiter of this.#waiters) if (waiter.matches(event)) waiter.resolve(event);
  }

  #end(code: number | null, signal: NodeJS.Signals | null): void {
    this.#ended = true;
    for (const { reject } of this.#waiters) {
      reject(
        new Error(`${this.#command} ended (${code ?? signal}) before the awaited event:\n${this.stderr.slice(-2000)}`),
      );
    }
  }
}

/** The arguments with what the options add, before a `--` if there is one. */
function completeArguments<E extends BatonEvent>(args: readonly string[], options: BatonOptions<E>): string[] {
  const added = [
    ...(options.json === false ? [] : ['--json']),
    ...(options.bed === undefined ? [] : ['--ssh', options.bed.sshCommand]),
  ];
  const end = args.indexOf('--');
  return end < 0 ? [...args, ...added] : [...args.slice(0, end), ...added, ...args.slice(end)];
}

/** Starts the checkout's `./baton` in a process group of its own and returns while it runs. */
export function startBaton<E extends BatonEvent = BatonEvent>(
  args: readonly string[],
  options: BatonOptions<E> = {},
): BatonRun<E> {
  const argv = [join(checkoutPath, 'baton'), ...completeArguments(args, options)];
  const [program = '', ...rest] = options.on === undefined ? argv : options.on.inNamespace(argv);
  const mark = randomUUID();
  const child = spawn(program, rest, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env, [runVariable]: mark },
    stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
    detached: true,
  });
  child.on('error', () => undefined);
  return new BatonRun<E>(child, `baton ${args.join(' ')}`, mark, options);
}

/** Runs the checkout's `./baton` to its end. Throws only when the time limit ended it. */
export async function runBaton<E extends BatonEvent = BatonEvent>(
  args: readonly string[],
  options: BatonOptions<E> = {},
): Promise<BatonResult<E>> {
  await using run = startBaton(args, options);
  const result = await run.finished;
  if (result.timedOut)
    throw new Error(`baton ${args.join(' ')} took longer than its limit:\n${result.stderr.slice(-2000)}`);
  return result;
}
