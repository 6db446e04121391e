import { setTimeout as sleep } from 'node:timers/promises';
import { BatonError, type BatonErrorOptions } from '@batondb/core/errors';
import { runStatement } from '../client.ts';
import { limits } from '../limits.ts';
import { parseReplicaStatus, type ReplicaStatus, replicaStatusStatement } from '../replica-status.ts';
import type { ServerOptions } from '../server-options.ts';
import type { ServerVersion } from '../version.ts';
import { describeThread, missingThreads, type Thread, threadStatement } from './threads.ts';

/** A server and its version, as much as is needed to speak to its replication. */
export type Replica = { readonly options: ServerOptions; readonly version: ServerVersion };

const lookMs = 200;

/**
 * Starts threads and waits until they are seen running; those that run already are left alone. The order is that of `threads`. All are
 * tried, also when one fails. Throws REPLICATION_FAILED, which names each that does not run and what the server says of it.
 */
export async function startThreads(replica: Replica, threads: readonly Thread[], signal: AbortSignal): Promise<void> {
  await waitForStops(replica, signal);
  const refusals = new Map<Thread, string>();
  for (const thread of missingThreads(threads, await readStatus(replica, signal))) {
    try {
      await runStatement(replica.options, threadStatement('START', thread, replica.version), limits.stopMsMax, signal);
    } catch (error) {
      signal.throwIfAborted();
      refusals.set(thread, (error as Error).message);
    }
  }
  const deadline = performance.now() + limits.restartMsMax;
  for (;;) {
    const channels = await readStatus(replica, signal);
    const missing = missingThreads(threads, channels);
    if (missing.length === 0) return;
    // A thread that ended with an error does not come back by itself.
    const isHopeless = missing.every((thread) => refusals.has(thread) || lastError(thread, channels) !== '');
    if (isHopeless || performance.now() > deadline) throw notRunning(missing, channels, refusals);
    await sleep(lookMs, undefined, { signal });
  }
}

/**
 * Waits until no statement that stops replication is on its way. The server goes on with one when its client is gone, and a thread
 * that was seen running before would stand after it. (MariaDB 10.11 does not answer about replicas meanwhile; nobody promises that.)
 * Everybody sees the statements of his own user.
 */
async function waitForStops(replica: Replica, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + limits.stopMsMax;
  for (;;) {
    const rows = await runStatement(replica.options, 'SHOW FULL PROCESSLIST', limits.readMsMax, signal);
    const isStopping = rows.some((row) => /^\s*STOP\s+(?:ALL\s+)?(?:SLAVE|REPLICA)/i.test(row.get('Info') ?? ''));
    if (!isStopping || performance.now() > deadline) return;
    await sleep(lookMs, undefined, { signal });
  }
}

/** The channels of a server as they are now. */
export async function readStatus(replica: Replica, signal: AbortSignal): Promise<ReplicaStatus[]> {
  const statement = replicaStatusStatement(replica.version);
  const rows = await runStatement(replica.options, statement, limits.readMsMax, signal);
  return rows.map(parseReplicaStatus);
}

function lastError({ channel, thread }: Thread, channels: readonly ReplicaStatus[]): string {
  const status = channels.find((one) => one.channel === channel);
  return (thread === 'io' ? status?.ioError : status?.sqlError) ?? '';
}

function notRunning(
  missing: readonly Thread[],
  channels: readonly ReplicaStatus[],
  refusals: ReadonlyMap<Thread, string>,
): BatonError {
  const parts = missing.map((thread) => {
    const why = refusals.get(thread) ?? lastError(thread, channels);
    return `${describeThread(thread)} does not run${why === '' ? '' : ` (${why})`}`;
  });
  return replicationError(`replication was not started again: ${parts.join('; ')}`);
}

/** REPLICATION_FAILED with the step that a person takes next. */
export function replicationError(message: string, options: BatonErrorOptions = {}): BatonError {
  const hint = 'look at SHOW ALL REPLICAS STATUS (MySQL: SHOW REPLICA STATUS), and start by hand what has to run';
  return new BatonError('REPLICATION_FAILED', message, { hint, ...options });
}
