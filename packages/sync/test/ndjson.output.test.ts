import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import type { OwnedSink, StreamEvent } from '@batondb/sync';
import { ndjsonOutputSink } from '@batondb/sync/ndjson/output-sink';
import { sinkTable } from './sink-tables.ts';

// Lines to standard output.

const a = sinkTable('a', ['id', 'x']);

function own(output: Writable): Promise<OwnedSink> {
  return ndjsonOutputSink({ output, source: 'a source' }).own(
    new AbortController().signal,
    () => {},
    () => {},
  );
}

async function* streamOf(...batches: StreamEvent[][]): AsyncGenerator<readonly StreamEvent[]> {
  yield* batches;
}

// Proves: each kind of event is the line that the documentation shows.
test('events as lines', async () => {
  const output = new PassThrough();
  await using owned = await own(output);
  await owned.begin('p0', [a], false);
  const load = await owned.load(a);
  await load.write([['1', null]]);
  await load.finish('p1');
  const events: StreamEvent[] = [
    { kind: 'begin', transaction: '7', commitsAt: 'p2', committedAtMs: 0 },
    { kind: 'insert', table: a, row: ['2', 'x'] },
    { kind: 'update', table: a, row: ['3', undefined], old: ['2', undefined] },
    { kind: 'update', table: a, row: ['3', undefined], old: ['3', 'known'] },
    { kind: 'delete', table: a, old: ['3', 'known'] },
    { kind: 'truncate', tables: [a] },
    { kind: 'resync', table: a, state: 'begin', scope: 'keys' },
    { kind: 'commit', position: 'p2', committedAtMs: 0, isOpen: true },
    { kind: 'drop', table: a },
    { kind: 'reached', position: 'p3' },
  ];
  for await (const _position of owned.apply(streamOf(events)));
  assert.deepEqual(String(output.read()).split('\n'), [
    '{"op":"hello","version":1,"source":"a source"}',
    '{"op":"table","table":["public","a"],"id":"id of a","columns":[{"name":"id","type":"integer"},{"name":"x","type":"text"}],"key":["id"]}',
    '{"op":"commit","position":"p0","open":true}',
    '{"op":"table","table":["public","a"],"id":"id of a","columns":[{"name":"id","type":"integer"},{"name":"x","type":"text"}],"key":["id"]}',
    '{"op":"dump","table":["public","a"]}',
    '{"op":"commit","position":"p0","open":true}',
    '{"op":"read","table":["public","a"],"row":{"id":1,"x":null}}',
    '{"op":"dumped","table":["public","a"],"position":"p1"}',
    '{"op":"commit","position":"p0","open":true}',
    '{"op":"insert","table":["public","a"],"row":{"id":2,"x":"x"}}',
    '{"op":"update","table":["public","a"],"row":{"id":3},"old":{"id":2},"unchanged":["x"]}',
    '{"op":"update","table":["public","a"],"row":{"id":3,"x":"known"},"old":{"id":3,"x":"known"}}',
    '{"op":"delete","table":["public","a"],"key":{"id":3}}',
    '{"op":"truncate","tables":[["public","a"]]}',
    '{"op":"resync","table":["public","a"],"state":"begin","scope":"keys"}',
    '{"op":"commit","position":"p2","time":"1970-01-01T00:00:00.000Z","open":true}',
    '{"op":"drop","table":["public","a"]}',
    '{"op":"commit","position":"p3"}',
    '',
  ]);
});

// Proves: a stream that breaks within a transaction says that what it told of it does not count.
test('a transaction that was not told to its end', async () => {
  const output = new PassThrough();
  let told = '';
  output.on('data', (chunk: Buffer) => {
    told += chunk.toString();
  });
  await using owned = await own(output);
  await owned.begin('p0', [a], true);
  async function* broken(): AsyncGenerator<readonly StreamEvent[]> {
    yield Array.from(
      { length: 20_000 },
      (_, id): StreamEvent => ({ kind: 'insert', table: a, row: [String(id), null] }),
    );
    throw new Error('the stream broke');
  }
  await assert.rejects(async () => {
    for await (const _position of owned.apply(broken()));
  }, /the stream broke/);
  assert.match(told, /"id":19999.*\n\{"op":"rollback"\}\n$/);
});

// Proves: a reader that is slow holds the stream up, and one that has gone ends it, once and with a plain word.
test('a reader that is slow, and one that has gone', async () => {
  let written = 0;
  let isGone = false;
  const output = new Writable({
    write(_chunk, _encoding, done) {
      written++;
      const error = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
      setTimeout(() => done(isGone ? error : null), 5);
    },
  });
  await using owned = await own(output);
  await owned.begin('p0', [a], true);
  const told: string[] = [];
  async function* stream(): AsyncGenerator<readonly StreamEvent[]> {
    for (let number = 1; number <= 5; number++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (number === 4) isGone = true;
      yield [{ kind: 'reached', position: String(number) }];
    }
  }
  await assert.rejects(
    async () => {
      for await (const position of owned.apply(stream())) told.push(position);
    },
    (error) => error instanceof BatonError && error.code === 'CONNECTION_LOST' && !error.retryable,
  );
  assert.ok(!told.includes('5'));
  assert.ok(written > 1);
});
