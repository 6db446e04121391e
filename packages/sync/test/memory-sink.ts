import type {
  LoadResult,
  OwnedSink,
  Position,
  Row,
  Sink,
  SinkState,
  StreamEvent,
  Table,
  TableLoad,
  TableRecord,
} from '@batondb/sync';
import { keyOf, nameOf } from '@batondb/sync';
import { recordOf } from '@batondb/sync/table-record';
import { applyChange, type Contents, type Fault } from './memory-source.ts';

// A sink that is a map, for tests of the loop. What is stored outlives its owners.

type Touched = { readonly position: Position; readonly table: string; readonly key: Row };

export class MemorySink implements Sink {
  readonly address = 'memory';
  contents = new Map<string, Map<string, Row>>();
  state: SinkState = { position: undefined, isOpen: false, tables: new Map() };
  readonly touched: Touched[] = [];
  /** Called after every step that is durable. */
  onStep: (sink: MemorySink) => void = () => {};
  readonly fault: Fault;

  constructor(fault: Fault) {
    this.fault = fault;
  }

  get rows(): Contents {
    return this.contents;
  }

  async own(): Promise<OwnedSink> {
    return new OwnedMemory(this);
  }

  /** One atomic step. */
  step(state: Partial<SinkState>, contents = this.contents): void {
    this.fault('write');
    this.contents = contents;
    this.state = { ...this.state, ...state };
    this.onStep(this);
    this.fault('written');
  }
}

class OwnedMemory implements OwnedSink {
  readonly lost: AbortSignal = new AbortController().signal;
  readonly #sink: MemorySink;

  constructor(sink: MemorySink) {
    this.#sink = sink;
  }

  get state(): SinkState {
    return this.#sink.state;
  }

  async begin(position: Position, tables: readonly Table[], isDumped: boolean): Promise<void> {
    const records = tables.map((table) =>
      recordOf(table, { dumpedAt: isDumped ? position : undefined, isResyncing: false }),
    );
    for (const { name } of tables) if (!this.#sink.contents.has(name)) this.#sink.contents.set(name, new Map());
    this.#sink.step({ position, isOpen: true, tables: new Map(records.map((record) => [nameOf(record), record])) });
  }

  async load(table: Table): Promise<TableLoad> {
    const loaded = new Map<string, Row>();
    return {
      write: async (rows): Promise<void> => {
        this.#sink.fault('load');
        for (const row of rows) loaded.set(JSON.stringify(keyOf(table, row)), row);
      },
      finish: async (dumpedAt): Promise<LoadResult> => {
        const contents = copyOf(this.#sink.contents);
        contents.set(table.name, loaded);
        this.#sink.step({ tables: this.#with(recordOf(table, { dumpedAt, isResyncing: false })) }, contents);
        return { rows: loaded.size, written: loaded.size, deleted: 0 };
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async *apply(batches: AsyncIterable<readonly StreamEvent[]>): AsyncIterable<Position> {
    let contents = copyOf(this.#sink.contents);
    let tables = new Map(this.state.tables);
    let touched: Omit<Touched, 'position'>[] = [];
    for await (const event of eventsOf(batches)) {
      if (event.kind === 'begin') continue;
      if (event.kind === 'commit' || event.kind === 'reached') {
        const { position, isOpen = false } = event;
        this.#sink.touched.push(...touched.map((touch) => ({ ...touch, position })));
        this.#sink.step({ position, isOpen, tables }, contents);
        contents = copyOf(contents);
        tables = new Map(tables);
        touched = [];
        yield position;
        continue;
      }
      if (event.kind === 'resync') {
        const record = tables.get(nameOf(event.table))!;
        tables.set(nameOf(event.table), { ...record, isResyncing: event.state === 'begin' });
        continue;
      }
      for (const [table, key] of keysOf(event, contents)) touched.push({ table: nameOf(table), key });
      applyChange(contents, event);
    }
  }

  async *keys(table: Table): AsyncIterable<readonly Row[]> {
    yield [...this.#sink.contents.get(table.name)!.keys()].map((key) => JSON.parse(key) as Row);
  }

  async touchedAfter(
    isKnown: (position: Position) => boolean,
  ): Promise<AsyncIterable<{ table: TableRecord; keys: readonly Row[] }>> {
    const late = this.#sink.touched.filter(({ position }) => !isKnown(position));
    const tables = this.state.tables;
    return (async function* () {
      for (const { table, key } of late) yield { table: tables.get(table)!, keys: [key] };
    })();
  }

  async rewind(position: Position, tables: readonly Table[]): Promise<void> {
    const marked = new Map(this.state.tables);
    for (const table of tables) marked.set(nameOf(table), { ...marked.get(nameOf(table))!, isResyncing: true });
    this.#sink.step({ position, isOpen: true, tables: marked });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #with(record: TableRecord): ReadonlyMap<string, TableRecord> {
    return new Map([...this.state.tables, [nameOf(record), record]]);
  }
}

async function* eventsOf(batches: AsyncIterable<readonly StreamEvent[]>): AsyncIterable<StreamEvent> {
  for await (const batch of batches) yield* batch;
}

function* keysOf(event: StreamEvent, contents: Contents): Iterable<readonly [Table, Row]> {
  if (event.kind === 'insert' || event.kind === 'update') yield [event.table, keyOf(event.table, event.row)];
  if ((event.kind === 'delete' || event.kind === 'update') && event.old !== undefined) {
    yield [event.table, keyOf(event.table, event.old)];
  }
  if (event.kind !== 'truncate') return;
  for (const table of event.tables) {
    for (const key of contents.get(table.name)!.keys()) yield [table, JSON.parse(key) as Row];
  }
}

function copyOf(contents: Contents): Map<string, Map<string, Row>> {
  return new Map([...contents].map(([name, rows]) => [name, new Map(rows)]));
}
