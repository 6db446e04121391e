import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import type { OwnedSink, Sink, StreamEvent } from '@batondb/sync';
import { ndjsonFileSink } from '@batondb/sync/ndjson/file-sink';
import { sqliteSink } from '@batondb/sync/sqlite/sink';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { readLines } from './ndjson-reader.ts';
import type { Contents } from './sink-model.ts';
import { sinkTable } from './sink-tables.ts';
import { readReplica } from './sqlite-reader.ts';

// A disk that fills up under a sink: real files on a small file system.

before(() => requireRoot('the test of a full disk'));

const a = sinkTable('a', ['id', 'x']);

function own(sink: Sink): Promise<OwnedSink> {
  return sink.own(
    new AbortController().signal,
    () => {},
    () => {},
  );
}

async function* transactions(from: number, to: number): AsyncGenerator<readonly StreamEvent[]> {
  for (let number = from; number <= to; number++) {
    const rows = Array.from({ length: 40 }, (_, row): StreamEvent => {
      return { kind: 'insert', table: a, row: [`${number * 100 + row}`, 'x'.repeat(5000)] };
    });
    yield [...rows, { kind: 'reached', position: String(number) }];
  }
}

const kinds: { name: string; open: (path: string) => Sink; read: (path: string) => Promise<Contents> }[] = [
  {
    name: 'sqlite',
    open: (path) => sqliteSink({ path, source: 'a source' }),
    read: (path) => Promise.resolve(readReplica(path)),
  },
  {
    name: 'ndjson',
    open: (path) => ndjsonFileSink({ path, source: 'a source' }),
    read: async (path) => readLines(await readFile(path, 'utf8')),
  },
];

for (const { name, open, read } of kinds) {
  // Proves: a disk without space is an error that passes, the file has every position that was told, and goes on when there is space.
  test(`${name}: a full disk`, { timeout: 120_000 }, async () => {
    await using sandbox = makeSandbox();
    await using disk = await smallFileSystem(sandbox, sandbox.join('disk'), { sizeBytes: 67_108_864 });
    const path = join(disk.path, 'rows');
    let last = 0;
    {
      await using owned = await own(open(path));
      await owned.begin('0', [a], true);
      await disk.fill(3_000_000);
      await assert.rejects(
        async () => {
          for await (const position of owned.apply(transactions(1, 100))) last = Number(position);
        },
        (error) => error instanceof BatonError && error.code === 'NO_SPACE' && error.retryable,
      );
    }
    disk.empty();
    await using owned = await own(open(path));
    assert.ok(Number(owned.state.position) >= last, `${last} was told, and the file is at ${owned.state.position}`);
    last = Number(owned.state.position);
    assert.equal((await read(path)).get('public.a')?.length, last * 40);
    for await (const position of owned.apply(transactions(last + 1, 100))) last = Number(position);
    assert.equal((await read(path)).get('public.a')?.length, 4000);
  });
}
