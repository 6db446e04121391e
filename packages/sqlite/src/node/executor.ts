import { BatonError } from '@batondb/core/errors';
import { Connection, type SqlResult } from '../engine/connection.ts';
import type { Engine } from '../engine/engine.ts';
import type { Description } from '../engine/statement.ts';
import type { Database } from '../machine/database.ts';
import type { Machine } from '../machine/machine.ts';
import { formatPosition } from '../machine/position.ts';
import type { WriterView } from '../machine/writer-view.ts';
import { packError } from './error-transfer.ts';
import { checkKey } from './names.ts';
import type { ReceiptState, RunReply, RunRequest, SessionTurn, Visit } from './request.ts';
import { watchOf } from './turn.ts';

// Runs statements in the thread that writes. Every reply, errors and no-ops included, waits until the log has accepted what it stands
// on (N1): a transaction may read what another one committed a moment ago, and must not reveal it before.

export type ExecutorOptions = {
  readonly cacheKib: number;
  /** A transaction that is open longer is rolled back, so that it does not hold up all others. */
  readonly transactionMsMax: number;
};

/** A connection, and the view it reads and writes through. */
type Seat = { readonly database: Database; readonly connection: Connection; readonly view: WriterView };
type Session = {
  readonly id: number;
  readonly name: string;
  readonly isReadOnly: boolean;
  seat: Seat | undefined;
  begunMs: number | undefined;
  lost: BatonError | undefined;
};
type Outcome = { readonly results: SqlResult[]; readonly error?: unknown };

/** The connections of the thread that writes. */
export class Executor implements Disposable {
  readonly #machine: Machine;
  readonly #engine: Engine;
  readonly #options: ExecutorOptions;
  /** One connection of each database for everybody without a session. */
  readonly #shared = new Map<Database, Seat>();
  readonly #sessions = new Map<number, Session>();
  /** Who waits until a session's transaction on a database ends. */
  readonly #waiting: { readonly database: Database; readonly resume: () => void }[] = [];
  readonly #pendingKeys = new Map<string, Promise<unknown>>();
  #nextSession = 1;

  constructor(machine: Machine, engine: Engine, options: ExecutorOptions) {
    this.#machine = machine;
    this.#engine = engine;
    this.#options = options;
  }

  /** How many sessions there are. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Runs statements. What they commit reaches the log with the machine's next flush, which is the caller's. */
  run(request: RunRequest): Promise<RunReply> {
    const { key } = request;
    return key === undefined ? this.#run(request) : this.#runOnce(request, key);
  }

  async #runOnce(request: RunRequest, key: string): Promise<RunReply> {
    checkKey(key);
    while (this.#pendingKeys.has(key)) await this.#pendingKeys.get(key)?.catch(() => undefined);
    const receipt = this.#machine.store.receipts.get(key);
    if (receipt !== undefined) {
      if (request.session !== undefined) this.#rollBack(request.session);
      return { results: [], position: receipt.position, isRepeated: true, isAutocommit: true };
    }
    const running = this.#run(request);
    this.#pendingKeys.set(key, running);
    try {
      return await running;
    } finally {
      this.#pendingKeys.delete(key);
    }
  }

