// Proves: a table that is emptied while it is dumped costs its own rows alone; the others are dumped all the same, also those that take longer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import type { RowSnapshot } from '@batondb/sync';
import { dumpTables } from '../src/dump.ts';
import { everything, Mapping } from '../src/mapping/mapping.ts';
import type { RowPart } from '../src/source.ts';
import { Tally } from '../src/tally.ts';
import { MemorySink } from './memory-sink.ts';
import { textTable } from './tables.ts';

test('a table that is emptied while it is dumped', async () => {
  const [large, emptied, small] = [
    textTable('large', ['id']),
    textTable('emptied', ['id']),
    textTable('small', ['id']),
  ];
  const failing: RowPart = {
    async *read() {
      yield [['1']];
      throw new BatonError('SOURCE_CHANGED', 'emptied', { retryable: true });
    },
  };
  const slow: RowPart = {
    async *read(signal) {
      for (let id = 0; id < 50; id++) {
        await new Promise(setImmediate);
        signal.throwIfAborted();
        yield [[String(id)]];
      }
    },
  };
  const snapshot: RowSnapshot = {
    position: '1',
    tables: [
      { table: large, estimatedRows: 50, estimatedBytes: 3, parts: [slow] },
      { table: emptied, estimatedRows: 1, estimatedBytes: 2, parts: [failing, slow] },
      { table: small, estimatedRows: 50, estimatedBytes: 1, parts: [slow] },
    ],
    [Symbol.asyncDispose]: async () => {},
  };
  const sink = new MemorySink(() => undefined);
  await using owned = await sink.own();
  await owned.begin('1', [large, emptied, small], false);
  const options = { mapping: new Mapping(everything), jobs: 2, tally: new Tally(() => undefined) };
  await assert.rejects(dumpTables(snapshot, owned, options, new AbortController().signal), { code: 'SOURCE_CHANGED' });
  const dumped = [...sink.state.tables.values()].filter(({ dumpedAt }) => dumpedAt !== undefined);
  assert.deepEqual(dumped.map(({ name }) => name).sort(), ['large', 'small']);
  assert.deepEqual(
    ['large', 'small'].map((name) => sink.rows.get(name)?.size),
    [50, 50],
  );
});
