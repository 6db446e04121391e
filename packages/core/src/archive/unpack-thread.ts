import { Worker } from 'node:worker_threads';
import { BatonError, type ErrorRecord, fromErrorRecord } from '../errors.ts';
import type { UnpackProgress, UnpackResult, UnpackTask } from './unpack-job.ts';

/** What comes back; `ready` before anything is done. */
export type UnpackReply =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly progress: UnpackProgress }
  | { readonly type: 'done'; readonly result: UnpackResult }
  | { readonly type: 'failed'; readonly error: ErrorRecord };

/**
 * Does the task in a thread of its own: it takes as long as the archive is, and the workers have others to feed meanwhile. When it
 * settles, also by `signal`, the thread has ended and nothing writes any more. Throws what unpackArchive throws, and INTERRUPTED.
 */
export async function runUnpackThread(
  task: UnpackTask,
  onProgress: (progress: UnpackProgress) => void,
  signal: AbortSignal,
): Promise<UnpackResult> {
  signal.throwIfAborted();
  // The same file name with the ending this module itself has: source in a checkout, JavaScript when built.
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const worker = new Worker(new URL(`./unpack-worker.${ending}`, import.meta.url), { workerData: task });
  // A thread that is ended while it loads native code takes the process with it.
  const { promise: started, resolve: resolveStarted } = Promise.withResolvers<void>();
  const { promise: reply, resolve, reject } = Promise.withResolvers<UnpackResult>();
  worker.on('message', (message: UnpackReply) => {
    if (message.type === 'ready') resolveStarted();
    else if (message.type === 'progress') onProgress(message.progress);
    else if (message.type === 'done') resolve(message.result);
    else reject(fromErrorRecord(message.error));
  });
  worker.on('error', (error) => reject(error instanceof Error ? error : new Error(String(error))));
  worker.on('exit', () => {
    resolveStarted();
    reject(new BatonError('INTERRUPTED', 'the thread that unpacks ended'));
  });
  const abort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await reply;
  } finally {
    signal.removeEventListener('abort', abort);
    await started;
    await worker.terminate();
  }
}
