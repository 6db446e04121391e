import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { BatonError } from '@batondb/core/errors';
import { limits } from '../limits.ts';
import type { Replica } from './start-threads.ts';
import type { Thread } from './threads.ts';

// A process that outlives us. It hears of our end by the end of its standard input, which the kernel brings about however we end.
// Conversation: we send the plan as one line of JSON; it answers `ready`; nothing more, until the word `restarted` or the end.

/** What has to run on which server. Holds no secret: user and password are in the files that the options name. */
export type WatchdogPlan = Replica & { readonly threads: readonly Thread[] };

/** The word after which a watchdog ends without doing anything. */
export const dismissal = 'restarted';
export const readiness = 'ready';

/** A watchdog that has its plan. */
export type Watchdog = {
  readonly pid: number;
  /** Tells it that all runs again, and returns when it is gone. */
  dismiss(): Promise<void>;
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
  const child = spawn(process.execPath, [...inherited, script.pathname, 'replication-watchdog'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
    cwd: '/',
  });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.stdin.write(`${JSON.stringify(plan)}\n`);
  const timer = setTimeout(() => child.kill('SIGKILL'), limits.watchdogReadyMsMax);
  try {
    const [word] = (await Promise.race([once(child.stdout, 'data', { signal }), exited.then(() => [''])])) as [
      Buffer | string,
    ];
    if (child.pid === undefined || word.toString().trim() !== readiness) throw notStarted();
  } catch (error) {
    child.kill('SIGKILL');
    signal.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  // It must not keep our process alive once nobody waits for it.
  child.unref();
  return {
    pid: child.pid,
    async dismiss() {
      child.stdin.end(`${dismissal}\n`);
      await exited;
    },
    leaveToIt: () => void child.stdin.destroy(),
  };
}

function notStarted(): BatonError {
  return new BatonError('REPLICATION_FAILED', 'replication was not stopped: its watchdog did not start', {
    hint: `try the same without stopping replication, or look whether ${process.execPath} can be run`,
  });
}
