import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { BatonError } from '../errors.ts';
import { limits } from '../limits.ts';
import { quoteWord } from '../text/words.ts';
import { Tail } from './tail.ts';
import { makeUnitOutput } from './unit-output.ts';

/**
 * How long we read on after a child has ended. A daemon it left behind (an ssh master connection) may hold its stderr open
 * for ever; what the child itself wrote is there at once.
 */
const drainMsMax = 200;
/** Grace of a child whose block is left without a word about its end. */
const disposeGraceMs = 2_000;

export type SpawnOptions = {
  /**
   * In a session of its own: a Ctrl-C on our terminal reaches only us, no password prompt reaches the terminal, and signals
   * of ours reach all its children. Default: false.
   */
  readonly detached?: boolean;
  /** Its whole environment. Default: ours. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** `stream`: pieces as they come. `units`: pieces of a unit, for much of it (`makeUnitOutput`). Default: `stream`. */
  readonly stdout?: 'stream' | 'units';
  /** `keep`: the last lines are kept for an error message; `inherit`: they go where ours go. Default: `keep`. */
  readonly stderr?: 'keep' | 'inherit';
  /**
   * What it has as descriptor 3: a descriptor of ours, text that it can read there, or `held`: a pipe in which nothing ever comes, and
   * which ends with us. Default: nothing.
   */
  readonly descriptor3?: number | { readonly text: string } | 'held';
  /** Gets what is kept of stderr as it comes, before `exited` settles; must not throw. Default: nobody listens. */
  readonly onStderr?: (chunk: Uint8Array) => void;
};

/** How a child ended: exactly one of `code` and `signal` is defined. */
export type ChildExit = {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  /** The last lines of stderr, at most limits.stderrBytesMax bytes. */
  readonly stderrTail: string;
};

/**
 * A running child process. Writing to the stdin of a child that has ended fails silently; `exited` says why.
 * Leaving its block terminates it.
 */
export type Child = AsyncDisposable & {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Settles when the process is gone; never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Ends it: stdin closed and SIGTERM, after `graceMs` SIGKILL. Resolves when it is gone; may be called twice. */
  terminate(graceMs: number): Promise<void>;
};

/**
 * Starts a program (found by PATH, no shell in between) with pipes for stdin and stdout.
 * Throws CHILD_FAILED when it cannot be started, and says why.
 */
export async function spawnChild(argv: readonly string[], options: SpawnOptions = {}): Promise<Child> {
  const [program, ...rest] = argv;
  if (program === undefined) throw new BatonError('USAGE', 'the command to start is empty');
  const isDetached = options.detached ?? false;
  const { descriptor3 } = options;
  const third = descriptor3 === undefined ? [] : [typeof descriptor3 === 'number' ? descriptor3 : ('pipe' as const)];
  const output = options.stdout === 'units' ? makeUnitOutput() : undefined;
  const child = spawn(program, rest, {
    stdio: ['pipe', output?.descriptor ?? 'pipe', options.stderr === 'inherit' ? 'inherit' : 'pipe', ...third],
    detached: isDetached,
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  if (output !== undefined) closeSync(output.descriptor);
  const exited = watchExit(child, options.onStderr);
  const { stdin, pid } = child;
  const stdout = output?.stdout ?? child.stdout;
  if (pid === undefined || stdin === null || stdout === null) {
    output?.stdout.destroy();
    throw startError(program, await new Promise<unknown>((resolve) => child.once('error', resolve)));
  }
  // Without a listener the EPIPE of a child that has ended would end us too.
  stdin.on('error', () => {});
  if (typeof descriptor3 === 'object') giveText(child, descriptor3.text);
  else if (descriptor3 === 'held') child.once('exit', () => child.stdio[3]?.destroy());
  let ending: Promise<void> | undefined;
  const terminate = (graceMs: number): Promise<void> =>
    (ending ??= endChild({ child, stdout, isGroup: isDetached, exited }, graceMs));
  return { pid, stdin, stdout, exited, terminate, [Symbol.asyncDispose]: () => terminate(disposeGraceMs) };
}

/** `ssh a baton agent` ended with exit code 255: its last words, for people. */
export function describeExit(argv: readonly string[], exit: ChildExit): string {
  const how = exit.signal === undefined ? `ended with exit code ${exit.code}` : `was killed by ${exit.signal}`;
  const command = argv.map(quoteWord).join(' ');
  return exit.stderrTail === '' ? `${command} ${how}` : `${command} ${how}: ${exit.stderrTail}`;
}

/** CHILD_FAILED with the command, how it ended and its last words. */
export function childError(argv: readonly string[], exit: ChildExit): BatonError {
  return new BatonError('CHILD_FAILED', describeExit(argv, exit));
}

function giveText(child: ChildProcess, text: string): void {
  const pipe = child.stdio[3] as Writable;
  // A child that ends without reading it is told of by its end.
  pipe.on('error', () => {});
  pipe.end(text);
}

function watchExit(child: ChildProcess, onStderr: SpawnOptions['onStderr']): Promise<ChildExit> {
  const tail = new Tail(limits.stderrBytesMax);
  child.stderr?.on('data', (chunk: Buffer) => {
    tail.append(chunk);
    onStderr?.(chunk);
  });
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      const finish = (): void => {
        clearTimeout(timer);
        child.stderr?.destroy();
        resolve({ code: code ?? undefined, signal: signal ?? undefined, stderrTail: tail.text() });
      };
      const timer = setTimeout(finish, drainMsMax);
      if (child.stderr === null || child.stderr.readableEnded) finish();
      else child.stderr.once('end', finish);
    });
  });
}

type Running = {
  readonly child: ChildProcess;
  readonly stdout: Readable;
  readonly isGroup: boolean;
  readonly exited: Promise<unknown>;
};

async function endChild({ child, stdout, isGroup, exited }: Running, graceMs: number): Promise<void> {
  const { pid } = child;
  // A pid that was waited for may belong to a stranger by now.
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  if (pid === undefined || !isRunning()) return;
  child.stdin?.destroy();
  const id = isGroup ? -pid : pid;
  signalProcess(id, 'SIGTERM');
  const timer = setTimeout(() => isRunning() && signalProcess(id, 'SIGKILL'), graceMs);
  await exited;
  clearTimeout(timer);
  // What is left of its session. The id stays taken while the group has members, and pids are not reused at once.
  if (isGroup) signalProcess(id, 'SIGKILL');
  stdout.destroy();
}

function signalProcess(id: number, signal: NodeJS.Signals): void {
  try {
    process.kill(id, signal);
  } catch (error) {
    // Gone between the check and the signal, or another user's (sudo), which sees its stdin closed instead.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

function startError(program: string, cause: unknown): BatonError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason =
    code === 'ENOENT' ? 'there is no such program' : code === 'EACCES' ? 'it may not be executed' : message;
  const hint = code === 'ENOENT' ? 'install it, or name it by its whole path' : undefined;
  return new BatonError('CHILD_FAILED', `cannot start ${program}: ${reason}`, {
    cause,
    ...(hint === undefined ? {} : { hint }),
  });
}
