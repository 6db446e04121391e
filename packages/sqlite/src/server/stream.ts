import { assert, BatonError } from '@batondb/core/errors';
import { Refusal } from '@batondb/service/refusal';
import type { BatchEvent, CallOptions, Databases, Session, SessionOptions, Step } from '../databases.ts';
import {
  encodeAutocommit,
  encodeBatchResult,
  encodeDescription,
  encodeDone,
  encodeResponse,
  encodeStatementResult,
  withPosition,
} from '../hrana/results.ts';
import type { StoredSql } from '../hrana/stored-sql.ts';
import type { SessionRequest, SqlRequest } from '../hrana/stream-requests.ts';
import type { ServerSettings } from './settings.ts';

/**
 * A client's stream: a session that is opened when it is first needed, and the time limits on what it does. When one is exceeded the stream ends
 * and what it had open is rolled back; later requests are told why (H4). Its user asks one thing at a time.
 */
export class ClientStream {
  readonly #databases: Databases;
  readonly #options: SessionOptions;
  readonly #settings: ServerSettings;
  readonly #ended = new AbortController();
  #interruption = new AbortController();
  #session: Session | undefined;
  #closing: Promise<void> | undefined;
  #isBusy = false;
  #transactionTimer: NodeJS.Timeout | undefined;

  constructor(databases: Databases, options: SessionOptions, settings: ServerSettings) {
    this.#databases = databases;
    this.#options = options;
    this.#settings = settings;
  }

  get isInTransaction(): boolean {
    return this.#session !== undefined && !this.#session.isAutocommit;
  }

  get isEnded(): boolean {
    return this.#ended.signal.aborted;
  }

  /** What interrupts a call that is asked for now. */
  get signal(): AbortSignal {
    return this.#interruption.signal;
  }

  /** Of the last write that this stream was told is accepted. */
  get position(): string | undefined {
    return this.#session?.position;
  }

  /** The response to a request, as JSON text. Throws what the session throws, and STREAM_EXPIRED. */
  answer(request: SessionRequest, options: CallOptions, signal: AbortSignal = this.signal): Promise<string> {
    return this.#call(signal, async (session) => {
      const before = session.position;
      const response = await respond(session, request, options, signal);
      const { position } = session;
      return position === undefined || position === before ? response : withPosition(response, position);
    });
  }

  /** What comes out of a batch, as it is pulled. One that nobody pulls for too long ends the stream, as an idle one does. */
  async *cursor(
    steps: readonly Step[],
    options: CallOptions,
    signal: AbortSignal = this.signal,
  ): AsyncGenerator<readonly BatchEvent[], void> {
    let events: AsyncIterator<readonly BatchEvent[]> | undefined;
    const pull = (): Promise<IteratorResult<readonly BatchEvent[], unknown>> =>
      this.#call(signal, (session) => {
        events ??= session.cursor(steps, options, signal)[Symbol.asyncIterator]();
        return events.next();
      });
    const { streamIdleMsMax } = this.#settings;
    try {
      for (let next = await pull(); !next.done; next = await pull()) {
        const why = `its cursor was not read for more than ${seconds(streamIdleMsMax)}`;
        const timer = setTimeout(() => this.#expire(why), streamIdleMsMax);
        try {
          yield next.value;
        } finally {
          clearTimeout(timer);
        }
      }
    } finally {
      await events?.return?.();
      this.#watchTransaction();
    }
  }

  /** Interrupts what was asked for so far, and undoes the statement that runs. A transaction stays open. */
  interrupt(): void {
    const interruption = this.#interruption;
    this.#interruption = new AbortController();
    interruption.abort(new BatonError('INTERRUPTED', 'the client interrupted it'));
  }

  /** Ends the stream: what runs is interrupted, what is open is rolled back. The first reason stays. */
  close(reason: Error = new Refusal('STREAM_EXPIRED', 'the stream was closed')): Promise<void> {
    clearTimeout(this.#transactionTimer);
    this.#ended.abort(reason);
    this.#interruption.abort(reason);
    this.#closing ??= this.#session?.close() ?? Promise.resolve();
    return this.#closing;
  }

  async #call<T>(signal: AbortSignal, use: (session: Session) => Promise<T>): Promise<T> {
    const ended = this.#ended.signal;
    ended.throwIfAborted();
    signal.throwIfAborted();
    assert(!this.#isBusy, 'H3: requests of one stream are answered one at a time');
    this.#isBusy = true;
    const { callMsMax } = this.#settings;
    const timer = setTimeout(
      () => this.#expire(`a statement or batch ran for more than ${seconds(callMsMax)}`),
      callMsMax,
    );
    try {
      this.#session ??= await this.#open(ended);
      return await use(this.#session);
    } catch (error) {
      // Whatever a session says of being interrupted, the reason is more useful.
      ended.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#isBusy = false;
      this.#watchTransaction();
    }
  }

  async #open(signal: AbortSignal): Promise<Session> {
    const session = await this.#databases.open(this.#options, signal);
    // It was closed meanwhile, and that knew of no session.
    if (signal.aborted) await session.close();
    signal.throwIfAborted();
    return session;
  }

  /** The clock of a transaction runs from the reply after which it is open to the one after which it is not. */
  #watchTransaction(): void {
    if (!this.isInTransaction || this.isEnded) {
      clearTimeout(this.#transactionTimer);
      this.#transactionTimer = undefined;
      return;
    }
    const { transactionMsMax } = this.#settings;
    this.#transactionTimer ??= setTimeout(
      () => this.#expire(`its transaction was open for more than ${seconds(transactionMsMax)} and was rolled back`),
      transactionMsMax,
    );
  }

  #expire(why: string): void {
    // An error of closing is told where the stream is given up: close() gives everybody the same promise.
    this.close(new Refusal('STREAM_EXPIRED', `the stream has ended: ${why}`)).catch(() => undefined);
  }
}

async function respond(
  session: Session,
  request: SessionRequest,
  options: CallOptions,
  signal: AbortSignal,
): Promise<string> {
  switch (request.type) {
    case 'execute':
      return encodeResponse(
        'execute',
        encodeStatementResult(await session.execute(request.statement, options, signal)),
      );
    case 'batch':
      return encodeResponse('batch', encodeBatchResult(await session.batch(request.steps, options, signal)));
    case 'sequence':
      await session.sequence(request.sql, options, signal);
      return encodeDone('sequence');
    case 'describe':
      return encodeResponse('describe', encodeDescription(await session.describe(request.sql, signal)));
    case 'get_autocommit':
      return encodeAutocommit(session.isAutocommit);
    default:
      return request satisfies never;
  }
}

/** Answers a request about stored texts, which no session is needed for. */
export function answerSqlRequest(request: SqlRequest, storedSql: StoredSql): string {
  if (request.type === 'store_sql') storedSql.store(request.sqlId, request.sql);
  else storedSql.close(request.sqlId);
  return encodeDone(request.type);
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
