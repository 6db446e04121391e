import { setTimeout as sleep } from 'node:timers/promises';

/** Waits. Rejects with the signal's reason, where the timer would have an error of its own that says nothing. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}
