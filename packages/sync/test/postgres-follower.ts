// A sink in memory for tests of the PostgreSQL source: it folds events into rows, and finds fault with what no stream may do.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { PostgresServer } from '@batondb/testbed/postgres';
import type { Sandbox } from '@batondb/testbed/sandbox';
import { parsePostgresAddress } from '../src/postgres/address.ts';
import { passwordSource } from '../src/postgres/passwords.ts';
import { PostgresSource, type PostgresSourceOptions } from '../src/postgres/source.ts';
import type { KnownShape, SourceSession } from '../src/source.ts';
import type { Change, Position, StreamEvent } from '../src/stream.ts';
import { keyOf, nameOf, type Row, type Table } from '../src/table.ts';

/** A source for the publication and the slot `baton` of a test's server. */
export function sourceOf(
  server: PostgresServer,
  sandbox: Sandbox,
  more: Partial<PostgresSourceOptions> = {},
): PostgresSource {
  const address = parsePostgresAddress(server.url({ withPassword: true }), {});
  const source = new PostgresSource({
    address,
    passwordFor: passwordSource(address, {}, undefined),
    slot: 'baton',
    publications: ['baton'],
    spillDirectory: sandbox.join('unfinished'),
    onNotice: () => undefined,
    ...more,
  });
  servers.set(source, { server, slot: more.slot ?? 'baton' });
  return source;
}

const servers = new WeakMap<PostgresSource, { readonly server: PostgresServer; readonly slot: string }>();

/** A server takes a moment to notice that the reader of a slot has gone. */
async function slotIsFree(source: PostgresSource): Promise<void> {
  const { server, slot } = servers.get(source)!;
  while ((await server.psql(`SELECT active FROM pg_replication_slots WHERE slot_name = '${slot}'`)) === 't')
    await delay(50);
}

export const setup =
  "CREATE PUBLICATION baton FOR ALL TABLES; SELECT pg_create_logical_replication_slot('baton', 'pgoutput')";

/** What a sink would hold. Rows of tables without a key are kept by their text. */
export class Follower implements AsyncDisposable {
  readonly session: SourceSession;
  /** By name, then by the key's text. */
  readonly tables = new Map<string, Map<string, Row>>();
  readonly shapes = new Map<string, Table>();
  /** Kinds of changes, in order, with the table's name: `insert public.t`. */
  readonly changes: string[] = [];
  transactions = 0;
  /** Awaited after each batch. */
  pace: (events: readonly StreamEvent[]) => Promise<void> = async () => undefined;
  /** Changes go here instead. */
  take: ((change: Change) => void) | undefined;
  acknowledges = true;
  position: Position;
  isOpen = false;
  failure: Error | undefined;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(session: SourceSession, position: Position) {
    this.session = session;
    this.position = position;
  }

