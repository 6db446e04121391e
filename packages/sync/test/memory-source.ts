import { BatonError } from '@batondb/core/errors';
import type { Change, Position, Row, RowSnapshot, Source, SourceSession, StreamEvent, Table } from '@batondb/sync';
import { keyOf } from '@batondb/sync';
import type { KnownTables, Observation, Resumption, ResyncRequest } from '@batondb/sync/source';

// A source that is a list of transactions, for tests of the loop: every state that it ever had is known, and it fails where it is told to.

export type MemoryTransaction = readonly Change[];
export type Contents = ReadonlyMap<string, ReadonlyMap<string, Row>>;

/** What goes wrong: called at every step, throws to fail. */
export type Fault = (step: string) => void;

/** `TIMELINE/INDEX`. */
const textOf = (timeline: number, index: number): Position => `${timeline}/${index}`;

/** How many transactions a position is after. */
export function indexOf(position: Position): number {
  return Number(position.split('/')[1]);
}
const keyText = (table: Table, row: Row): string => JSON.stringify(keyOf(table, row));

export class MemorySource implements Source {
  readonly address = 'memory';
  readonly history: MemoryTransaction[] = [];
  /** Transactions that are not kept any more. */
  trimmed = 0;
  /** What happens while something is being read: tests add transactions. */
  meanwhile: () => void = () => {};
  timeline = 1;
  /** Where each timeline was left by the next, from the first on. */
  readonly #switchpoints: number[] = [];
  readonly #tables: readonly Table[];
  readonly #fault: Fault;

  constructor(tables: readonly Table[], fault: Fault) {
    this.#tables = tables;
    this.#fault = fault;
  }

