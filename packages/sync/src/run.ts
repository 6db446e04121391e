import { BatonError } from '@batondb/core/errors';
import { CatchUp } from './catch-up.ts';
import { dumpTables } from './dump.ts';
import type { Gate } from './gate.ts';
import { knownShape } from './mapping/known-shape.ts';
import { mapEvent } from './mapping/map-event.ts';
import { expectDistinct, type Mapping } from './mapping/mapping.ts';
import { prepareRepair } from './repair.ts';
import { Resyncs } from './resyncs.ts';
import type { OwnedSink } from './sink.ts';
import type { KnownTables, ResyncRequest, RowSnapshot, SourceSession, TableSnapshot } from './source.ts';
import type { Position, StreamEvent } from './stream.ts';
import { nameOf, type Table } from './table.ts';
import type { Tally } from './tally.ts';

// One try: from an owned sink and an open source until the end, or until something fails.

export type RunParts = {
  readonly session: SourceSession;
  readonly sink: OwnedSink;
  readonly mapping: Mapping;
  readonly tally: Tally;
  readonly gate: Gate;
};

export type RunOptions = {
  /** `dump`: a state and no more. `sync`: what the sink has is taken to be the state where the stream begins. */
  readonly phases: 'both' | 'dump' | 'sync';
  /** Ends at the first commit there or after it at which the sink's tables are at one position. */
  readonly until: string | undefined;
  /** Parts that are read at a time. */
  readonly jobs: number;
};

/** Where the stream begins, and what is to be done before and beside it. */
type Beginning = {
  readonly after: Position;
  /** By `Table.id`. */
  readonly dumpedAt: Map<string, Position>;
  readonly toDump: readonly Table[];
  readonly repair: readonly ResyncRequest[] | undefined;
};

export class Run {
  readonly #parts: RunParts;
  readonly #options: RunOptions;
  /** The source's own tables, by id. */
  readonly #tables = new Map<string, Table>();

  constructor(parts: RunParts, options: RunOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Ends when the options say so, or with the signal. Throws what stands with the source and the sink. */
  async toEnd(signal: AbortSignal): Promise<void> {
    const tables = await this.#selected();
    if (this.#options.phases === 'dump') return await this.#dumpOnly(tables, signal);
    const beginning = await this.#begin(tables);
    if (beginning.toDump.length > 0) await this.#dump(beginning, signal);
    await this.#stream(beginning, signal);
  }

  /** Reads a table anew beside the stream. Throws NOT_FOUND. */
  resync(name: string): void {
    const { session, mapping } = this.#parts;
    const table = [...this.#tables.values()].find(
      (candidate) => nameOf(candidate) === name && mapping.includes(candidate),
    );
    if (table === undefined) {
      const known = [...this.#tables.values()].map(nameOf).join(', ');
      throw new BatonError('NOT_FOUND', `no table ${name} is synced: there are ${known}`);
    }
    session.resync({ table });
  }

  /** The tables that are published and wanted. Throws USAGE for those that cannot be told apart. */
  async #selected(): Promise<readonly Table[]> {
    const { session, mapping } = this.#parts;
    const tables = (await session.tables()).filter((table) => mapping.map(table) !== undefined);
    if (tables.length === 0) {
      throw new BatonError('NOT_FOUND', `${session.node} publishes no table that is wanted`, {
        hint: 'look what the publication has (baton sync check), and at --include and --exclude',
      });
    }
    expectDistinct(tables.map((table) => mapping.map(table)!.table));
    for (const table of tables) this.#tables.set(table.id, table);
    return tables;
  }

  async #begin(tables: readonly Table[]): Promise<Beginning> {
    const { session, sink, tally } = this.#parts;
    const stored = sink.state.position;
    if (stored === undefined) return await this.#beginAt(await session.start(), tables);
    const resumption = await session.resumption(stored);
    if (resumption.kind === 'continues') return await this.#resume(resumption.position, tables, undefined);
    if (resumption.kind === 'diverged') {
      tally.diverged(resumption.reason, resumption.position);
      const repair = await prepareRepair(this.#parts, resumption.position, (id) => this.#sinkKeyed(id));
      if (repair !== undefined) return await this.#resume(resumption.position, tables, repair);
    }
    tally.historyLost(resumption.reason, resumption.position);
    return await this.#beginAt(resumption.position, tables);
  }

  async #beginAt(after: Position, tables: readonly Table[]): Promise<Beginning> {
    const { sink, mapping } = this.#parts;
    const isDumped = this.#options.phases === 'sync';
    await sink.begin(
      after,
      tables.map((table) => mapping.map(table)!.table),
      isDumped,
    );
    return { after, dumpedAt: new Map(), toDump: isDumped ? [] : tables, repair: undefined };
  }

  async #resume(after: Position, tables: readonly Table[], repair: Beginning['repair']): Promise<Beginning> {
    const { session, sink, tally } = this.#parts;
    const dumpedAt = new Map<string, Position>();
    for (const { id, dumpedAt: at } of sink.state.tables.values()) {
      if (at === undefined) continue;
      // A dump is ahead of the stream. A failover between the two may have lost what the dump has, and no stream ever tells of it.
      const resumption = session.isBefore(after, at) ? await session.resumption(at) : undefined;
      if (resumption?.kind === 'diverged') tally.diverged(resumption.reason, resumption.position);
      if (resumption === undefined || resumption.kind === 'continues') dumpedAt.set(id, at);
    }
    return { after, dumpedAt, toDump: tables.filter(({ id }) => !dumpedAt.has(id)), repair };
  }

