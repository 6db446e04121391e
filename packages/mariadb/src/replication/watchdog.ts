import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { BatonError, type ErrorRecord, fromErrorRecord } from '@batondb/core/errors';
import { Lines } from '@batondb/core/process/lines';
import { limits } from '../limits.ts';
import type { Replica } from './start-threads.ts';
import type { Thread } from './threads.ts';

// A process that outlives us, and the only one that stops threads of replication: it never starts one while its own statement to stop
// it is on the way. It hears of our end by the end of its standard input, which the kernel brings about however we end.
//
// Conversation, a line a word: we send the plan as JSON, it answers `{}`. We say `stop` or `start`; it answers each with `{}` or
// `{"error": …}`, in their order. After a `start` that succeeded it ends. At the end of our words it starts what has to run, and ends.

/** What has to run on which server. Holds no secret: user and password are in the files that the options name. */
export type WatchdogPlan = Replica & { readonly threads: readonly Thread[] };
export type WatchdogReply = { readonly error?: ErrorRecord };

/** A watchdog that has its plan. */
export type Watchdog = {
  readonly pid: number;
  /** Whether its process has ended. */
  isGone(): boolean;
  /** Has it stop the threads. Throws the error that it answers with, and REPLICATION_FAILED when it has ended. */
  stop(): Promise<void>;
  /** Has it start the threads, and returns when they run and its process is gone. Throws as `stop` does; it lives on then. */
  start(): Promise<void>;
  /** Lets it do its work as if this process had ended, and returns at once. */
  leaveToIt(): void;
};

/** Starts a watchdog and returns when it has taken the plan. Throws REPLICATION_FAILED when it does not, and the signal's reason. */
export async function startWatchdog(plan: WatchdogPlan, signal: AbortSignal): Promise<Watchdog> {
  signal.throwIfAborted();
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const script = new URL(`./watchdog-run.${ending}`, import.meta.url);
  const inherited = process.execArgv.filter((word) => /^(--conditions=|-C|--disable-warning=)/.test(word));
  // Detached: in a session of its own, which neither a hangup of ours nor a signal to our group reaches. In `/`, so that it keeps no
  // file system busy.
  const child = spawn(process.execPath, [...inherited, fileURLToPath(script), 'replication-watchdog'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
    cwd: '/',
  });
  const conversation = new Conversation(child);
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(kill, limits.watchdogReadyMsMax);
  signal.addEventListener('abort', kill, { once: true });
  try {
    await conversation.say(JSON.stringify(plan));
  } catch (error) {
    signal.throwIfAborted();
    throw new BatonError('REPLICATION_FAILED', 'replication was not stopped: its watchdog did not start', {
      hint: `try the same without stopping replication, or look whether ${process.execPath} can be run`,
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', kill);
  }
  return {
    pid: child.pid ?? 0,
    isGone: () => conversation.isGone,
    stop: () => conversation.say('stop'),
    async start() {
      await conversation.say('start');
      await conversation.closed();
    },
    leaveToIt: () => void child.stdin?.destroy(),
  };
}

type Waiter = { readonly resolve: () => void; readonly reject: (error: Error) => void };

/** Words to a child, and its answers in the order of the words. */
class Conversation {
  isGone = false;
  readonly #child: ChildProcess;
  #waiters: Waiter[] = [];
  readonly #closed = Promise.withResolvers<void>();

  constructor(child: ChildProcess) {
    this.#child = child;
    const lines = new Lines(limits.lineBytesMax, (line) => this.#take(line));
    child.stdin?.on('error', () => undefined);
    child.stdout?.on('data', (chunk: Buffer) => lines.append(chunk));
    child.once('error', () => this.#end());
    child.once('close', () => this.#end());
    child.unref();
  }

  say(word: string): Promise<void> {
    if (this.isGone) return Promise.reject(ended());
    this.#child.stdin?.write(`${word}\n`);
    // Our process goes on as long as somebody waits for an answer, and no longer.
    (this.#child.stdout as Socket | null)?.ref();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Resolves when the child is gone. */
  closed(): Promise<void> {
    this.#child.ref();
    return this.#closed.promise;
  }

  #take(line: string): void {
    const waiter = this.#waiters.shift();
    if (this.#waiters.length === 0) (this.#child.stdout as Socket | null)?.unref();
    const { error } = JSON.parse(line) as WatchdogReply;
    if (error === undefined) waiter?.resolve();
    else waiter?.reject(fromErrorRecord(error));
  }

  #end(): void {
    this.isGone = true;
    for (const { reject } of this.#waiters) reject(ended());
    this.#waiters = [];
    this.#closed.resolve();
  }
}

function ended(): BatonError {
  return new BatonError('REPLICATION_FAILED', 'the watchdog of replication has ended');
}