  /** Rows of all tables after so many transactions, by table and key. */
  contentsAt(count: number): Contents {
    const contents = new Map(this.#tables.map((table) => [table.name, new Map<string, Row>()]));
    for (const change of this.history.slice(0, count).flat()) applyChange(contents, change);
    return contents;
  }

  /** A failover to a node that has only the first transactions. */
  failOver(kept: number): void {
    this.history.length = kept;
    this.timeline++;
    this.#switchpoints.push(kept);
  }

  /** How far a timeline has what the present one has. */
  sharedWith(timeline: number): number {
    return Math.min(...this.#switchpoints.slice(timeline - 1), this.history.length);
  }

  positionAt(index: number): Position {
    return textOf(this.timeline, index);
  }

  async open(): Promise<SourceSession> {
    this.#fault('open');
    return new MemorySession(this, this.#tables, this.#fault);
  }
}

/** Rows after a change, in place. */
export function applyChange(contents: Map<string, Map<string, Row>>, change: Change): void {
  if (change.kind === 'truncate') {
    for (const { name } of change.tables) contents.get(name)?.clear();
  } else if (change.kind === 'insert' || change.kind === 'update') {
    const rows = contents.get(change.table.name)!;
    if (change.kind === 'update' && change.old !== undefined) rows.delete(keyText(change.table, change.old));
    rows.set(keyText(change.table, change.row), change.row);
  } else if (change.kind === 'delete') {
    contents.get(change.table.name)!.delete(keyText(change.table, change.old));
  }
}

class MemorySession implements SourceSession {
  readonly node = 'memory';
  readonly #source: MemorySource;
  readonly #tables: readonly Table[];
  readonly #fault: Fault;
  readonly #requests: ResyncRequest[] = [];

  constructor(source: MemorySource, tables: readonly Table[], fault: Fault) {
    this.#source = source;
    this.#tables = tables;
    this.#fault = fault;
  }

  async start(): Promise<Position> {
    return this.#source.positionAt(this.#source.trimmed);
  }

  async resumption(stored: Position): Promise<Resumption> {
    const { trimmed } = this.#source;
    const index = indexOf(stored);
    const at = (place: number): Position => this.#source.positionAt(place);
    if (index < trimmed) return { kind: 'lost', position: at(trimmed), reason: 'trimmed' };
    const shared = this.#source.sharedWith(Number(stored.split('/')[0]));
    if (index > shared) return { kind: 'diverged', position: at(shared), reason: 'failover' };
    return { kind: 'continues', position: at(index) };
  }

  async tables(): Promise<readonly Table[]> {
    return this.#tables;
  }

  async snapshot(tables: readonly Table[]): Promise<RowSnapshot> {
    const count = this.#source.history.length;
    const contents = this.#source.contentsAt(count);
    const read = this.#readRows.bind(this);
    return {
      position: this.#source.positionAt(count),
      tables: tables.map((table) => {
        const rows = [...contents.get(table.name)!.values()];
        const half = Math.ceil(rows.length / 2);
        const parts = [rows.slice(0, half), rows.slice(half)].filter((part) => part.length > 0);
        return {
          table,
          estimatedRows: rows.length,
          estimatedBytes: 1,
          parts: parts.map((part) => ({ read: () => read(part) })),
        };
      }),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async observe(tables: readonly Table[]): Promise<Observation> {
    const snapshot = await this.snapshot(tables);
    return {
      ...snapshot,
      isReachedBy: (position) => !this.isBefore(position, snapshot.position),
      changes: (signal) =>
        this.stream(snapshot.position, { shapes: new Map(), rowsNameColumns: false, needsKeys: false }, signal),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async *stream(after: Position, _known: KnownTables, signal: AbortSignal): AsyncIterable<readonly StreamEvent[]> {
    let next = indexOf(after);
    if (next < this.#source.trimmed) throw new BatonError('HISTORY_LOST', 'trimmed');
    while (!signal.aborted) {
      this.#fault('stream');
      if (next < this.#source.history.length) {
        const position = this.#source.positionAt(next + 1);
        yield [
          { kind: 'begin', transaction: position, commitsAt: this.#source.positionAt(next), committedAtMs: undefined },
        ];
        yield this.#source.history[next]!;
        next++;
        yield [{ kind: 'commit', position, committedAtMs: undefined }];
      } else if (this.#requests.length > 0) {
        yield* this.#reread(this.#requests.shift()!, next);
      } else {
        yield [{ kind: 'reached', position: this.#source.positionAt(next) }];
        this.#source.meanwhile();
        await new Promise(setImmediate);
      }
    }
  }

  acknowledge(position: Position): void {
    if (indexOf(position) > this.#source.history.length) throw new Error(`${position} was never told`);
  }

  parsePosition(position: string): Position {
    return this.#source.positionAt(Number(position));
  }

  isBefore(position: Position, other: Position): boolean {
    return indexOf(position) < indexOf(other);
  }

  resync(request: ResyncRequest): void {
    this.#requests.push(request);
  }

  async status(): Promise<never> {
    throw new BatonError('UNAVAILABLE', 'a list has no status');
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async *#readRows(rows: readonly Row[]): AsyncIterable<readonly Row[]> {
    for (const row of rows) {
      this.#fault('read');
      yield [row];
      this.#source.meanwhile();
    }
  }

  /** Exact where it appears: nothing happens between what is read and what is told. */
  async *#reread({ table, keys }: ResyncRequest, next: number): AsyncIterable<readonly StreamEvent[]> {
    const scope = keys === undefined ? 'table' : 'keys';
    const position = this.#source.positionAt(next);
    const begin: StreamEvent = { kind: 'begin', transaction: 'resync', commitsAt: position, committedAtMs: undefined };
    const commit: StreamEvent = { kind: 'commit', position, committedAtMs: undefined };
    yield [begin, { kind: 'resync', table, state: 'begin', scope }, commit];
    const asked: Row[] = [];
    for await (const some of keys ?? []) asked.push(...some);
    const rows = this.#source.contentsAt(next).get(table.name)!;
    const wanted = keys === undefined ? [...rows.keys()] : asked.map((key) => JSON.stringify(key));
    yield [begin];
    for (const key of wanted) {
      const row = rows.get(key);
      if (row !== undefined) yield [{ kind: 'insert', table, row }];
      else
        yield [
          {
            kind: 'delete',
            table,
            old: table.columns.map((_, place) => (JSON.parse(key) as Row)[table.key.indexOf(place)]),
          },
        ];
    }
    yield [{ kind: 'resync', table, state: 'end', scope }, commit];
  }
}
