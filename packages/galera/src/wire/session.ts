import { BatonError, toErrorRecord } from '@batondb/core/errors';
import { ControlChannel } from './control.ts';
import { failedOf, failureOf } from './handshake.ts';
import { wireLimits } from './limits.ts';
import type { Held, NumberedMessage, Progress } from './messages.ts';
import type { Role } from './proof.ts';

/** Told of what a person may want to read later: a stranger that was refused, a connection that broke. One sentence. */
export type OnNote = (note: string) => void;

/** What both sides of a session may be told. */
export type SessionEvents = {
  readonly onNote?: OnNote | undefined;
  /** What the other side is at. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
};

/** How long a peer may be away; for tests that cannot wait so long. Default: those of wireLimits. */
export type Patience = { readonly absenceMsMax: number; readonly refusedMsMax: number };

type Waiter = { readonly types: readonly string[]; readonly resolve: (message: NumberedMessage) => void };

/**
 * What donor and joiner have in common: a conversation that outlives its connections, and one end for everything. `signal` aborts when
 * either side has failed, or the other has been away for too long: all that belongs to the session stops by it.
 */
export abstract class Session implements AsyncDisposable {
  readonly #role: Role;
  readonly #events: SessionEvents;
  readonly #ended = new AbortController();
  readonly #inbox: NumberedMessage[] = [];
  readonly #heldListeners = new Map<number, (units: number) => void>();
  readonly #progressListeners = new Set<() => void>();
  #waiter: Waiter | undefined;
  #isConcluded = false;
  #isPeerGone = false;
  protected readonly control: ControlChannel;
  protected readonly patience: Patience;

  constructor(role: Role, events: SessionEvents, patience: Partial<Patience> = {}) {
    this.#role = role;
    this.#events = events;
    const { absenceMsMax, refusedMsMax } = wireLimits;
    this.patience = { absenceMsMax, refusedMsMax, ...patience };
    this.control = new ControlChannel({
      onMessage: (message) => this.#arrived(message),
      onLoose: (message) => {
        if (message.type === 'progress') {
          this.#events.onProgress?.(message);
          for (const listener of this.#progressListeners) listener();
        } else this.#tellHeld(message);
      },
      onLost: (error) => {
        if (this.#isConcluded || this.signal.aborted) return;
        this.note(`the connection with the ${this.peerRole} broke: ${error.message}`);
        this.onLost(error);
      },
      onNonsense: (error) => this.fail(error),
    });
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  get peerRole(): Role {
    return this.#role === 'donor' ? 'joiner' : 'donor';
  }

  /** Ends the session with a failure of ours, and tells the other side why. The first failure counts. */
  fail(error: unknown): void {
    if (this.signal.aborted) return;
    try {
      this.control.say(failedOf(error));
    } catch {
      // So many messages were said that there is no room for this one: the end of the connection says it.
    }
    this.end(error);
  }

  /** Tells the other side's log what we are at. `totalBytes` 0: nobody knows. */
  progress(stage: string, doneBytes: number = 0, totalBytes: number = 0): void {
    this.control.sayLoosely({ type: 'progress', stage, doneBytes, totalBytes });
  }

  /** Tells the other side how much of a stream it may forget. */
  sayHeld(transfer: number, units: number): void {
    this.control.sayLoosely({ type: 'held', transfer, units });
  }

  /** Calls `listener` with how much of a stream is safe at the joiner. */
  onHeld(transfer: number, listener: (units: number) => void): Disposable {
    this.#heldListeners.set(transfer, listener);
    return { [Symbol.dispose]: () => void this.#heldListeners.delete(transfer) };
  }

  /** Calls `listener` whenever the other side says what it is at: it is alive, also when it sends nothing else. */
  onPeerProgress(listener: () => void): Disposable {
    this.#progressListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#progressListeners.delete(listener) };
  }

  /** The next message, which has to be one of these types; PROTOCOL ends the session otherwise. Rejects when the session ends. */
  async next<T extends NumberedMessage['type']>(
    types: readonly T[],
    signal: AbortSignal,
  ): Promise<Extract<NumberedMessage, { type: T }>> {
    const either = AbortSignal.any([signal, this.signal]);
    either.throwIfAborted();
    const first = this.#inbox.shift();
    if (first !== undefined) return this.#checked(first, types);
    const arrived = Promise.withResolvers<NumberedMessage>();
    const onAbort = (): void => arrived.reject(either.reason as Error);
    either.addEventListener('abort', onAbort, { once: true });
    this.#waiter = { types, resolve: arrived.resolve };
    try {
      return this.#checked(await arrived.promise, types);
    } finally {
      this.#waiter = undefined;
      either.removeEventListener('abort', onAbort);
    }
  }

  /** Ends everything of this session and returns when nothing of it runs any more. What was said last still arrives. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isConcluded) this.fail(new BatonError('INTERRUPTED', `the ${this.#role} ended before the transfer did`));
    const mayHear = this.control.isAttached || (this.mayComeBack && !this.#isPeerGone);
    if (mayHear && !this.#isConcluded) await this.control.flushed(wireLimits.farewellMsMax);
    this.#ended.abort(new BatonError('INTERRUPTED', 'the session is over'));
    await this.control.close();
    await this.released();
  }

  /** Nobody will hear what is said from now on. */
  protected peerIsGone(): void {
    this.#isPeerGone = true;
  }

  /** The work of this session is done: from now on nobody is missed who goes. */
  protected conclude(): void {
    this.#isConcluded = true;
  }

  protected say(message: NumberedMessage): void {
    this.signal.throwIfAborted();
    this.control.say(message);
  }

  protected note(text: string): void {
    this.#events.onNote?.(text);
  }

  protected end(error: unknown): void {
    this.#ended.abort(error instanceof Error ? error : new Error(toErrorRecord(error).message));
  }

  /** A peer whose connection broke may open another one, and hear then what was said last. */
  protected abstract readonly mayComeBack: boolean;
  /** The connection broke in the middle of the session. */
  protected abstract onLost(error: Error): void;
  /** Lets go of what a side has besides the conversation. */
  protected abstract released(): Promise<void>;

  #arrived(message: NumberedMessage): void {
    if (message.type === 'failed') {
      this.#isPeerGone = true;
      this.end(failureOf(`the ${this.peerRole} failed`, message));
      return;
    }
    if (this.#waiter === undefined) this.#inbox.push(message);
    else this.#waiter.resolve(message);
    this.#waiter = undefined;
  }

  #checked<T extends NumberedMessage['type']>(
    message: NumberedMessage,
    types: readonly T[],
  ): Extract<NumberedMessage, { type: T }> {
    if (types.some((type) => type === message.type)) return message as Extract<NumberedMessage, { type: T }>;
    const error = new BatonError(
      'PROTOCOL',
      `the ${this.peerRole} said ${message.type} where ${types.join(' or ')} was due`,
    );
    this.fail(error);
    throw error;
  }

  #tellHeld({ transfer, units }: Held): void {
    this.#heldListeners.get(transfer)?.(units);
  }
}
