import { BatonError } from '@batondb/core/errors';
import { formatDuration } from '@batondb/core/text/format';
import type { SqlValue } from '@batondb/sqlite';
import type { BatchEvent, Session, Statement, Step } from '@batondb/sqlite/databases';
import { runDotCommand } from './dot-commands.ts';
import { type Formatter, type Look, type Mode, makeFormatter } from './formats.ts';
import type { Sink } from './sink.ts';
import { StatementSplitter } from './splitter.ts';
import type { Target } from './target.ts';

/** What `.mode`, `.headers` and `.timer` set. */
export type ShellSettings = { mode: Mode; hasHeaders: boolean; hasTimer: boolean };

export type ShellOptions = {
  readonly target: Target;
  readonly standard: Sink;
  readonly settings: ShellSettings;
};

/** After these the session is of no use, and the next statement opens another one. */
const endsSession: ReadonlySet<string> = new Set(['CONNECTION_LOST', 'OUTCOME_UNKNOWN', 'UNREACHABLE', 'REFUSED']);

/** What a shell does with lines, whoever writes them. What goes wrong is thrown; the shell itself goes on. */
export class Shell implements AsyncDisposable {
  readonly target: Target;
  readonly settings: ShellSettings;
  readonly #standard: Sink;
  readonly #splitter = new StatementSplitter();
  #sink: Sink;
  #session: Session | undefined;
  #interruption = new AbortController();
  #isRunning = false;
  /** Set by `.quit`. */
  isAtEnd = false;

  constructor({ target, standard, settings }: ShellOptions) {
    this.target = target;
    this.settings = settings;
    this.#standard = standard;
    this.#sink = standard;
  }

  /** Whether a statement has begun that the next line continues. */
  get isWithinStatement(): boolean {
    return !this.#splitter.isBlank;
  }

  /** Whether a transaction is open. */
  get isInTransaction(): boolean {
    return this.#session?.isAutocommit === false;
  }

  /** What ends what runs now. */
  get signal(): AbortSignal {
    return this.#interruption.signal;
  }

  /** Takes a line: runs the statements that end in it, or the command that it is. */
  async line(text: string): Promise<void> {
    this.#isRunning = true;
    try {
      if (!this.isWithinStatement && text.startsWith('.')) return await runDotCommand(this, text);
      for (const statement of this.#splitter.push(`${text}\n`)) {
        await this.run(statement);
        if (this.isAtEnd) return;
      }
    } catch (error) {
      this.#splitter.clear();
      throw await this.#afterFailure(error);
    } finally {
      this.#isRunning = false;
    }
  }

  /** The text has ended: what is left without a semicolon is run, too. */
  async end(): Promise<void> {
    const rest = this.#splitter.isBlank ? '' : this.#splitter.pending;
    this.#splitter.clear();
    if (rest.trim() !== '') await this.line(`${rest.trim()}\n;`);
  }

  /** Interrupts what runs, or forgets the statement that was begun. False when there was nothing of either. */
  interrupt(): boolean {
    const wasBusy = this.#isRunning || this.isWithinStatement;
    this.#splitter.clear();
    const interruption = this.#interruption;
    this.#interruption = new AbortController();
    interruption.abort(new BatonError('INTERRUPTED', 'interrupted'));
    return wasBusy;
  }

  /** Runs a statement and shows what it gives. */
  async run(sql: string): Promise<void> {
    const startMs = performance.now();
    let formatter: Formatter | undefined;
    for await (const event of this.#events(sql)) {
      if (event.type === 'begin') formatter = this.#formatter(event.columns.map(({ name }) => name));
      else if (event.type === 'rows') await this.write(formatter?.rows(event.rows) ?? '');
      else if (event.type === 'end') await this.write(formatter?.end() ?? '');
    }
    if (this.settings.hasTimer) await this.write(`time: ${formatDuration(performance.now() - startMs)}\n`);
  }

  /** Rows of a statement, in pieces. */
  async *rows(sql: string, values: readonly SqlValue[] = []): AsyncGenerator<readonly (readonly SqlValue[])[], void> {
    for await (const event of this.#events(sql, values)) if (event.type === 'rows') yield event.rows;
  }

  /** Runs a statement with many lists of values, at one go. */
  async runWithEach(sql: string, lists: readonly (readonly SqlValue[])[]): Promise<void> {
    const session = await this.#open();
    const steps = lists.map((values, index): Step => {
      const condition = index === 0 ? undefined : ({ type: 'ok', step: index - 1 } as const);
      return { statement: statementOf(sql, values), condition };
    });
    const outcomes = await session.batch(steps, {}, this.signal);
    for (const outcome of outcomes) if (outcome.type === 'failed') throw outcome.error;
  }

  async write(text: string): Promise<void> {
    await this.#sink.write(text);
  }

  /** Shows rows that no statement gave. */
  async show(columns: readonly string[], rows: readonly (readonly SqlValue[])[]): Promise<void> {
    const formatter = this.#formatter(columns);
    await this.write(formatter.rows(rows) + formatter.end());
  }

  /** Writes to another place from now on; undefined: to standard output. */
  async redirect(sink: Sink | undefined): Promise<void> {
    const before = this.#sink;
    this.#sink = sink ?? this.#standard;
    await before[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.redirect(undefined);
    await this.#session?.close();
  }

  async *#events(sql: string, values: readonly SqlValue[] = []): AsyncGenerator<BatchEvent, void> {
    const session = await this.#open();
    const steps = [{ statement: statementOf(sql, values), condition: undefined }];
    for await (const events of session.cursor(steps, {}, this.signal)) {
      for (const event of events) {
        if (event.type === 'failed') throw event.error;
        yield event;
      }
    }
  }

  async #open(): Promise<Session> {
    this.#session ??= await this.target.open(this.signal);
    return this.#session;
  }

  #formatter(columns: readonly string[]): Formatter {
    const { mode, hasHeaders } = this.settings;
    const look: Look = { mode, hasHeaders, columns: this.#sink.columns };
    return makeFormatter(columns, look);
  }

  async #afterFailure(error: unknown): Promise<unknown> {
    if (!(error instanceof BatonError) || !endsSession.has(error.code)) return error;
    const wasInTransaction = this.isInTransaction;
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
    if (!wasInTransaction) return error;
    const hint = 'the transaction that was open is rolled back: begin it again';
    return new BatonError(error.code, error.message, { cause: error, retryable: error.retryable, hint });
  }
}

function statementOf(sql: string, values: readonly SqlValue[]): Statement {
  return { sql, values, namedValues: [], wantRows: true };
}