  receipt(key: string): ReceiptState {
    checkKey(key);
    const receipt = this.#machine.store.receipts.get(key);
    if (receipt !== undefined) return { state: 'committed', position: receipt.position };
    if (this.#pendingKeys.has(key)) return { state: 'pending' };
    // What another node has accepted meanwhile is not known here.
    this.#machine.expectCertain();
    return { state: 'absent' };
  }

  /** What a statement takes and gives. Throws SqlError. */
  async describe(name: string, sql: string): Promise<Description> {
    const database = this.#find(name);
    const { connection, view } = this.#sharedSeat(database);
    const described = attempt(() => connection.describe(sql));
    await this.#machine.settled(database, view.layer);
    this.#machine.expectCertain();
    if ('error' in described) throw described.error;
    return described.done;
  }

  openSession(name: string, isReadOnly: boolean = false): number {
    this.#find(name);
    const id = this.#nextSession++;
    this.#sessions.set(id, { id, name, isReadOnly, seat: undefined, begunMs: undefined, lost: undefined });
    return id;
  }

  /**
   * Does some work on a session's connection when it is its turn. Resolves when everything that it saw is accepted (N1), and rejects when the
   * connection was given up, with what was open.
   */
  async visit<T>(turn: SessionTurn, work: (connection: Connection) => T): Promise<Visit<T>> {
    const { key } = turn;
    if (key === undefined) return await this.#visit(turn, work);
    checkKey(key);
    while (this.#pendingKeys.has(key)) await this.#pendingKeys.get(key)?.catch(() => undefined);
    const receipt = this.#machine.store.receipts.get(key);
    if (receipt !== undefined) {
      this.#rollBack(turn.session);
      throw new BatonError(
        'USAGE',
        `the transaction ${key} was committed before, at ${formatPosition(receipt.position)}`,
        {
          hint: 'its receipt says so, too',
        },
      );
    }
    const visiting = this.#visit(turn, work);
    this.#pendingKeys.set(key, visiting);
    try {
      return await visiting;
    } finally {
      this.#pendingKeys.delete(key);
    }
  }

  /** Those who wait for their turn look whether they were interrupted. */
  wake(): void {
    for (const { resume } of this.#waiting.splice(0)) resume();
  }

  /** Rolls back what a session has open, and forgets it. */
  closeSession(id: number): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    this.#leave(session);
  }

  /** Rolls back transactions that are open for too long. Called from time to time. */
  expire(): void {
    const nowMs = performance.now();
    for (const session of this.#sessions.values()) {
      if (session.begunMs === undefined || nowMs - session.begunMs < this.#options.transactionMsMax) continue;
      session.lost = new BatonError(
        'TIMED_OUT',
        `the transaction was open for more than ${this.#options.transactionMsMax} ms, and was rolled back`,
        { retryable: true, hint: 'do less in one transaction, or raise transactionMsMax' },
      );
      this.#leave(session);
    }
  }

  /** Connections to a database know what never was: they go, and open transactions with them. */
  forget(database: Database): void {
    close(this.#shared.get(database));
    this.#shared.delete(database);
    for (const session of this.#sessions.values()) {
      if (session.seat?.database !== database) continue;
      if (session.begunMs !== undefined) {
        session.lost = new BatonError(
          'REFUSED',
          'the transaction stands on one that was not accepted, and was rolled back',
          {
            retryable: true,
            hint: 'begin it again',
          },
        );
      }
      this.#leave(session);
    }
    this.#resume();
  }

  [Symbol.dispose](): void {
    for (const id of [...this.#sessions.keys()]) this.closeSession(id);
    for (const seat of this.#shared.values()) close(seat);
    this.#shared.clear();
  }

  /** What a session has open was committed before, under the same key. */
  #rollBack(id: number): void {
    const { seat } = this.#session(id);
    if (seat !== undefined && !seat.connection.isAutocommit) seat.connection.run('ROLLBACK');
    this.#session(id).begunMs = undefined;
    this.#resume();
  }

  async #run(request: RunRequest): Promise<RunReply> {
    const session = request.session === undefined ? undefined : this.#session(request.session);
    for (let hasWaited = false; ; hasWaited = true) {
      const database = this.#find(session?.name ?? request.database);
      const seat = session === undefined ? this.#sharedSeat(database) : this.#sessionSeat(session, database);
      if (this.#mustWait(database, seat)) {
        await new Promise<void>((resume) => this.#waiting.push({ database, resume }));
        continue;
      }
      this.#machine.expectWritable();
      const sealedBefore = database.sealed;
      const outcome = this.#execute(request, seat, session);
      const hasWritten = database.sealed !== sealedBefore;
      // Who waited missed the flush that its caller began.
      if (hasWaited) void this.#machine.flush();
      const isAutocommit = session === undefined || seat.connection.isAutocommit;
      const position = await this.#machine.settled(database, seat.view.layer);
      if (!hasWritten) this.#expectCertain(session);
      if ('error' in outcome) throw outcome.error;
      return { results: outcome.results, position, isRepeated: false, isAutocommit };
    }
  }

  async #visit<T>(turn: SessionTurn, work: (connection: Connection) => T): Promise<Visit<T>> {
    const watch = watchOf(turn);
    for (let hasWaited = false; ; hasWaited = true) {
      if (watch.isInterrupted()) throw new BatonError('INTERRUPTED', 'the call was interrupted while it waited');
      const session = this.#session(turn.session);
      const database = this.#find(session.name);
      const seat = this.#sessionSeat(session, database);
      if (this.#mustWait(database, seat)) {
        await new Promise<void>((resume) => this.#waiting.push({ database, resume }));
        continue;
      }
      const { connection, view } = seat;
      const refusal = attempt(() => this.#expectReady(session));
      const sealedBefore = database.sealed;
      const value =
        'error' in refusal
          ? { error: packError(refusal.error) }
          : this.#attempt(seat, session, turn.key, () => connection.watch(watch, () => work(connection)));
      const isAutocommit = connection.isAutocommit;
      const hasWritten = database.sealed !== sealedBefore;
      if (hasWaited) void this.#machine.flush();
      const position = await this.#machine.settled(database, view.layer);
      if (hasWritten || 'error' in refusal) return { value, isAutocommit, position };
      const told = this.#certain(value, session);
      return { value: told, isAutocommit: isAutocommit || session.seat?.connection !== connection };
    }
  }

  #expectReady({ isReadOnly }: Session): void {
    if (isReadOnly) this.#machine.expectReadable();
    else this.#machine.expectWritable();
  }

  #attempt<T>(seat: Seat, session: Session, key: string | undefined, work: () => T): Visit<T>['value'] {
    const { connection, database } = seat;
    try {
      database.nextKey = key;
      return { done: work() };
    } catch (error) {
      return { error: packError(error) };
    } finally {
      if (database.writer !== seat.view) database.nextKey = undefined;
      session.begunMs = connection.isAtRest ? undefined : (session.begunMs ?? performance.now());
      if (connection.isAutocommit) this.#resume();
    }
  }

  /** What a call gave, an error too, or why it cannot be told: another node may lead by now (E5). */
  #certain<T>(value: Visit<T>['value'], session: Session): Visit<T>['value'] {
    try {
      this.#expectCertain(session);
      return value;
    } catch (error) {
      return { error: packError(error) };
    }
  }

  /** Throws UNAVAILABLE as the machine does. Then an open transaction is rolled back: its client does not know what is in it. */
  #expectCertain(session: Session | undefined): void {
    try {
      this.#machine.expectCertain();
    } catch (error) {
      if (session?.begunMs !== undefined) this.#leave(session);
      throw error;
    }
  }

  /** True while somebody else has a write transaction open, and this one has not begun. */
  #mustWait(database: Database, seat: Seat): boolean {
    return database.writer !== undefined && database.writer !== seat.view && seat.connection.isAutocommit;
  }

  #execute(request: RunRequest, seat: Seat, session: Session | undefined): Outcome {
    const results: SqlResult[] = [];
    const { connection, database } = seat;
    try {
      database.nextKey = request.key;
      const deadlineMs = performance.now() + request.timeoutMs;
      const limits = { deadlineMs, rowsMax: request.rowsMax, numbers: request.numbers };
      if (request.isAtomic) connection.run('BEGIN IMMEDIATE');
      for (const { sql, args } of request.statements) results.push(connection.run(sql, args, limits));
      if (request.isAtomic) connection.run('COMMIT');
      if (session === undefined && !connection.isAutocommit) {
        throw new BatonError('USAGE', 'a transaction was begun without a session', {
          hint: 'use transaction() or batch()',
        });
      }
      return { results };
    } catch (error) {
      if ((request.isAtomic || session === undefined) && !connection.isAutocommit) connection.run('ROLLBACK');
      return { results, error };
    } finally {
      if (database.writer !== seat.view) database.nextKey = undefined;
      if (session !== undefined)
        session.begunMs = connection.isAutocommit ? undefined : (session.begunMs ?? performance.now());
      if (connection.isAutocommit) this.#resume();
    }
  }

  #find(name: string): Database {
    const database = this.#machine.store.find(name);
    if (database !== undefined) return database;
    this.#machine.expectCertain();
    throw new BatonError('NOT_FOUND', `there is no database ${name}`, { hint: 'create it first' });
  }

