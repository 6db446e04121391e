import { Worker } from 'node:worker_threads';
import { BatonError, type ErrorRecord, fromErrorRecord } from '../errors.ts';
import type { Job, JobOf, JobResult } from './jobs.ts';

// Worker threads that do jobs. A worker takes one job after the other; which one takes a job is the pool's choice.

/** What goes to a worker thread. */
export type WorkerRequest = { readonly number: number; readonly job: Job };
/** What comes back; `ready` before the first job is looked at. */
export type WorkerReply =
  | 'ready'
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly error: ErrorRecord };

type Waiting = { readonly resolve: (result: never) => void; readonly reject: (error: Error) => void };
type Slot = {
  readonly worker: Worker;
  readonly waiting: Map<number, Waiting>;
  readonly started: Promise<void>;
  isReady: boolean;
};

/** Jobs that every worker has to do. */
type TreeJob = JobOf<'open' | 'relocate' | 'close'>;

/**
 * Jobs that every worker has begun or waits with when another worker is started. A small copy never gets there, and a thread costs as much
 * as many of its jobs.
 */
const waitingMax = 2;

/** At most `size` worker threads: the first at once, the others when there is work for them. Disposing ends them, whatever they are doing. */
export class WorkerPool implements AsyncDisposable {
  readonly size: number;
  readonly #slots: Slot[] = [];
  /** What all workers were told of the tree they are at work on, for those that are started later. */
  #told: TreeJob[] = [];
  #lastNumber = 0;
  #failure: Error | undefined;

  constructor(size: number) {
    this.size = size;
    this.#slots.push(this.#start());
  }

  /** Has the least busy worker do a job. `transfer` names buffers that move to the worker instead of being copied. */
  run<K extends Job['kind']>(job: JobOf<K>, transfer: readonly ArrayBuffer[] = []): Promise<JobResult<K>> {
    const idlest = this.#slots.reduce((one, other) => (isIdler(other, one) ? other : one));
    const isStarting = this.#slots.some(({ isReady }) => !isReady);
    if (idlest.waiting.size >= waitingMax && !isStarting && this.#slots.length < this.size) this.#add();
    return this.#post(idlest, job, transfer);
  }

  /** Has every worker do a job, also those that are started later: for what all of them must know. */
  async runOnAll(job: TreeJob): Promise<void> {
    if (job.kind === 'open') this.#told = [];
    this.#told.push(job);
    await Promise.all(this.#slots.map((slot) => this.#post(slot, job, [])));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new BatonError('INTERRUPTED', 'the worker threads were ended');
    // A thread that is ended while it loads native code takes the process with it.
    await Promise.all(this.#slots.map(({ worker, started }) => started.then(() => worker.terminate())));
  }

  #add(): void {
    if (this.#failure !== undefined) return;
    const slot = this.#start();
    this.#slots.push(slot);
    for (const job of this.#told) this.#post(slot, job, []).catch((error: Error) => this.#fail(slot, error));
  }

  #post<K extends Job['kind']>(slot: Slot, job: JobOf<K>, transfer: readonly ArrayBuffer[]): Promise<JobResult<K>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const number = ++this.#lastNumber;
    return new Promise((resolve, reject) => {
      slot.waiting.set(number, { resolve, reject });
      slot.worker.postMessage({ number, job } satisfies WorkerRequest, [...transfer]);
    });
  }

  #start(): Slot {
    // The same file name with the ending this module itself has: source in a checkout, JavaScript when built.
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./unit-worker.${ending}`, import.meta.url));
    const { promise: started, resolve: resolveStarted } = Promise.withResolvers<void>();
    const slot: Slot = { worker, waiting: new Map(), started, isReady: false };
    worker.on('message', (reply: WorkerReply) => {
      if (reply === 'ready') {
        slot.isReady = true;
        resolveStarted();
        return;
      }
      const waiting = slot.waiting.get(reply.number);
      slot.waiting.delete(reply.number);
      if ('error' in reply) waiting?.reject(fromErrorRecord(reply.error));
      else waiting?.resolve(reply.result as never);
    });
    worker.on('error', (error) => this.#fail(slot, error instanceof Error ? error : new Error(String(error))));
    worker.on('exit', () => {
      resolveStarted();
      this.#fail(slot, new BatonError('INTERRUPTED', 'a worker thread ended'));
    });
    return slot;
  }

  #fail(slot: Slot, error: Error): void {
    this.#failure ??= error;
    for (const { reject } of slot.waiting.values()) reject(this.#failure);
    slot.waiting.clear();
  }
}

/** A job is not given to a thread that is still being started: those after it would overtake it. */
function isIdler(one: Slot, other: Slot): boolean {
  return one.isReady === other.isReady ? one.waiting.size < other.waiting.size : one.isReady;
}
