import { BatonError } from '@batondb/core/errors';
import { runStatement } from '../client.ts';
import { limits } from '../limits.ts';
import type { Server } from '../server.ts';
import { readStatus, replicationError, startThreads } from './start-threads.ts';
import { describeThread, runningThreads, type Thread, threadStatement } from './threads.ts';
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
 * Throws REPLICATION_FAILED when a thread does not stop (what was stopped by then runs again), ACCESS_DENIED, UNREACHABLE, and the
 * signal's reason. The signal does not interrupt a restart.
 */
export async function stopReplication(server: Server, signal: AbortSignal): Promise<ReplicationGuard> {
  const threads = runningThreads(await readStatus(server, signal));
  if (threads.length === 0) return idleGuard();
  const watchdog = await startWatchdog({ options: server.options, version: server.version, threads }, signal);
  const guard = makeGuard(server, threads, watchdog);
  try {
    for (const thread of threads) await stopThread(server, thread, signal);
    const left = runningThreads(await readStatus(server, signal));
    const still = threads.find((thread) => left.some((one) => isSame(one, thread)));
    if (still !== undefined) throw replicationError(`${describeThread(still)} runs on after it was told to stop`);
    return guard;
  } catch (error) {
    await restartAfter(guard, error);
    throw error;
  }
}

async function stopThread(server: Server, thread: Thread, signal: AbortSignal): Promise<void> {
  try {
    await runStatement(server.options, threadStatement('STOP', thread, server.version), limits.stopMsMax, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof BatonError && (error.code === 'ACCESS_DENIED' || error.code === 'UNREACHABLE')) throw error;
    throw replicationError(`${describeThread(thread)} was not stopped: ${(error as Error).message}`, { cause: error });
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

/** A signal of its own: an aborted copy must not leave a replica standing. */
async function restartNow(server: Server, threads: readonly Thread[], watchdog: Watchdog): Promise<void> {
  try {
    await startThreads(server, threads, new AbortController().signal);
  } catch (error) {
    watchdog.leaveToIt();
    throw error;
  }
  // The last step: until here the watchdog would do the same.
  await watchdog.dismiss();
}

function idleGuard(): ReplicationGuard {
  const restart = (): Promise<void> => Promise.resolve();
  return { stopped: [], restart, [Symbol.asyncDispose]: restart };
}

function isSame(one: Thread, other: Thread): boolean {
  return one.channel === other.channel && one.thread === other.thread;
}
