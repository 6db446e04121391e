// Proves: a table whose shape changes while its surplus rows are being asked for begins again, and what was seen of it before is asked no more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Row, StreamEvent } from '@batondb/sync';
import type { ResyncRequest } from '@batondb/sync/source';
import { Resyncs } from '../src/resyncs.ts';
import { listed } from './etcd-bed.ts';
import { MemorySink } from './memory-sink.ts';
import { textTable } from './tables.ts';

const table = textTable('t', ['id', 'x']);
const resync = (state: 'begin' | 'end', scope: 'table' | 'keys' = 'table'): StreamEvent => ({
  kind: 'resync',
  table,
  state,
  scope,
});

test('a resync that begins again while surplus rows are asked for', async () => {
  const requests: ResyncRequest[] = [];
  const sink = await new MemorySink(() => undefined).own();
  const pages: readonly (readonly Row[])[] = [[['1']], [['2']]];
  using resyncs = new Resyncs(
    { resync: (request: ResyncRequest) => void requests.push(request) } as never,
    Object.assign(Object.create(sink) as typeof sink, { keys: () => listed(pages) }),
    () => table,
    [],
  );
  const sweep = async (): Promise<AsyncIterator<readonly Row[]>> => {
    resyncs.take(resync('begin'));
    assert.equal(resyncs.take(resync('end')), undefined, 'it has not ended before the surplus rows are gone');
    return requests.at(-1)!.keys![Symbol.asyncIterator]();
  };
  const first = await sweep();
  assert.deepEqual((await first.next()).value, [['1']]);
  const second = await sweep();
  assert.equal((await first.next()).done, true);
  assert.deepEqual((await second.next()).value, [['1']]);
  assert.equal(resyncs.take(resync('begin', 'keys')), undefined);
  assert.deepEqual(resyncs.take(resync('end', 'keys')), resync('end'));
  assert.equal((await second.next()).done, true);
});
