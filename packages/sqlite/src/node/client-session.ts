import { BatonError } from '@batondb/core/errors';
import type {
  BatchEvent,
  CallOptions,
  Session,
  SessionOptions,
  Statement,
  StatementResult,
  Step,
  StepOutcome,
} from '../databases.ts';
import type { Description } from '../engine/statement.ts';
import { formatPosition, parsePosition } from '../machine/position.ts';
import type { Caller } from './call-port.ts';
import type { SessionPlace } from './client-databases.ts';
import { unpackError } from './error-transfer.ts';
import { checkKey } from './names.ts';
import { unpackEvents, unpackOutcomes } from './packed.ts';
import type { DatabaseInfo, SessionTurn, Turn, Visit, WriterCalls } from './request.ts';

/** Above every call's number: all of them are interrupted. */
const everyCall = 2 ** 31 - 1;
/** Texts that a reader may be asked to run; it looks closer. */
const mayRead = /^\s*(?:SELECT|VALUES|WITH)\b/i;

/**
 * A client's session. Until something has to run in the thread that writes it has no connection of its own, and its reads go to the
 * threads that read; from then on its temporary tables, settings and row numbers are where its connection is.
 */
export class ClientSession implements Session {
  readonly #place: SessionPlace;
  /** The thread that writes when the session was opened: its connection is there. */
  readonly #writer: Caller<WriterCalls>;
  readonly #info: DatabaseInfo;
  readonly #options: SessionOptions;
  /** The number of the last call that is interrupted. */
  readonly #interrupted = new Int32Array(new SharedArrayBuffer(4));
  readonly #closed = new AbortController();
  #calls = 0;
  #session: Promise<number> | undefined;
  #closing: Promise<void> | undefined;
  #isAutocommit = true;
  #position: string | undefined;

  constructor(place: SessionPlace, info: DatabaseInfo, options: SessionOptions) {
    this.#place = place;
    this.#writer = place.writer();
    this.#info = info;
    this.#options = options;
  }

  get isAutocommit(): boolean {
    return this.#isAutocommit;
  }

  /** Its connection, if it has one, ended with the threads that it was in. */
  get isStale(): boolean {
    return this.#session !== undefined && this.#writer !== this.#place.writer();
  }

  get position(): string | undefined {
    return this.#position;
  }

  async execute(statement: Statement, options: CallOptions, signal: AbortSignal): Promise<StatementResult> {
    const step = { statement, condition: undefined };
    const [outcome] = (await this.read([step], options, signal)) ?? (await this.batch([step], options, signal));
    if (outcome?.type === 'failed') throw outcome.error;
    if (outcome?.type === 'done') return outcome.result;
    throw new BatonError('BUG', 'a step without a condition was skipped');
  }

