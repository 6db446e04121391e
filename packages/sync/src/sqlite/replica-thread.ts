import { Worker } from 'node:worker_threads';
import { BatonError, type ErrorRecord, fromErrorRecord } from '@batondb/core/errors';
import type { SinkState } from '../sink.ts';
import type { CallName, Calls } from './requests.ts';

export type ReplicaPlace = { readonly path: string; readonly source: string };

/** What comes back. Without a number: the file could not be opened. */
export type Reply =
  | { readonly type: 'opened'; readonly state: SinkState }
  | { readonly type: 'done'; readonly number: number; readonly result: unknown }
  | { readonly type: 'failed'; readonly number: number | undefined; readonly error: ErrorRecord };

type Waiting = { readonly resolve: (result: never) => void; readonly reject: (error: Error) => void };

/**
 * The thread that has the file open. SQLite's calls block: a disk that stands still would keep a whole process from telling its source that it lives
 * (Y9). Calls are done in the order in which they are made. After one has failed, all that come after it fail with the same error.
 */
export class ReplicaThread implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<void>;
  readonly #onFailure: (error: Error) => void;
  #lastNumber = 0;
  #failure: Error | undefined;

  private constructor(worker: Worker, onFailure: (error: Error) => void) {
    this.#worker = worker;
    this.#onFailure = onFailure;
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()));
  }

  /** Opens the file and becomes its owner. `onFailure` is told of the first error. Throws what opening throws. */
  static async open(
    place: ReplicaPlace,
    onFailure: (error: Error) => void,
  ): Promise<{ readonly thread: ReplicaThread; readonly state: SinkState }> {
    // The same file name with the ending this module itself has: source in a checkout, JavaScript when built.
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./replica-worker.${ending}`, import.meta.url), { workerData: place });
    const thread = new ReplicaThread(worker, onFailure);
    const { promise: opened, resolve, reject } = Promise.withResolvers<SinkState>();
    worker.on('message', (reply: Reply) => {
      if (reply.type === 'opened') resolve(reply.state);
      else if (reply.type === 'failed' && reply.number === undefined) reject(fromErrorRecord(reply.error));
      else thread.#settle(reply);
    });
    const fail = (error: Error): void => {
      reject(error);
      thread.#fail(error);
    };
    worker.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => fail(new BatonError('INTERRUPTED', `the thread that writes ${place.path} ended`)));
    try {
      return { thread, state: await opened };
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  call<K extends CallName>(call: K, request: Calls[K]['request']): Promise<Calls[K]['reply']> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const number = ++this.#lastNumber;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#worker.postMessage({ number, call, request });
    });
  }

  /** Closes the file once the calls that are under way are done. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#worker.postMessage({ number: ++this.#lastNumber, call: 'close', request: undefined });
    await this.#exited;
  }

  #settle(reply: Exclude<Reply, { type: 'opened' }>): void {
    const waiting = this.#waiting.get(reply.number ?? -1);
    this.#waiting.delete(reply.number ?? -1);
    if (reply.type === 'done') waiting?.resolve(reply.result as never);
    else {
      const error = fromErrorRecord(reply.error);
      waiting?.reject(error);
      this.#fail(error);
    }
  }

  #fail(error: Error): void {
    if (this.#failure === undefined) {
      this.#failure = error;
      this.#onFailure(error);
    }
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