  #known(): ReadonlyMap<string, KnownShape> {
    return new Map([...this.shapes].map(([id, table]) => [id, shapeOf(table)]));
  }

  /** Begins at a position, or where the slot is, with the shapes of now and no rows. */
  static async start(
    source: PostgresSource,
    options: { position?: Position; from?: Follower } = {},
  ): Promise<Follower> {
    await slotIsFree(source);
    const session = await source.open(new AbortController().signal);
    const follower = new Follower(session, options.from?.position ?? options.position ?? (await session.start()));
    const tables = await session.tables();
    if (options.from === undefined) for (const table of tables) follower.shapes.set(table.id, table);
    else {
      for (const [id, shape] of options.from.shapes) follower.shapes.set(id, shape);
      for (const [name, rows] of options.from.tables) follower.tables.set(name, rows);
    }
    follower.#running = follower.#run().catch((error: unknown) => {
      follower.failure = error instanceof Error ? error : new Error(String(error));
    });
    return follower;
  }

  rows(name: string): Map<string, Row> {
    const rows = this.tables.get(name) ?? new Map<string, Row>();
    this.tables.set(name, rows);
    return rows;
  }

  /** Waits until the stream has come to the end of the server's log, or to a place in it, and nothing is being read anew. */
  async catchUp(server: PostgresServer): Promise<void> {
    const lsn = await server.psql(
      "SELECT pg_logical_emit_message(true, 'test', ''); SELECT pg_current_wal_flush_lsn()",
    );
    const end = this.session.parsePosition(lsn.split('\n').at(-1) ?? '');
    await this.until('the end of the log', () => !this.isOpen && !this.session.isBefore(this.position, end));
  }

  async until(what: string, isThere: () => boolean): Promise<void> {
    for (const endsAt = Date.now() + 60_000; !isThere(); ) {
      if (this.failure !== undefined) throw this.failure;
      assert.ok(Date.now() < endsAt, `${what} was not reached: at ${this.position}, open ${this.isOpen}`);
      await delay(10);
    }
  }

  /** Waits for the stream to fail. */
  async ended(): Promise<unknown> {
    await this.#running;
    return this.failure;
  }

  /** A table's rows as text, sorted; to be compared with those of `rowsOf`. */
  sorted(name: string): string[] {
    return [...this.rows(name).values()].map((row) => JSON.stringify(row)).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the test is over'));
    await this.session[Symbol.asyncDispose]();
    await this.#running;
  }

  async #run(): Promise<void> {
    let isInside = false;
    for await (const events of this.session.stream(
      this.position,
      { shapes: this.#known(), rowsNameColumns: false, needsKeys: false },
      this.#stop.signal,
    )) {
      for (const event of events) {
        switch (event.kind) {
          case 'begin':
            assert.ok(!isInside, 'a transaction begins in another one');
            assert.ok(
              !this.session.isBefore(event.commitsAt, this.position),
              'a transaction commits before the last one',
            );
            isInside = true;
            break;
          case 'commit':
          case 'reached':
            assert.equal(isInside, event.kind === 'commit');
            assert.ok(!this.session.isBefore(event.position, this.position), 'positions go back');
            isInside = false;
            this.position = event.position;
            this.isOpen = event.isOpen ?? false;
            if (event.kind === 'commit') this.transactions++;
            if (this.acknowledges) this.session.acknowledge(event.position);
            break;
          default:
            assert.ok(isInside, `${event.kind} outside of a transaction`);
            (this.take ?? ((change: Change) => this.#take(change)))(event);
        }
      }
      await this.pace(events);
    }
  }

  #take(change: Change): void {
    if (change.kind === 'truncate') {
      for (const table of change.tables) this.rows(nameOf(table)).clear();
      this.changes.push(`truncate ${change.tables.map(nameOf).join(' ')}`);
      return;
    }
    const { table } = change;
    const rows = this.rows(nameOf(table));
    if (change.kind === 'insert' || change.kind === 'update') shapesOfRows.set(rows, table);
    this.changes.push(`${change.kind} ${nameOf(table)}${change.kind === 'resync' ? ` ${change.state}` : ''}`);
    switch (change.kind) {
      case 'insert':
        assert.ok(!change.row.includes(undefined), 'an inserted row is whole');
        rows.set(keyText(table, change.row), change.row);
        break;
      case 'update': {
        const before = rows.get(keyText(table, change.old ?? change.row));
        if (change.old !== undefined) rows.delete(keyText(table, change.old));
        const row = change.row.map((field, place) => (field === undefined ? before?.[place] : field));
        assert.ok(!row.includes(undefined), `a row of ${table.name} that was not there was updated in part`);
        rows.set(keyText(table, row), row);
        break;
      }
      case 'delete':
        rows.delete(keyText(table, change.old));
        break;
      case 'reshape':
        this.shapes.set(table.id, table);
        reshape(rows, table);
        break;
      case 'drop':
        this.shapes.delete(table.id);
        this.tables.delete(nameOf(table));
        break;
      case 'resync':
        break;
    }
  }
}

const shapesOfRows = new WeakMap<Map<string, Row>, Table>();

/** Columns that stay keep their values, new ones are NULL. */
function reshape(rows: Map<string, Row>, table: Table): void {
  const before = shapesOfRows.get(rows);
  shapesOfRows.set(rows, table);
  if (before === undefined) return;
  const places = table.columns.map(({ name }) => before.columns.findIndex((column) => column.name === name));
  for (const [key, row] of rows)
    rows.set(
      key,
      places.map((place) => (place < 0 ? null : row[place])),
    );
}

function keyText(table: Table, row: Row): string {
  return JSON.stringify(table.key.length === 0 ? row : keyOf(table, row));
}

/** What the server has of a table, in the form of `Follower.sorted`. */
export async function rowsOf(
  server: PostgresServer,
  table: string,
  columns: string,
  where = 'true',
): Promise<string[]> {
  const names = columns
    .split(',')
    .map((name) => `${name}::text`)
    .join(', ');
  const text = await server.psql(`SELECT json_build_array(${names}) FROM ${table} WHERE ${where}`);
  return text === ''
    ? []
    : text
        .split('\n')
        .map((line) => JSON.stringify(JSON.parse(line)))
        .sort();
}

function shapeOf(table: Table): KnownShape {
  return { ...table, key: table.key.map((place) => table.columns[place]!.name) };
}
