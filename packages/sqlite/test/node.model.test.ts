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
import type { WriterHost } from '../src/node/writer-host.ts';
import { FaultyLayer } from './faulty-layer.ts';
import { openHost, run } from './in-process.ts';
import { runs } from './property.ts';

const pageBytes = 1024;

/** Pages in an array: no overlay, no log, no snapshot. */
class ArraySource implements PageSource {
  readonly pageBytes: number = pageBytes;
  readonly pages: Uint8Array[] = [];
  #isReserved = false;

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

type Event = { readonly client: number; readonly sql: string } | 'power cut' | 'checkpoint' | 'stop';
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ client: fc.nat({ max: clientCount - 1 }), sql: statement }) },
  { weight: 1, arbitrary: fc.constantFrom<Event>('power cut', 'checkpoint', 'stop') },
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

async function askHost(host: WriterHost, session: number, sql: string): Promise<Answer> {
  try {
    const [result] = (await run(host, sql, [], { session })).results;
    return { rows: result!.rows, changes: result!.changes };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function openSessions(host: WriterHost): number[] {
  return Array.from({ length: clientCount }, () => host.executor.openSession('main'));
}

// Proves: whatever statements clients send, and whatever happens to the node in between, answers and errors are those of SQLite on an ordinary
// file, and so are the tables in the end. While one of them has a transaction open, what follows is its: the others would wait (O1, O2, O3, V1).
test('the same answers as an ordinary file', { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 10, maxLength: 60 }), fc.nat(), async (events, number) => {
      const random = new Random(seedOfRun()).fork(String(number));
      let layer = new FaultyLayer(random);
      const spill = { layer, directory: '/', memoryBytes: 1_048_576 };
      const model = new Connection(new Engine(sqliteModule(), spill), new ArraySource(), {
        isReadOnly: false,
        isOwn: true,
        cacheKib: 64,
      });
      let host = await openHost(layer);
      await host.openDatabase('main', pageBytes);
      let sessions = openSessions(host);
      let owner: number | undefined;
      for (const one of events) {
        if (typeof one === 'object') {
          const client = owner ?? one.client;
          assert.deepEqual(
            await askHost(host, sessions[client]!, one.sql),
            ask(() => model.run(one.sql)),
            one.sql,
          );
          owner = model.isAutocommit ? undefined : client;
          continue;
        }
        if (one === 'checkpoint') {
          await host.checkpoint();
          continue;
        }
        // Whatever is open is lost with the node.
        if (!model.isAutocommit) model.run('ROLLBACK');
        if (one === 'stop') await host.close();
        layer = one === 'stop' ? layer : layer.afterPowerCut();
        host = await openHost(layer);
        sessions = openSessions(host);
        owner = undefined;
      }
      for (const sql of [
        'SELECT name, sql FROM sqlite_schema ORDER BY name',
        'PRAGMA integrity_check',
        ...tables.map((name) => `SELECT * FROM ${name}`),
      ])
        assert.deepEqual(
          await askHost(host, sessions[owner ?? 0]!, sql),
          ask(() => model.run(sql)),
          sql,
        );
      host.executor[Symbol.dispose]();
      model[Symbol.dispose]();
    }),
    runs(60),
  );
});
