import { BatonError } from '@batondb/core/errors';
import type { BatchEvent, CallOptions, Session, Statement, StatementResult, Step, StepOutcome } from '../databases.ts';
import type { Description } from '../engine/statement.ts';
import type { Fields } from '../hrana/fields.ts';
import {
  decodeBatchResult,
  decodeDescription,
  decodeFetched,
  decodePosition,
  decodeStatementResult,
} from './answers.ts';
import { limits } from './limits.ts';
import type { Link } from './link.ts';
import { toError } from './remote-error.ts';
import {
  encodeBatch,
  encodeCloseCursor,
  encodeDescribe,
  encodeExecute,
  encodeFetchCursor,
  encodeOpenCursor,
  encodeSequence,
  encodeStreamRequest,
} from './requests.ts';

/** How a request is asked. */
type Asking = { readonly mayWrite: boolean; readonly signal: AbortSignal };

/** A session on another machine: a stream of a link. What is thrown is what a session of this process throws, and what `Link.ask` does. */
export class RemoteSession implements Session {
  readonly #link: Link;
  readonly #streamId: number;
  #isAutocommit = true;
  #position: string | undefined;
  #closing: Promise<void> | undefined;

  private constructor(link: Link) {
    this.#link = link;
    this.#streamId = link.next();
  }

  /** Throws NOT_FOUND for a database that does not exist, and ACCESS_DENIED. */
  static async open(link: Link, signal: AbortSignal): Promise<RemoteSession> {
    const session = new RemoteSession(link);
    const asking = { mayWrite: false, signal };
    // The first request that needs the database is the one that finds it missing.
    const opened = session.#ask(encodeStreamRequest('open_stream', session.#streamId), asking);
    const found = session.#ask(encodeStreamRequest('get_autocommit', session.#streamId), asking);
    try {
      await Promise.all([opened, found]);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  get isAutocommit(): boolean {
    return this.#isAutocommit;
  }

  get position(): string | undefined {
    return this.#position;
  }

  async execute(statement: Statement, options: CallOptions, signal: AbortSignal): Promise<StatementResult> {
    const request = encodeExecute(this.#streamId, statement, options);
    return decodeStatementResult(await this.#ask(request, { mayWrite: true, signal }));
  }

  async batch(steps: readonly Step[], options: CallOptions, signal: AbortSignal): Promise<readonly StepOutcome[]> {
    const request = encodeBatch(this.#streamId, steps, options);
    return decodeBatchResult(await this.#ask(request, { mayWrite: true, signal }), steps.length);
  }

  async *cursor(
    steps: readonly Step[],
    options: CallOptions,
    signal: AbortSignal,
  ): AsyncGenerator<readonly BatchEvent[], void> {
    const cursorId = this.#link.next();
    await this.#ask(encodeOpenCursor(this.#streamId, cursorId, steps, options), { mayWrite: false, signal });
    const fetch = encodeFetchCursor(cursorId, limits.cursorEntriesMax);
    try {
      for (let isDone = false; !isDone; ) {
        const fetched = decodeFetched(await this.#ask(fetch, { mayWrite: true, signal }));
        if (fetched.events.length > 0) yield fetched.events;
        if (fetched.error !== undefined) throw toError(fetched.error);
        isDone = fetched.isDone;
      }
    } finally {
      if (this.#closing === undefined && this.#link.isOpen) await this.#closeCursor(cursorId);
    }
  }

  async sequence(sql: string, options: CallOptions, signal: AbortSignal): Promise<void> {
    await this.#ask(encodeSequence(this.#streamId, sql, options), { mayWrite: true, signal });
  }

  async describe(sql: string, signal: AbortSignal): Promise<Description> {
    const request = encodeDescribe(this.#streamId, sql);
    return decodeDescription(await this.#ask(request, { mayWrite: false, signal }));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isAutocommit = true;
    this.#interrupt();
    // A connection that is gone has closed it already.
    await this.#link.ask(encodeStreamRequest('close_stream', this.#streamId), false).catch(() => undefined);
  }

  async #closeCursor(cursorId: number): Promise<void> {
    await this.#ask(encodeCloseCursor(cursorId), { mayWrite: false, signal: new AbortController().signal });
  }

  async #ask(request: string, { mayWrite, signal }: Asking): Promise<Fields> {
    signal.throwIfAborted();
    if (this.#closing !== undefined) throw new BatonError('INTERRUPTED', 'the session is closed');
    const interrupt = (): void => this.#interrupt();
    signal.addEventListener('abort', interrupt);
    try {
      const answer = await this.#link.ask(request, mayWrite);
      this.#isAutocommit = !answer.isInTransaction || this.#closing !== undefined;
      if (answer.type === 'response_error') throw toError(answer.error);
      this.#position = decodePosition(answer.response) ?? this.#position;
      return answer.response;
    } finally {
      signal.removeEventListener('abort', interrupt);
    }
  }

  /** What runs ends with an error of its own; this request needs no answer. */
  #interrupt(): void {
    this.#link.ask(encodeStreamRequest('interrupt', this.#streamId), false).catch(() => undefined);
  }
}
