import { BatonError } from '@batondb/core/errors';
import { runStatement } from '../client.ts';
import { limits } from '../limits.ts';
import { type Replica, readStatus, replicationError } from './start-threads.ts';
import { describeThread, missingThreads, type Thread, threadStatement } from './threads.ts';

/**
 * Stops threads in their order, and checks that they stand. `isGivenUp` is asked before each: a statement that is on its way is always
 * waited for, since the server goes on with it, whoever has asked. Throws REPLICATION_FAILED, ACCESS_DENIED, UNREACHABLE, INTERRUPTED
 * when it was given up.
 */
export async function stopThreads(
  replica: Replica,
  threads: readonly Thread[],
  isGivenUp: () => boolean,
): Promise<void> {
  const { signal } = new AbortController();
  for (const thread of threads) {
    if (isGivenUp()) throw new BatonError('INTERRUPTED', 'replication was not stopped: the stop was given up');
    try {
      await runStatement(replica.options, threadStatement('STOP', thread, replica.version), limits.stopMsMax, signal);
    } catch (error) {
      if (error instanceof BatonError && (error.code === 'ACCESS_DENIED' || error.code === 'UNREACHABLE')) throw error;
      throw replicationError(`${describeThread(thread)} was not stopped: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }
  const standing = missingThreads(threads, await readStatus(replica, signal));
  const still = threads.find((thread) => !standing.includes(thread));
  if (still !== undefined) throw replicationError(`${describeThread(still)} runs on after it was told to stop`);
}