  async #dump({ toDump, dumpedAt }: Beginning, signal: AbortSignal): Promise<Position> {
    const { session, sink, mapping, tally } = this.#parts;
    await using snapshot = await session.snapshot(toDump, signal);
    tally.dumping(this.#named(snapshot), snapshot.position);
    await dumpTables(snapshot, sink, { mapping, tally, jobs: this.#options.jobs }, signal);
    for (const { id } of toDump) dumpedAt.set(id, snapshot.position);
    return snapshot.position;
  }

  #named({ tables }: RowSnapshot): readonly { readonly name: string; readonly snapshot: TableSnapshot }[] {
    return tables.map((snapshot) => ({ name: nameOf(this.#parts.mapping.map(snapshot.table)!.table), snapshot }));
  }

  /** All tables at one position, and the sink says that it is there. It begins anew each time: what an earlier try has dumped was at another one. */
  async #dumpOnly(tables: readonly Table[], signal: AbortSignal): Promise<void> {
    const { session, sink, mapping, tally } = this.#parts;
    await using snapshot = await session.snapshot(tables, signal);
    const { position } = snapshot;
    await sink.begin(
      position,
      tables.map((table) => mapping.map(table)!.table),
      false,
    );
    tally.dumping(this.#named(snapshot), position);
    await dumpTables(snapshot, sink, { mapping, tally, jobs: this.#options.jobs }, signal);
    const close = async function* (): AsyncIterable<readonly StreamEvent[]> {
      yield [{ kind: 'reached', position }];
    };
    for await (const durable of sink.apply(close())) tally.durable(durable);
  }

  async #stream({ after, dumpedAt, repair }: Beginning, signal: AbortSignal): Promise<void> {
    const { session, sink, tally } = this.#parts;
    const catchUp = new CatchUp(session, after, dumpedAt);
    const unfinished = [...sink.state.tables.values()].filter(({ isResyncing }) => isResyncing).map(({ id }) => id);
    // A sink that was left open in the middle of a repair stays so until all of it has been read anew.
    using resyncs = new Resyncs(session, sink, (id) => this.#sinkKeyed(id), sink.state.isOpen ? unfinished : []);
    const batches = session.stream(after, this.#known(), signal);
    for (const request of repair ?? []) session.resync(request);
    for (const id of unfinished) {
      const table = this.#tables.get(id);
      if (table !== undefined && !repair?.some((request) => request.table.id === id)) session.resync({ table });
    }
    tally.streaming(after);
    for await (const position of sink.apply(this.#shape(batches, { catchUp, resyncs }, signal))) {
      session.acknowledge(position);
      tally.durable(position);
    }
  }

  /** What the stream tells, as it concerns the sink. */
  async *#shape(
    batches: AsyncIterable<readonly StreamEvent[]>,
    { catchUp, resyncs }: { readonly catchUp: CatchUp; readonly resyncs: Resyncs },
    signal: AbortSignal,
  ): AsyncIterable<readonly StreamEvent[]> {
    const { mapping, tally, gate, session } = this.#parts;
    const until = this.#options.until === undefined ? undefined : session.parsePosition(this.#options.until);
    for await (const batch of batches) {
      await gate.pass(signal);
      const events: StreamEvent[] = [];
      for (const told of batch) {
        if (told.kind === 'reshape') this.#tables.set(told.table.id, told.table);
        const wanted = mapEvent(told, mapping);
        const caught = wanted && catchUp.take(wanted);
        const event = caught && resyncs.take(caught);
        if (event === undefined) continue;
        const isEnd = event.kind === 'commit' || event.kind === 'reached';
        const isOpen = !catchUp.isDone || resyncs.isRepairing || (isEnd && event.isOpen === true);
        const shown = isEnd && isOpen ? { ...event, isOpen } : event;
        tally.take(shown);
        events.push(shown);
        if (isEnd && !isOpen && until !== undefined && !session.isBefore(event.position, until)) {
          yield events;
          return;
        }
      }
      if (events.length > 0) yield events;
    }
  }

  #sinkKeyed(id: string): Table | undefined {
    const table = this.#tables.get(id);
    return table && this.#parts.mapping.withSinkKey(table);
  }

  #known(): KnownTables {
    const { sink, mapping } = this.#parts;
    const shapes = new Map(
      [...sink.state.tables.values()].map((record) => [
        record.id,
        knownShape(record, this.#tables.get(record.id), mapping),
      ]),
    );
    const { rowsNameColumns = false, needsKeys = false } = sink;
    return { shapes, rowsNameColumns, needsKeys };
  }
}