  #session(id: number): Session {
    const session = this.#sessions.get(id);
    if (session === undefined) throw new BatonError('NOT_FOUND', `there is no session ${id}`);
    const { lost } = session;
    session.lost = undefined;
    if (lost !== undefined) throw lost;
    return session;
  }

  #sharedSeat(database: Database): Seat {
    const known = this.#shared.get(database);
    if (known !== undefined) return known;
    const seat = this.#seat(database, false);
    this.#shared.set(database, seat);
    return seat;
  }

  #sessionSeat(session: Session, database: Database): Seat {
    if (session.seat !== undefined && session.seat.database !== database) this.#leave(session);
    return (session.seat ??= this.#seat(database, true, session.isReadOnly));
  }

  #seat(database: Database, isOwn: boolean, isReadOnly: boolean = false): Seat {
    const view = this.#machine.view(database);
    const connection = new Connection(this.#engine, view, {
      isReadOnly,
      isOwn,
      cacheKib: this.#options.cacheKib,
    });
    return { database, connection, view };
  }

  #leave(session: Session): void {
    close(session.seat);
    session.seat = undefined;
    session.begunMs = undefined;
    this.#resume();
  }

  #resume(): void {
    const free = this.#waiting.filter(({ database }) => database.writer === undefined);
    for (const waiting of free) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.resume();
    }
  }
}

function attempt<T>(work: () => T): { readonly done: T } | { readonly error: unknown } {
  try {
    return { done: work() };
  } catch (error) {
    return { error };
  }
}

function close(seat: Seat | undefined): void {
  if (seat === undefined) return;
  seat.connection[Symbol.dispose]();
  seat.view.reset();
}
