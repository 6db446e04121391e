import type { Server } from '../server.ts';
import { readStatus, replicationError, startThreads } from './start-threads.ts';
import { runningThreads, type Thread } from './threads.ts';
import { startWatchdog, type Watchdog } from './watchdog.ts';

/** Replication that stands still on our behalf. */
export type ReplicationGuard = AsyncDisposable & {
  /** What was running and was stopped; empty when the server replicates nothing, or nothing ran. */
  readonly stopped: readonly Thread[];
  /**
   * Starts exactly what was stopped and returns when all of it runs. What an operator had stopped before stays so. May be called
   * twice. Throws REPLICATION_FAILED, which names channel and thread; the watchdog tries on then, until it succeeds or ten minutes
   * are over.
   */
  restart(): Promise<void>;
};

/**
 * Stops the running threads of all channels, so that the server's data stands still as far as its sources are concerned. Before
 * anything is stopped, a watchdog process outside of our session knows what has to run: when this process ends without
 * {@link ReplicationGuard.restart}, by whatever signal, it starts the same threads again. Leaving the guard's block restarts too.
 *
 * A thread that applies ends only after what it is applying: a long ALTER TABLE is waited for, at most five minutes. Throws
 * REPLICATION_FAILED when a thread does not stop, ACCESS_DENIED, UNREACHABLE, and the signal's reason; what was stopped by then runs
 * again. The signal does not interrupt a restart.
 */
export async function stopReplication(server: Server, signal: AbortSignal): Promise<ReplicationGuard> {
  const threads = runningThreads(await readStatus(server, signal));
  if (threads.length === 0) return idleGuard();
  const watchdog = await startWatchdog({ options: server.options, version: server.version, threads }, signal);
  const guard = makeGuard(server, threads, watchdog);
  try {
    await unlessAborted(watchdog.stop(), signal);
    return guard;
  } catch (error) {
    await restartAfter(guard, error);
    throw error;
  }
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Both failures are told: that of the stop, and that replication does not run now, which is the worse one. */
async function restartAfter(guard: ReplicationGuard, error: unknown): Promise<void> {
  try {
    await guard.restart();
  } catch (second) {
    throw replicationError(`${(second as Error).message}; it was stopped for: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function makeGuard(server: Server, threads: readonly Thread[], watchdog: Watchdog): ReplicationGuard {
  let restarted: Promise<void> | undefined;
  const restart = (): Promise<void> => (restarted ??= restartNow(server, threads, watchdog));
  return { stopped: threads, restart, [Symbol.asyncDispose]: restart };
}

async function restartNow(server: Server, threads: readonly Thread[], watchdog: Watchdog): Promise<void> {
  try {
    await watchdog.start();
  } catch (error) {
    if (!watchdog.isGone()) {
      watchdog.leaveToIt();
      throw error;
    }
    // A signal of its own: an aborted copy must not leave a replica standing.
    await startThreads(server, threads, new AbortController().signal);
  }
}

function idleGuard(): ReplicationGuard {
  const restart = (): Promise<void> => Promise.resolve();
  return { stopped: [], restart, [Symbol.asyncDispose]: restart };
}
