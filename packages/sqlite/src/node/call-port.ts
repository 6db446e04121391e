import type { MessagePort } from 'node:worker_threads';
import { receiveMessageOnPort } from 'node:worker_threads';
import { packError, unpackError } from './error-transfer.ts';

// Calls from one thread to another. What is asked in one turn travels as one message, and so does what is answered: a message costs some
// ten microseconds, which is as much as a small transaction.

export type Calls = Readonly<Record<string, (request: never) => unknown>>;
type Call = { readonly id: number; readonly name: string; readonly request: unknown };
type Answer = { readonly id: number; readonly reply: unknown } | { readonly id: number; readonly error: unknown };
type Waiter = { readonly resolve: (reply: unknown) => void; readonly reject: (error: Error) => void };

/** A reply whose buffers move to the other side instead of being copied. */
export class Moved<T> {
  readonly reply: T;
  readonly transfer: readonly ArrayBuffer[];

  constructor(reply: T, transfer: readonly ArrayBuffer[]) {
    this.reply = reply;
    this.transfer = transfer;
  }
}

/** The asking side of a port. */
export class Caller<C extends Calls> {
  readonly #port: Pick<MessagePort, 'postMessage'>;
  readonly #waiters = new Map<number, Waiter>();
  #calls: Call[] = [];
  #transfer: ArrayBuffer[] = [];
  #nextId = 1;
  #closed: Error | undefined;

  constructor(port: Pick<MessagePort, 'postMessage'>) {
    this.#port = port;
  }

  /** Calls that are not answered yet. */
  get pending(): number {
    return this.#waiters.size;
  }

  /** Asks. `transfer` names buffers that move to the other side instead of being copied. */
  call<Name extends keyof C & string>(
    name: Name,
    request: Parameters<C[Name]>[0],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<ReturnType<C[Name]>> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const id = this.#nextId++;
    const answered = new Promise<unknown>((resolve, reject) => this.#waiters.set(id, { resolve, reject }));
    this.#calls.push({ id, name, request });
    this.#transfer.push(...transfer);
    if (this.#calls.length === 1) queueMicrotask(() => this.#send());
    return answered as Promise<ReturnType<C[Name]>>;
  }

  /** Takes what arrived at the port. */
  receive(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const waiter = this.#waiters.get(answer.id);
      this.#waiters.delete(answer.id);
      if ('error' in answer) waiter?.reject(unpackError(answer.error));
      else waiter?.resolve(answer.reply);
    }
  }

  /** The other side is gone: what is asked, and what will be, fails. */
  fail(error: Error): void {
    this.#closed = error;
    for (const { reject } of this.#waiters.values()) reject(error);
    this.#waiters.clear();
  }

  #send(): void {
    const [calls, transfer] = [this.#calls, this.#transfer];
    [this.#calls, this.#transfer] = [[], []];
    this.#port.postMessage(calls, transfer);
  }
}

/** What the answering side does: one function a call, and what follows when everything that has arrived was begun. */
export type Service<C extends Calls> = {
  readonly calls: {
    readonly [Name in keyof C]: (
      request: Parameters<C[Name]>[0],
    ) => ReturnType<C[Name]> | Moved<ReturnType<C[Name]>> | Promise<ReturnType<C[Name]>>;
  };
  /** Called when no more calls wait; answers that are ready when it ends go together. */
  readonly settle: () => Promise<void>;
};

/** Serves calls that arrive at a port. */
export function serve<C extends Calls>(port: MessagePort, service: Service<C>): void {
  let answers: Answer[] = [];
  let transfer: ArrayBuffer[] = [];
  const send = (): void => {
    if (answers.length === 0) return;
    const [ready, moving] = [answers, transfer];
    [answers, transfer] = [[], []];
    port.postMessage(ready, moving);
  };
  const answer = (entry: Answer): void => {
    answers.push(entry);
    if (answers.length === 1) setImmediate(send);
  };
  const begin = (calls: readonly Call[]): void => {
    for (const call of calls) void take(call);
  };
  const take = async ({ id, name, request }: Call): Promise<void> => {
    const work = service.calls[name] as (request: unknown) => unknown;
    try {
      const result = await work(request);
      if (result instanceof Moved) transfer.push(...result.transfer);
      answer({ id, reply: result instanceof Moved ? result.reply : result });
    } catch (error) {
      answer({ id, error: packError(error) });
    }
  };
  port.on('message', (calls: readonly Call[]) => {
    begin(calls);
    for (let more = receiveMessageOnPort(port); more !== undefined; more = receiveMessageOnPort(port))
      begin(more.message as readonly Call[]);
    void service.settle().then(send);
  });
}