  async batch(steps: readonly Step[], options: CallOptions, signal: AbortSignal): Promise<readonly StepOutcome[]> {
    const { resultBytesMax } = this.#options;
    const packed = await this.#visit(options, signal, (turn) =>
      this.#writer.call('steps', { ...turn, steps, resultBytesMax }),
    );
    return unpackOutcomes(packed);
  }

  async *cursor(
    steps: readonly Step[],
    options: CallOptions,
    signal: AbortSignal,
  ): AsyncGenerator<readonly BatchEvent[], void> {
    const writer = this.#writer;
    await this.#visit(options, signal, (turn) => writer.call('beginCursor', { ...turn, steps }));
    const { position } = this;
    let isOpen = true;
    try {
      for (;;) {
        // A key is used up by the first transaction that commits.
        const keyed = this.position === position ? options : {};
        const events = await this.#visit(keyed, signal, (turn) => writer.call('pull', turn));
        if (events === null) {
          isOpen = false;
          return;
        }
        yield unpackEvents(events);
      }
    } finally {
      if (isOpen && this.#closing === undefined)
        await this.#visit({}, new AbortController().signal, (turn) => writer.call('endCursor', turn));
    }
  }

  async sequence(sql: string, options: CallOptions, signal: AbortSignal): Promise<void> {
    await this.#visit(options, signal, (turn) => this.#writer.call('script', { ...turn, sql }));
  }

  describe(sql: string, signal: AbortSignal): Promise<Description> {
    return this.#visit({}, signal, (turn) => this.#writer.call('describeIn', { ...turn, sql }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isAutocommit = true;
    this.#interrupt(everyCall);
    this.#closed.abort(closed());
    const session = await this.#session?.catch(() => undefined);
    if (session !== undefined) await this.#writer.call('closeSession', { session });
  }

  /** Runs steps in a thread that reads; undefined when they are not for one, and then nothing was run. */
  async read(
    steps: readonly Step[],
    options: CallOptions,
    signal: AbortSignal,
  ): Promise<readonly StepOutcome[] | undefined> {
    if (this.#session !== undefined || options.transactionKey !== undefined) return;
    if (!steps.every(({ statement }) => mayRead.test(statement.sql))) return;
    const { resultBytesMax } = this.#options;
    return await this.#call(options, signal, async (turn) => {
      // By its name, which may mean another database by now.
      const info = await this.#place.find(this.#info.name);
      const packed = await this.#place.reader().call('read', { ...turn, info, steps, resultBytesMax });
      return packed === 'writes' ? undefined : unpackOutcomes(packed);
    });
  }

  /** Does something on the session's own connection. A call that is rejected leaves no transaction open. */
  #visit<T>(
    { transactionKey, ...options }: CallOptions,
    signal: AbortSignal,
    use: (turn: SessionTurn) => Promise<Visit<T>>,
  ): Promise<T> {
    return this.#call(options, signal, async (turn) => {
      if (transactionKey !== undefined) checkKey(transactionKey);
      this.#session ??= this.#writer.call('openSession', {
        database: this.#info.name,
        isReadOnly: this.#options.isReadOnly,
      });
      const session = await this.#session;
      const key = transactionKey === undefined ? {} : { key: transactionKey };
      const { value, position, isAutocommit } = await use({ ...turn, session, ...key }).catch((error: unknown) => {
        this.#isAutocommit = true;
        throw error;
      });
      this.#isAutocommit = isAutocommit || this.#closing !== undefined;
      if (position !== undefined) this.#position = formatPosition(position);
      if ('error' in value) throw unpackError(value.error);
      return value.done;
    });
  }

  async #call<T>({ atLeast }: CallOptions, signal: AbortSignal, use: (turn: Turn) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#closing !== undefined) throw closed();
    if (atLeast !== undefined) await this.#reach(atLeast, signal);
    signal.throwIfAborted();
    this.#closed.signal.throwIfAborted();
    this.#calls += 1;
    const call = this.#calls;
    const interrupt = (): void => this.#interrupt(call);
    signal.addEventListener('abort', interrupt);
    try {
      return await use({ call, interrupted: this.#interrupted, timeoutMs: this.#place.statementMsMax });
    } finally {
      signal.removeEventListener('abort', interrupt);
    }
  }

  /** Waits for a position, unless there is nobody any more to wait for it. */
  async #reach(position: string, signal: AbortSignal): Promise<void> {
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const signals = [signal, this.#closed.signal];
    const end = (): void => reject(signals.find(({ aborted }) => aborted)?.reason);
    for (const one of signals) one.addEventListener('abort', end);
    try {
      await Promise.race([this.#place.waitFor(parsePosition(position)), ended]);
    } finally {
      for (const one of signals) one.removeEventListener('abort', end);
    }
  }

  #interrupt(call: number): void {
    Atomics.store(this.#interrupted, 0, call);
    // Who waits for others does not look by itself. A node that is closed has nobody to wake.
    this.#writer.call('wake', null).catch(() => undefined);
  }
}

function closed(): BatonError {
  return new BatonError('INTERRUPTED', 'the session is closed');
}
