import { Worker } from 'node:worker_threads';
import { BatonError } from '@batondb/core/errors';
import type { CheckCalls } from '../snapshot/check-calls.ts';
import type { SnapshotCalls } from '../snapshot/snapshot-calls.ts';
import { Caller, type Calls } from './call-port.ts';
import { unpackError } from './error-transfer.ts';
import type { ReaderCalls, WriterCalls } from './request.ts';
import type { ThreadData } from './thread-data.ts';

/** A thread that answers calls. */
export type StartedThread<C extends Calls> = { readonly worker: Worker; readonly caller: Caller<C> };

/** The thread that writes, ready. Throws what kept it from being so. */
export function startWriter(data: ThreadData): Promise<StartedThread<WriterCalls>> {
  return start<WriterCalls>(new Worker(new URL(`./writer-thread${extension}`, import.meta.url), { workerData: data }));
}

/** A thread that reads, ready. */
export function startReader(data: ThreadData): Promise<StartedThread<ReaderCalls>> {
  return start<ReaderCalls>(new Worker(new URL(`./reader-thread${extension}`, import.meta.url), { workerData: data }));
}

/** The thread of a snapshot, ready. */
export function startSnapshotThread(data: ThreadData): Promise<StartedThread<SnapshotCalls>> {
  const url = new URL(`../snapshot/snapshot-thread${extension}`, import.meta.url);
  return start<SnapshotCalls>(new Worker(url, { workerData: data }));
}

/** Does some work with a thread that looks at files, and ends that thread, also in the middle of something when the signal says so. */
export async function withCheckThread<T>(
  signal: AbortSignal,
  work: (thread: Caller<CheckCalls>) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const { worker, caller } = await startCheckThread();
  const end = (): void => void worker.terminate();
  signal.addEventListener('abort', end, { once: true });
  try {
    return await work(caller);
  } finally {
    signal.removeEventListener('abort', end);
    await worker.terminate();
  }
}

function startCheckThread(): Promise<StartedThread<CheckCalls>> {
  return start<CheckCalls>(new Worker(new URL(`../snapshot/check-thread${extension}`, import.meta.url)));
}

/** `.ts` where sources run, `.js` where they were built. */
const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

function start<C extends Calls>(worker: Worker): Promise<StartedThread<C>> {
  const caller = new Caller<C>(worker);
  return new Promise((resolve, reject) => {
    worker.on('message', (message: 'ready' | { readonly error: unknown } | Parameters<Caller<C>['receive']>[0]) => {
      if (message === 'ready') resolve({ worker, caller });
      else if (Array.isArray(message)) caller.receive(message);
      else if ('error' in message) reject(unpackError(message.error));
    });
    worker.once('error', (error) => {
      caller.fail(new BatonError('BUG', `a thread of the node ended: ${String(error)}`, { cause: error }));
      reject(error);
    });
    worker.once('exit', () => caller.fail(new BatonError('INTERRUPTED', 'the node is closed')));
  });
}
