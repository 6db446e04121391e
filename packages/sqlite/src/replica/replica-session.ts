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
import { parsePosition } from '../machine/position.ts';
import type { ClientSession } from '../node/client-session.ts';
import type { LeaderSession } from './leader-pool.ts';
import { bindsToConnection, isLocalCursor, isLocalRead, isOnlyRead } from './placement.ts';

export type ReplicaSessionPlace = {
  readonly options: SessionOptions;
  /** A read-only session of this node. Throws NOT_FOUND. */
  readonly openLocal: (signal: AbortSignal) => Promise<ClientSession>;
  readonly openLeader: (signal: AbortSignal) => Promise<LeaderSession>;
  /** Throws UNAVAILABLE when this node may not be read. */
  readonly expectReadable: () => void;
};

/**
 * A client's session on a replica: reads are done here, everything else at the leader, and reads that follow see what it wrote (R9). One that may
 * only read stays here altogether. Nothing is sent to the leader twice.
 */
export class ReplicaSession implements Session {
  readonly #place: ReplicaSessionPlace;
  #reader: Promise<ClientSession> | undefined;
  #local: Promise<ClientSession> | undefined;
  #leader: LeaderSession | undefined;
  #position: string | undefined;
  #isAutocommit = true;
  /** Later statements may need what is in the connection at the leader. */
  #isBound = false;
  #isClosed = false;

  constructor(place: ReplicaSessionPlace) {
    this.#place = place;
  }

  get isAutocommit(): boolean {
    return this.#isAutocommit;
  }

  get position(): string | undefined {
    return this.#position;
  }

  async execute(statement: Statement, options: CallOptions, signal: AbortSignal): Promise<StatementResult> {
    const outcome = (await this.#read([{ statement, condition: undefined }], options, signal))?.[0];
    if (outcome?.type === 'failed') throw outcome.error;
    if (outcome?.type === 'done') return outcome.result;
    return await this.#visit([statement.sql], options, signal, (session) =>
      session.execute(statement, options, signal),
    );
  }

  async batch(steps: readonly Step[], options: CallOptions, signal: AbortSignal): Promise<readonly StepOutcome[]> {
    const outcomes = await this.#read(steps, options, signal);
    return (
      outcomes ??
      (await this.#visit(textsOf(steps), options, signal, (session) => session.batch(steps, options, signal)))
    );
  }

  async *cursor(
    steps: readonly Step[],
    options: CallOptions,
    signal: AbortSignal,
  ): AsyncGenerator<readonly BatchEvent[], void> {
    if (this.#isHereFree && isLocalCursor(steps, options)) {
      yield* (await this.#here(signal)).cursor(steps, this.#after(options), signal);
      return;
    }
    const session = await this.#session(textsOf(steps), options, signal);
    try {
      yield* session.cursor(steps, options, signal);
    } finally {
      this.#settle(session);
    }
  }

  async sequence(sql: string, options: CallOptions, signal: AbortSignal): Promise<void> {
    await this.#visit([sql], options, signal, (session) => session.sequence(sql, options, signal));
  }

  async describe(sql: string, signal: AbortSignal): Promise<Description> {
    const session = this.#isBound ? await this.#session([], {}, signal) : await this.#here(signal);
    return await session.describe(sql, signal);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#isAutocommit = true;
    await this.#leader?.close();
    // What could not be opened has nothing to close.
    for (const opening of [this.#reader, this.#local]) await (await opening?.catch(() => undefined))?.close();
  }

  /** Who may not write stays here, unless it wants to read at the leader. Throws USAGE for what may be no read: there, nothing would refuse it. */
  #staysHere(texts: readonly string[], { level }: CallOptions): boolean {
    if (!this.#place.options.isReadOnly) return false;
    if (level !== 'leader') return true;
    if (texts.every(isOnlyRead)) return false;
    throw new BatonError('USAGE', 'with a token that may only read, a replica forwards nothing but SELECT and VALUES', {
      hint: 'ask the leader itself',
    });
  }

  /** No transaction is open at the leader, and nothing else that statements may stand on. */
  get #isHereFree(): boolean {
    return this.#isAutocommit && !this.#isBound;
  }

  /** Reads here, if that is what the steps do; undefined: nothing was run. */
  async #read(
    steps: readonly Step[],
    options: CallOptions,
    signal: AbortSignal,
  ): Promise<readonly StepOutcome[] | undefined> {
    if (!this.#isHereFree || !isLocalRead(steps, options)) return undefined;
    return await (await this.#reading(signal)).read(steps, this.#after(options), signal);
  }

  async #visit<T>(
    texts: readonly string[],
    options: CallOptions,
    signal: AbortSignal,
    use: (session: Session) => Promise<T>,
  ): Promise<T> {
    const session = await this.#session(texts, options, signal);
    try {
      return await use(session);
    } finally {
      this.#settle(session);
    }
  }

  /** The session that does what is no plain read. */
  async #session(texts: readonly string[], options: CallOptions, signal: AbortSignal): Promise<Session> {
    if (this.#staysHere(texts, options)) return await this.#here(signal);
    if (this.#leader?.isOpen() === false) {
      this.#leader = undefined;
      this.#lose(true, 'the connection to the leader broke');
    }
    const leader = (this.#leader ??= await this.#place.openLeader(signal));
    // Closed meanwhile, by somebody who knew of no session.
    if (this.#isClosed) await leader.close();
    if (this.#isClosed) throw new BatonError('INTERRUPTED', 'the session is closed');
    if (texts.some(bindsToConnection)) this.#isBound = true;
    return leader.session;
  }

  #settle(session: Session): void {
    this.#isAutocommit = session.isAutocommit || this.#isClosed;
    this.#position = session.position ?? this.#position;
  }

  /** The session of this node that plain reads are done with. It needs no connection, unless the same one has to do everything. */
  #reading(signal: AbortSignal): Promise<ClientSession> {
    if (this.#place.options.isReadOnly) return this.#here(signal);
    this.#place.expectReadable();
    return (this.#reader ??= this.#open(signal, () => {
      this.#reader = undefined;
    }));
  }

  /** The session of this node that has a connection. */
  async #here(signal: AbortSignal): Promise<ClientSession> {
    this.#place.expectReadable();
    if ((await this.#local)?.isStale === true) {
      this.#local = undefined;
      this.#lose(this.#place.options.isReadOnly, 'a snapshot took the place of what was read here');
    }
    return await (this.#local ??= this.#open(signal, () => {
      this.#local = undefined;
    }));
  }

  async #open(signal: AbortSignal, forget: () => void): Promise<ClientSession> {
    try {
      return await this.#place.openLocal(signal);
    } catch (error) {
      forget();
      throw error;
    }
  }

  /** What was open is gone: that has to be said before anything runs without it. */
  #lose(isOfThis: boolean, why: string): void {
    if (!isOfThis || this.#isHereFree) return;
    this.#isAutocommit = true;
    this.#isBound = false;
    throw new BatonError('CONNECTION_LOST', `${why}, and what was open there has ended`, {
      retryable: true,
      hint: 'begin the transaction again',
    });
  }

  /** A read sees at least what this session wrote. */
  #after(options: CallOptions): CallOptions {
    const { atLeast } = options;
    const written = this.#position;
    if (written === undefined) return options;
    if (atLeast !== undefined && parsePosition(atLeast).index >= parsePosition(written).index) return options;
    return { ...options, atLeast: written };
  }
}

function textsOf(steps: readonly Step[]): string[] {
  return steps.map(({ statement }) => statement.sql);
}
