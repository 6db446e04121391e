// The node compared with the same build of SQLite on a file system of its own, statement by statement.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import fc from 'fast-check';
import { lockLevels, results } from '../src/engine/codes.ts';
import { Connection } from '../src/engine/connection.ts';
import { Engine } from '../src/engine/engine.ts';
import type { PageSource } from '../src/engine/page-source.ts';
import { sqliteModule } from '../src/engine/wasm.ts';
import { forkHistory } from '../src/machine/state-record.ts';
import { unpackError } from '../src/node/error-transfer.ts';
import { FaultyLayer } from './faulty-layer.ts';
import { run } from './in-process.ts';
import { runs } from './property.ts';
import { type Copy, following, leading, ModelNode } from './support/model-node.ts';

const pageBytes = 1024;

/** Pages in an array: no overlay, no log, no snapshot. */
class ArraySource implements PageSource {
  readonly pageBytes: number = pageBytes;
  readonly pages: Uint8Array[];
  #isReserved = false;

  constructor(pages: readonly Uint8Array[] = []) {
    this.pages = pages.map((page) => Uint8Array.from(page));
  }

  lock(level: number): number {
    this.#isReserved ||= level >= lockLevels.RESERVED;
    return results.OK;
  }
  unlock(): void {
    this.#isReserved = false;
  }
  isReserved(): boolean {
    return this.#isReserved;
  }
  pageCount(): number {
    return this.pages.length;
  }
  read(page: number, offset: number, into: Uint8Array): void {
    into.set((this.pages[page - 1] ?? new Uint8Array(pageBytes)).subarray(offset, offset + into.length));
  }
  write(page: number, content: Uint8Array): void {
    while (this.pages.length < page) this.pages.push(new Uint8Array(pageBytes));
    this.pages[page - 1] = Uint8Array.from(content);
  }
  truncate(pageCount: number): void {
    this.pages.length = pageCount;
  }
  commit(): void {}
}

const tables = ['a', 'b'] as const;
const table = fc.constantFrom(...tables);
const key = fc.integer({ min: 1, max: 40 });
const text = fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('x'.repeat(700), 'y'.repeat(4000)));
const quoted = text.map((value) => `'${value.replaceAll("'", "''").replaceAll('\0', '')}'`);

/** Random SQL, a part of which fails. */
const statement = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(table, key, quoted)
      .map(([name, id, v]) => `INSERT INTO ${name} VALUES (${id}, ${v}, ${id % 7})`),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(table, key, quoted)
      .map(([name, id, v]) => `INSERT OR REPLACE INTO ${name} VALUES (${id}, ${v}, ${id})`),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(table, key, quoted)
      .map(([name, id, v]) => `UPDATE ${name} SET v = ${v}, n = n + 1 WHERE id >= ${id}`),
  },
  { weight: 4, arbitrary: fc.tuple(table, key).map(([name, id]) => `DELETE FROM ${name} WHERE id < ${id}`) },
  {
    weight: 6,
    arbitrary: fc.tuple(table, key).map(([name, id]) => `SELECT * FROM ${name} WHERE id > ${id} ORDER BY n, id`),
  },
  { weight: 3, arbitrary: table.map((name) => `SELECT count(*), sum(n), total(length(v)) FROM ${name}`) },
  { weight: 1, arbitrary: table.map((name) => `CREATE INDEX IF NOT EXISTS ${name}_n ON ${name} (n, v)`) },
  { weight: 1, arbitrary: table.map((name) => `DROP INDEX IF EXISTS ${name}_n`) },
  { weight: 1, arbitrary: table.map((name) => `DROP TABLE ${name}`) },
  {
    weight: 3,
    arbitrary: table.map(
      (name) => `CREATE TABLE IF NOT EXISTS ${name} (id INTEGER PRIMARY KEY, v TEXT, n INTEGER CHECK (n < 45))`,
    ),
  },
  { weight: 1, arbitrary: fc.constant('VACUUM') },
  { weight: 2, arbitrary: fc.constantFrom('BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT s', 'ROLLBACK TO s', 'RELEASE s') },
);

/** Clients, each with a connection of its own. */
const clientCount = 3;

const happenings = [
  ...(['power cut', 'checkpoint', 'stop'] as const),
  ...(['snapshot', 'restore', 'follow', 'follower power cut', 'follower checkpoint'] as const),
] as const;
type Happening = (typeof happenings)[number];
type Event = { readonly client: number; readonly sql: string } | Happening;
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 20, arbitrary: fc.record({ client: fc.nat({ max: clientCount - 1 }), sql: statement }) },
  { weight: 6, arbitrary: fc.constantFrom(...happenings) },
);

type Answer = { readonly rows: unknown; readonly changes: number } | { readonly error: string };

