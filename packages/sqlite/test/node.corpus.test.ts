// The node compared with SQLite's own build over a corpus of statements.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect, isDeepStrictEqual } from 'node:util';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { results } from '../src/engine/codes.ts';
import { SqlError } from '../src/engine/sql-error.ts';
import type { WriterHost } from '../src/node/writer-host.ts';
import { corpus } from './corpus/corpus.ts';
import { refused } from './corpus/errors.ts';
import { FaultyLayer } from './faulty-layer.ts';
import { openHost, run, smallSettings } from './in-process.ts';
import { loadStock, type StockAnswer } from './stock-wasm.ts';

const statementsMin = 5000;
const settings = {
  ...smallSettings,
  segmentBytes: 2_097_152,
  checkpointBytes: 8_388_608,
  temporaryBytes: 1_048_576,
  overlayBytes: 4_194_304,
};

async function askHost(host: WriterHost, session: number, sql: string): Promise<StockAnswer> {
  try {
    const { results } = await run(host, sql, [], { session, numbers: 'exact' });
    const { columns, rows, changes, lastInsertRowid } = results[0]!;
    return { columns, rows, changes, lastInsertRowid };
  } catch (error) {
    if (error instanceof SqlError) return { result: error.result, message: error.message };
    throw error;
  }
}

// Proves: values with their types, errors with their codes and words, changes() and last_insert_rowid() are those of the same SQLite without
// our file system, page sources and values, over at least 5,000 statements.
test('the corpus', { timeout: 300_000 }, async (t) => {
  const openStock = await loadStock();
  const host = await openHost(new FaultyLayer(new Random(seedOfRun())), { settings });
  const differences: unknown[] = [];
  let count = 0;
  for (const [number, { name, statements }] of corpus.entries()) {
    const database = `chapter-${number}`;
    await host.openDatabase(database, 8192);
    const session = host.executor.openSession(database);
    using stock = openStock();
    for (const sql of statements) {
      const [found, expected] = [await askHost(host, session, sql), stock.ask(sql)];
      if (!isDeepStrictEqual(found, expected)) differences.push({ chapter: name, sql, found, expected });
    }
    count += statements.length;
    host.executor.closeSession(session);
    await host.maintain();
  }
  await host.close();
  assert.deepEqual(differences, []);
  t.diagnostic(`${count} statements in ${corpus.length} chapters`);
  assert.ok(count >= statementsMin, `${count} statements are fewer than ${statementsMin}`);
});

// Proves: what reaches other files or weakens what makes transactions last is refused with a sentence, and nothing of it is done.
test('what is refused', async () => {
  const host = await openHost(new FaultyLayer(new Random(seedOfRun())));
  await host.openDatabase('main', 1024);
  const session = host.executor.openSession('main');
  const look = async (): Promise<unknown> =>
    await Promise.all(
      ['journal_mode', 'synchronous', 'page_size', 'encoding', 'auto_vacuum', 'schema_version', 'database_list'].map(
        async (name) => await askHost(host, session, `PRAGMA ${name}`),
      ),
    );
  const before = await look();
  for (const sql of refused) {
    const answer = await askHost(host, session, sql);
    assert.ok('result' in answer && answer.result === results.AUTH, `${sql}: ${inspect(answer)}`);
    assert.match(answer.message, / /, sql);
  }
  assert.deepEqual(await look(), before);
  await host.close();
});
