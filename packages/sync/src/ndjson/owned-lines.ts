import { groupsOf } from '../group-commit.ts';
import type { LoadResult, OwnedSink, SinkState, TableLoad, TableRecord } from '../sink.ts';
import type { Position, StreamEvent } from '../stream.ts';
import { nameOf, type Row, type Table } from '../table.ts';
import { groupLimits, linesLimits } from './limits.ts';
import {
  type Commit,
  changeLine,
  dropLine,
  dumpedLine,
  dumpLine,
  readFrameOf,
  readLineOf,
  tableLine,
} from './lines.ts';
import { TableMemory } from './table-memory.ts';

/** Where lines go. Calls come one after the other. */
export interface LinesTarget extends AsyncDisposable {
  /** Lines that count with the next commit. */
  add(text: string): void;
  /** The same, as UTF-8. */
  addBytes(bytes: Buffer): void;
  /** `changed` are records of tables that are to be kept with the position. */
  commit(commit: Commit, changed: ReadonlyMap<string, TableRecord | null>): void;
  /** Writes what was added. Once it resolves, the last commit is held durably, as far as this target can say so (Y3). */
  flush(): Promise<void>;
  /** Takes back what was added since the last commit, or says that it does not count. */
  rollBack(): Promise<void>;
}

/** What all sinks of lines have in common: events become lines, and lines that count are committed. */
export class OwnedLines implements OwnedSink {
  readonly lost: AbortSignal;
  readonly #target: LinesTarget;
  readonly #held: AsyncDisposable;
  readonly #memory: TableMemory;
  #position: Position | undefined;
  #isOpen: boolean;
  /** Flushes, and the loads that wait for them. */
  #flushing: Promise<void> = Promise.resolve();
  #waitingCharacters = 0;

  /** `held` has the target, and what is to be given back with it. */
  constructor(target: LinesTarget, held: AsyncDisposable, state: SinkState, lost: AbortSignal) {
    this.#target = target;
    this.#held = held;
    this.#memory = new TableMemory(state.tables);
    this.#position = state.position;
    this.#isOpen = state.isOpen;
    this.lost = lost;
  }

  get state(): SinkState {
    return { position: this.#position, isOpen: this.#isOpen, tables: this.#memory.records };
  }

  async begin(position: Position, tables: readonly Table[], isDumped: boolean): Promise<void> {
    const names = new Set(tables.map(nameOf));
    for (const [name, record] of this.#memory.records) {
      if (names.has(name)) continue;
      this.#target.add(dropLine(record));
      this.#memory.forget(name);
    }
    for (const table of tables) {
      this.#target.add(tableLine(table));
      this.#memory.remember(table, { dumpedAt: isDumped ? position : undefined, isResyncing: false });
    }
    this.#commit({ position, committedAtMs: undefined, isOpen: !isDumped });
    await this.#flush();
  }

  async load(table: Table): Promise<TableLoad> {
    this.#memory.remember(table, { dumpedAt: undefined, isResyncing: false });
    this.#target.add(tableLine(table));
    this.#target.add(dumpLine(table));
    if (this.#position !== undefined)
      this.#commit({ position: this.#position, committedAtMs: undefined, isOpen: true });
    await this.#flush();
    let rows = 0;
    return {
      write: async (batch) => {
        rows += batch.length;
        await this.#write(table, batch);
      },
      json: {
        frame: readFrameOf(table),
        write: async (batch) => {
          rows += batch.length;
          this.#target.addBytes(batch.bytes);
          await this.#added(batch.bytes.length);
        },
      },
      finish: async (dumpedAt): Promise<LoadResult> => {
        this.#memory.remember(table, { dumpedAt });
        this.#target.add(dumpedLine(table, dumpedAt));
        this.#commit({ position: this.#position ?? dumpedAt, committedAtMs: undefined, isOpen: true });
        await this.#flush();
        // What went is known to who reads the lines.
        return { rows, written: rows, deleted: 0 };
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async *apply(batches: AsyncIterable<readonly StreamEvent[]>): AsyncGenerator<Position, void, undefined> {
    let isInside = false;
    try {
      for await (const { events, end } of groupsOf(batches, groupLimits)) {
        for (const event of events) this.#tell(event);
        isInside = end === undefined;
        await this.#flush();
        if (end !== undefined) yield end.position;
      }
    } finally {
      // A target that cannot do it fails at the next call, too; what ended the stream is worth more to a reader.
      if (isInside) await this.#rollBack().catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#held[Symbol.asyncDispose]();
  }

  #tell(event: StreamEvent): void {
    if (event.kind === 'begin') return;
    if (event.kind === 'commit' || event.kind === 'reached') {
      this.#memory.end(event.position);
      const committedAtMs = event.kind === 'commit' ? event.committedAtMs : undefined;
      this.#commit({ position: event.position, committedAtMs, isOpen: event.isOpen ?? false });
      return;
    }
    this.#memory.apply(event);
    this.#target.add(changeLine(event));
  }

  async #write(table: Table, rows: readonly Row[]): Promise<void> {
    const lineOf = readLineOf(table);
    for (const row of rows) {
      const line = lineOf(row);
      this.#target.add(line);
      const written = this.#added(line.length);
      if (written !== undefined) await written;
    }
  }

  /** Has to be awaited when it returns a promise. */
  #added(characters: number): Promise<void> | undefined {
    this.#waitingCharacters += characters;
    return this.#waitingCharacters >= linesLimits.pieceCharacters ? this.#flush() : undefined;
  }

  #commit(commit: Commit): void {
    this.#target.commit(commit, this.#memory.takeChanged());
    this.#position = commit.position;
    this.#isOpen = commit.isOpen;
  }

  async #rollBack(): Promise<void> {
    this.#memory.rollBack();
    await this.#target.rollBack();
  }

  /** One at a time. Whoever adds while one is under way waits for the next. */
  async #flush(): Promise<void> {
    this.#waitingCharacters = 0;
    this.#flushing = this.#flushing.then(() => this.#target.flush());
    await this.#flushing;
  }
}