function ask(work: () => { readonly rows: unknown; readonly changes: number }): Answer {
  try {
    const { rows, changes } = work();
    return { rows, changes };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

/** What is compared when nothing is open. */
const audit = [
  'SELECT name, sql FROM sqlite_schema ORDER BY name',
  'PRAGMA integrity_check',
  ...tables.map((name) => `SELECT * FROM ${name}`),
];

/** A leader, its follower, and the model, all of which are replaced by what becomes of them. */
class World {
  readonly #random: Random;
  #node: ModelNode;
  #follower: ModelNode;
  #source = new ArraySource();
  /** The model's pages before what is open. */
  #committed: readonly Uint8Array[] = [];
  #model: Connection;
  #sessions: number[] = [];
  #saved: { readonly copy: Copy; readonly pages: readonly Uint8Array[] } | undefined;
  /** Whose transaction is open. */
  #owner: number | undefined;

  private constructor(random: Random, node: ModelNode, follower: ModelNode) {
    this.#random = random;
    this.#node = node;
    this.#follower = follower;
    this.#model = openModel(this.#source);
  }

  static async open(random: Random): Promise<World> {
    const node = await ModelNode.open(new FaultyLayer(random), leading);
    await node.host.openDatabase('main', pageBytes);
    const world = new World(random, node, await ModelNode.open(new FaultyLayer(random), following));
    world.#openSessions();
    return world;
  }

  async run(one: Event): Promise<void> {
    if (typeof one === 'object') await this.#ask(one);
    else await this.#happen(one);
  }

  /** While a client has a transaction open, what follows is its: the others would wait. */
  async #ask({ client, sql }: { readonly client: number; readonly sql: string }): Promise<void> {
    const asked = this.#owner ?? client;
    if (this.#owner === undefined) this.#committed = new ArraySource(this.#source.pages).pages;
    const answer = await this.#askNode(this.#sessions[asked]!, sql);
    assert.deepEqual(
      answer,
      ask(() => this.#model.run(sql)),
      sql,
    );
    this.#owner = this.#model.isAutocommit ? undefined : asked;
  }

  async #happen(one: Happening): Promise<void> {
    switch (one) {
      case 'checkpoint':
        return await this.#node.host.checkpoint();
      case 'power cut':
        this.#node = await this.#node.afterPowerCut();
        return this.#begin();
      case 'stop':
        await this.#node.host.close();
        this.#node = await ModelNode.open(this.#node.layer, leading);
        return this.#begin();
      case 'snapshot':
        return await this.#save();
      case 'restore':
        return await this.#restore();
      case 'follow':
        return await this.#follow();
      case 'follower checkpoint':
        return await this.#follower.host.checkpoint();
      case 'follower power cut':
        this.#follower = await this.#follower.afterPowerCut();
    }
  }

  /** Whatever was open is lost with the node. */
  #begin(): void {
    if (!this.#model.isAutocommit) this.#model.run('ROLLBACK');
    this.#owner = undefined;
    this.#openSessions();
  }

  #openSessions(): void {
    this.#sessions = Array.from({ length: clientCount }, () => this.#node.host.executor.openSession('main'));
  }

  async #save(): Promise<void> {
    // What is open is in no snapshot.
    const pages = this.#owner === undefined ? new ArraySource(this.#source.pages).pages : this.#committed;
    this.#saved = { copy: await this.#node.snapshot(), pages };
  }

  async #restore(): Promise<void> {
    if (this.#saved === undefined) return;
    const { copy, pages } = this.#saved;
    await this.#node.host.close();
    this.#node = await ModelNode.from({ ...copy, record: forkHistory(copy.record) }, this.#random, leading);
    this.#model[Symbol.dispose]();
    this.#source = new ArraySource(pages);
    this.#model = openModel(this.#source);
    this.#begin();
  }

  async #follow(): Promise<void> {
    this.#follower = await this.#follower.follow(this.#node, this.#random);
    const [own, theirs] = [this.#follower.host.status(), this.#node.host.status()];
    assert.deepEqual([own.logId, own.position, own.databases], [theirs.logId, theirs.position, theirs.databases]);
    if (this.#owner !== undefined) return;
    const session = this.#follower.host.executor.openSession('main', true);
    for (const sql of audit)
      assert.deepEqual(
        await this.#readFollower(session, sql),
        ask(() => this.#model.run(sql)),
        `at the follower: ${sql}`,
      );
    this.#follower.host.executor.closeSession(session);
  }

  async #askNode(session: number, sql: string): Promise<Answer> {
    try {
      const [result] = (await run(this.#node.host, sql, [], { session })).results;
      return { rows: result!.rows, changes: result!.changes };
    } catch (error) {
      return { error: (error as Error).message };
    }
  }

  async #readFollower(session: number, sql: string): Promise<Answer> {
    const turn = { session, call: 1, interrupted: new Int32Array(1), timeoutMs: 60_000 };
    const { value } = await this.#follower.host.executor.visit(turn, (connection) => connection.run(sql));
    return ask(() => {
      if ('error' in value) throw unpackError(value.error);
      return value.done;
    });
  }

  async end(): Promise<void> {
    for (const sql of audit) await this.#ask({ client: 0, sql });
    await this.#follow();
    for (const { host } of [this.#node, this.#follower]) host.executor[Symbol.dispose]();
    this.#model[Symbol.dispose]();
  }
}

function openModel(source: ArraySource): Connection {
  const spill = { layer: new FaultyLayer(new Random(1)), directory: '/', memoryBytes: 1_048_576 };
  return new Connection(new Engine(sqliteModule(), spill), source, { isReadOnly: false, isOwn: true, cacheKib: 64 });
}

// Proves: whatever statements clients send, and whatever happens to the node in between, restores of older states too, answers and errors are those of SQLite
// on an ordinary file, and so are the tables in the end; a follower that comes and goes has the same whenever it is where its leader is (O1, O2, O3, V1).
test('the same answers as an ordinary file', { timeout: 900_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(event, { minLength: 25, maxLength: 80, size: 'max' }),
      fc.nat(),
      async (events, number) => {
        const world = await World.open(new Random(seedOfRun()).fork(String(number)));
        for (const one of events) await world.run(one);
        await world.end();
      },
    ),
    runs(30),
  );
});
