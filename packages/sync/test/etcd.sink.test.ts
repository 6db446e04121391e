// The sink in etcd, on a real one: what readers see, what a crash leaves, what others may not do.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import type { Change, Insert, StreamEvent } from '@batondb/sync';
import { planEtcdSink } from '@batondb/sync/etcd/settings';
import { openEtcdView } from '@batondb/sync/etcd/view';
import { type EtcdCluster, startEtcd } from '@batondb/testbed/etcd';
import { startGate } from '@batondb/testbed/gate';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { apply, begun, EtcdBed, never, ownedBy, transaction } from './etcd-bed.ts';
import { textTable } from './tables.ts';

const timeout = 60_000;
const table = textTable('t', ['id', 'a', 'big']);
let sandbox: Sandbox;
let etcd: EtcdCluster;

before(async () => {
  sandbox = makeSandbox();
  etcd = await startEtcd(sandbox);
});

after(async () => {
  await etcd[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

function insert(id: string, a = 'a', big: string | null = 'b'): Insert {
  return { kind: 'insert', table, row: [id, a, big] };
}

function inserts(count: number, prefix = 'k'): readonly Insert[] {
  return Array.from({ length: count }, (_, number) => insert(`${prefix}${number}`));
}

// Proves: what an update does not tell is as it was, also when the key changes with it, and in the same transaction (Y5).
test('updates that do not tell everything', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  await using owned = await bed.own();
  await begun(owned, [table]);
  await apply(
    owned,
    transaction('1', [insert('1', 'a', '{"n": 1.0}'), insert('2')]),
    transaction('2', [
      { kind: 'update', table, row: ['1', 'x', undefined] },
      { kind: 'update', table, row: ['9', 'y', undefined], old: ['1', undefined, undefined] },
      { kind: 'update', table, row: ['9', undefined, undefined] },
      { kind: 'update', table, row: ['2', undefined, 'new'], old: ['2', 'old a', 'old'] },
    ]),
  );
  assert.deepEqual(
    [...(await bed.read(table))],
    [
      ['2', '{"id":"2","a":"old a","big":"new"}'],
      ['9', '{"id":"9","a":"y","big":"{\\"n\\": 1.0}"}'],
    ],
  );
  await assert.rejects(apply(owned, transaction('3', [{ kind: 'update', table, row: ['5', 'x', undefined] }])), {
    code: 'DIVERGED',
  });
});

// Proves: keys of any text stay apart and are read back as they were.
test('awkward keys', { timeout }, async () => {
  const pair = textTable('pair/%s', ['x', 'y'], { keys: 2 });
  const bed = new EtcdBed(etcd.endpoints);
  await using owned = await bed.own();
  await begun(owned, [pair]);
  const keys: (string | null)[][] = [
    ['', ''],
    ['', '/'],
    ['/', ''],
    ['%2F', ''],
    ['a/b', '%'],
    [null, ''],
    ['%N', ''],
    ['ü\n', ' '],
  ];
  keys.push(['k'.repeat(10_000), 'y']);
  await apply(
    owned,
    transaction(
      '1',
      keys.map((row): StreamEvent => ({ kind: 'insert', table: pair, row })),
    ),
  );
  const found: (readonly unknown[])[] = [];
  for await (const some of owned.keys!(pair)) found.push(...some);
  const texts = (rows: readonly (readonly unknown[])[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
  assert.deepEqual(texts(found), texts(keys));
});

// Proves: a transaction beyond etcd's limits is seen by readers as a whole or not at all (Y4), and positions become durable in order.
test('a transaction larger than a transaction of etcd', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  await using owned = await bed.own({ txnOperations: 16 });
  await begun(owned, [table]);
  await apply(owned, transaction('1', inserts(3, 'old')));
  async function* slowly(): AsyncGenerator<readonly StreamEvent[], void, undefined> {
    yield transaction('2', [{ kind: 'truncate', tables: [table] }, ...inserts(500)]).slice(0, -1);
    assert.deepEqual([...(await bed.read(table)).keys()], ['old0', 'old1', 'old2']);
    assert.equal(await bed.position(), '1');
    yield inserts(500, 'm');
    assert.equal((await bed.read(table)).size, 3);
    yield transaction('2', []).slice(-1);
  }
  const positions: string[] = [];
  for await (const position of owned.apply(slowly())) positions.push(position);
  assert.deepEqual(positions, ['2']);
  assert.equal((await bed.read(table)).size, 1_000);
  assert.equal(owned.state.isOpen, false);
});

// Proves: a transaction that was written by half is undone before it comes anew, so that rows whose keys went round are what they have to be (Y5).
test('a crash in the middle of a transaction', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  const moved = (from: string, to: string): StreamEvent => ({
    kind: 'update',
    table,
    row: [to, 'moved', undefined],
    old: [from, undefined, undefined],
  });
  const swap = transaction('2', [moved('1', 'x'), moved('2', '1'), moved('x', '2'), ...inserts(40)]);
  {
    await using owned = await bed.own({ txnOperations: 5 });
    await begun(owned, [table]);
    await apply(owned, transaction('1', [insert('1', 'a', 'one'), insert('2', 'a', 'two')]));
    await assert.rejects(
      apply(owned, transaction('never', [...swap.slice(1, -1), { kind: 'update', table, row: ['?', 'x', undefined] }])),
      { code: 'DIVERGED' },
    );
  }
  assert.equal(await bed.position(), '1');
  await using owned = await bed.own({ txnOperations: 5 });
  assert.equal(owned.state.isOpen, true);
  await apply(owned, swap);
  const rows = await bed.read(table);
  assert.equal(rows.get('1'), '{"id":"1","a":"moved","big":"two"}');
  assert.equal(rows.get('2'), '{"id":"2","a":"moved","big":"one"}');
  assert.equal(rows.size, 42);
});

// Proves: one owner writes; another waits, is told of whom, takes over, and the first one's late writes do nothing (Y2).
test('two owners', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  await using gate = await startGate(etcd.endpoints[0]!);
  const behind = new EtcdBed([gate.endpoint]);
  const cut = { url: behind.url.replace(behind.prefix, bed.prefix), leaseSeconds: 5 };
  const first = await bed.own(cut);
  await begun(first, [table]);
  await apply(first, transaction('1', [insert('1')]));
  const owners: string[] = [];
  const waiting = bed.sink({ leaseSeconds: 5 }).own(
    never,
    (owner) => owners.push(owner),
    () => undefined,
  );
  gate.set('held');
  const late = assert.rejects(apply(first, transaction('2', [insert('late')])));
  await using second = await waiting;
  assert.match(owners[0]!, new RegExp(` ${process.pid}$`));
  assert.equal(owners.length, 1);
  await apply(second, transaction('2', [insert('2')]));
  gate.release();
  await late;
  assert.equal(first.lost.aborted, true);
  assert.deepEqual([...(await bed.read(table)).keys()], ['1', '2']);
  await first[Symbol.asyncDispose]();
});

// Proves: a dump writes what differs and deletes what is not there any more, at its end (Y6), and readers see what was until the stream has passed it.
test('a dump that reconciles', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  await using owned = await bed.own();
  await begun(owned, [table]);
  await apply(owned, transaction('1', inserts(3_000)));
  await owned.begin('5', [table], false);
  assert.equal(owned.state.tables.get('public.t')!.dumpedAt, undefined);
  {
    await using load = await owned.load(table);
    await load.write([['k1', 'other', 'b']]);
  }
  {
    await using load = await owned.load(table);
    const rows = Array.from({ length: 1_000 }, (_, number) => [`k${number * 2}`, 'a', 'b']);
    await Promise.all([load.write(rows.slice(0, 500)), load.write(rows.slice(500)), load.write([['new', 'a', 'b']])]);
    const result = await load.finish('5');
    assert.deepEqual(result, { rows: 1_001, written: 1, deleted: 2_000 });
  }
  assert.equal((await bed.read(table)).size, 3_000);
  assert.equal(await bed.position(), '1');
  await apply(owned, [{ kind: 'reached', position: '6' }]);
  assert.equal((await bed.read(table)).size, 1_001);
  assert.equal(owned.state.tables.get('public.t')!.dumpedAt, '5');
});

// Proves: a row that etcd cannot hold stops the sink, or is kept aside where that was asked for, and then does not stay as it was; what is kept aside goes when the key has a row that fits,
// or none, by whatever way, and stays when an update leaves the large value as it was.
test('a row that is too large', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  const huge = 'x'.repeat(1_600_000);
  {
    await using owned = await bed.own();
    await begun(owned, [table]);
    await apply(owned, transaction('1', [insert('1'), insert('2')]));
    await assert.rejects(apply(owned, transaction('2', [insert('1', huge)])), {
      code: 'LIMIT',
      message: /public\.t takes 1600\d+ bytes.*\/d\/public\/t\/1$/,
    });
  }
  const recorded: string[] = [];
  await using owned = await bed.sink({ onError: 'record' }).own(
    never,
    () => undefined,
    (name) => recorded.push(name),
  );
  await apply(owned, transaction('2', [insert('1', huge), insert('3')]));
  assert.deepEqual([...(await bed.read(table)).keys()], ['2', '3']);
  assert.deepEqual(recorded, ['public.t']);
  const aside = async (): Promise<number> =>
    (await bed.keys(etcd)).filter((key) => key.includes('/m/errors/public/t/')).length;
  assert.equal(await aside(), 1);
  await apply(owned, transaction('3', [{ kind: 'update', table, row: ['1', 'x', undefined] }]));
  assert.deepEqual([[...(await bed.read(table)).keys()], await aside()], [['2', '3'], 1]);
  await apply(
    owned,
    transaction('4', [{ kind: 'update', table, row: ['4', 'x', undefined], old: ['1', undefined, undefined] }]),
  );
  assert.equal(await aside(), 1);
  await apply(owned, transaction('5', [{ kind: 'update', table, row: ['4', 'fits', 'now'] }]));
  assert.deepEqual([[...(await bed.read(table)).keys()], await aside()], [['2', '3', '4'], 0]);
  const goes: readonly (readonly Change[])[] = [
    [{ kind: 'delete', table, old: ['1', undefined, undefined] }],
    [{ kind: 'truncate', tables: [table] }],
    [
      { kind: 'resync', table, state: 'begin', scope: 'table' },
      insert('2'),
      { kind: 'resync', table, state: 'end', scope: 'table' },
    ],
    [{ kind: 'drop', table: { ...table, columns: [], key: [] } }],
  ];
  for (const [number, changes] of goes.entries()) {
    await apply(owned, transaction(`${10 + 2 * number}`, [insert('1', huge)]));
    assert.equal(await aside(), 1);
    await apply(owned, transaction(`${11 + 2 * number}`, changes));
    assert.equal(await aside(), 0, JSON.stringify(changes));
  }
});

// Proves: what is not known any more when etcd was compacted is an error for readers, and a new dump for a sink (Y4, Y7).
test('an etcd that was compacted', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  {
    await using owned = await bed.own({ txnOperations: 5 });
    await begun(owned, [table]);
    await apply(owned, transaction('1', [insert('1')]));
    await assert.rejects(
      apply(owned, transaction('2', [...inserts(20), { kind: 'update', table, row: ['?', 'x', undefined] }])),
    );
  }
  const { header } = JSON.parse(await etcd.ctl('get', '/', '-w', 'json')) as { readonly header: { revision: number } };
  await etcd.ctl('compact', String(header.revision));
  await assert.rejects(bed.read(table), { code: 'UNAVAILABLE', retryable: true });
  {
    await using owned = await bed.own();
    await assert.rejects(apply(owned, transaction('2', [])), { code: 'HISTORY_LOST', retryable: true });
  }
  await using owned = await bed.own();
  assert.equal(owned.state.tables.get('public.t')!.dumpedAt, undefined);
  await using load = await owned.load(table);
  await load.write([['1', 'a', 'b']]);
  await load.finish('3');
  await apply(owned, [{ kind: 'reached', position: '3' }]);
  assert.deepEqual([...(await bed.read(table)).keys()], ['1']);
});

// Proves: rows written after what a failover kept are found, and the sink shows nothing later than that until they are repaired.
test('what was touched since', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  await using owned = await bed.own({ txnOperations: 16 });
  await begun(owned, [table]);
  for (let number = 1; number <= 20; number++) await apply(owned, transaction(String(number), [insert(`r${number}`)]));
  await apply(owned, transaction('21', [{ kind: 'delete', table, old: ['r3', undefined, undefined] }, ...inserts(40)]));
  const touched = await owned.touchedAfter!((position) => Number(position) <= 17);
  const keys: string[] = [];
  for await (const { keys: some } of touched!) keys.push(...some!.map(([id]) => id!));
  assert.deepEqual(keys.toSorted(), ['r18', 'r19', 'r20', 'r3', ...inserts(40).map(({ row }) => row[0]!)].toSorted());
  await owned.rewind!('17', [table]);
  assert.equal(owned.state.position, '17');
  assert.equal(owned.state.isOpen, true);
  assert.equal(await bed.position(), '17');
  assert.equal((await bed.read(table)).size, 17);
});

// Proves: an etcd is not filled to its quota, and writing goes on by itself when there is room (a guest's house).
test('an etcd without room', { timeout }, async () => {
  await using small = await startEtcd(sandbox, { name: 'small', more: ['--quota-backend-bytes=50331648'] });
  const bed = new EtcdBed(small.endpoints);
  const sink = bed.sink({ quotaBytes: 50_331_648, etcdMaintenance: true });
  let owned = await ownedBy(sink);
  await begun(owned, [table]);
  let position = 0;
  const fill = async (): Promise<void> => {
    for (; position < 100; position++)
      await apply(owned, transaction(String(position), [insert('same', 'x'.repeat(1_000_000))]));
  };
  await assert.rejects(fill(), { code: 'NO_SPACE', retryable: true });
  assert.equal(await small.ctl('alarm', 'list'), '');
  const stopped = position;
  while (position === stopped) {
    await owned[Symbol.asyncDispose]();
    owned = await ownedBy(sink);
    await fill().catch((error: { readonly code: string }) => assert.equal(error.code, 'NO_SPACE'));
  }
  await owned[Symbol.asyncDispose]();
});

// Proves: a place that holds something else is refused, and so is an etcd on which others depend.
test('places of others', { timeout }, async () => {
  await etcd.ctl('put', '/strange/x', 'y');
  const strange = new EtcdBed(etcd.endpoints);
  const url = strange.url.replace(strange.prefix, '/strange');
  await assert.rejects(strange.own({ url }), { code: 'USAGE', message: /\/strange\/x/ });
  const bed = new EtcdBed(etcd.endpoints);
  await (await bed.own())[Symbol.asyncDispose]();
  await assert.rejects(bed.own({ envelope: true }), { code: 'USAGE', message: /native with envelopes/ });
  await using shared = await startEtcd(sandbox, { name: 'shared' });
  await shared.ctl('put', '/service/pg/leader', 'node1');
  const guest = new EtcdBed(shared.endpoints);
  await assert.rejects(guest.own(), { code: 'USAGE', message: /Patroni/ });
  await (await guest.own({ sharedEtcd: true }))[Symbol.asyncDispose]();
});

// Proves: tables of rows that nothing tells apart are refused, with what can be done.
test('a table without a key', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  await using owned = await bed.own();
  await assert.rejects(owned.begin('1', [textTable('heap', ['x'], { keys: 0 })], false), {
    code: 'USAGE',
    message: /public\.heap has no key/,
    hint: /--exclude/,
  });
});

// Proves: tables that are dropped, reshaped and read anew are so in one step with the rest of their transaction.
test('tables that change', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  await using owned = await bed.own();
  const other = textTable('other', ['id']);
  await begun(owned, [table, other]);
  await apply(owned, transaction('1', [insert('1'), { kind: 'insert', table: other, row: ['1'] }]));
  const wider = textTable('t', ['id', 'a', 'big', 'more']);
  const positions = await apply(
    owned,
    transaction('2', [
      { kind: 'drop', table: other },
      { kind: 'reshape', table: wider },
      { kind: 'resync', table: wider, state: 'begin', scope: 'table' },
      { kind: 'update', table: wider, row: ['1', 'x', undefined, undefined] },
    ]),
    transaction('3', [
      { kind: 'insert', table: wider, row: ['1', 'x', 'b', 'more'] },
      { kind: 'resync', table: wider, state: 'end', scope: 'table' },
    ]),
  );
  assert.equal(positions.at(-1), '3');
  assert.deepEqual([...(await bed.read(wider)).values()], ['{"id":"1","a":"x","big":"b","more":"more"}']);
  const record = owned.state.tables.get('public.t')!;
  assert.deepEqual([record.columns.length, record.isResyncing, owned.state.tables.size], [4, false, 1]);
  assert.equal((await bed.keys(etcd)).filter((key) => key.includes('/other')).length, 0);
  await apply(owned, ...[...listedPositions(4, 60)].map((position) => [{ kind: 'reached', position } as const]));
  assert.equal(owned.state.position, '60');
});

function* listedPositions(from: number, through: number): Generator<string, void, undefined> {
  for (let position = from; position <= through; position++) yield String(position);
}

// Proves: the example of a reader prints a state and then whole transactions, values as they are in an envelope, too.
test('the example of a reader', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  await using owned = await bed.own({ envelope: true, layout: { template: '/v1/{table}/{key}' } });
  await begun(owned, [table]);
  await apply(owned, transaction('1', [insert('1')]));
  const example = new URL('../../../docs/examples/sync-reader.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--conditions=batondb-source', example, bed.url]);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  try {
    assert.equal(await next(), "public.t 1: { id: '1', a: 'a', big: 'b' }");
    assert.equal(await next(), 'that is the state at 1');
    await apply(owned, transaction('2', [insert('2'), { kind: 'delete', table, old: ['1', undefined, undefined] }]));
    assert.equal(await next(), "public.t 2 is now { id: '2', a: 'a', big: 'b' }");
    assert.equal(await next(), 'public.t 1 is gone');
    assert.equal(await next(), 'that is the state at 2');
  } finally {
    child.kill();
  }
  assert.match(
    await etcd.ctl('get', `${bed.prefix}/v1/t/2`),
    /\{"position":"2","time":null,"row":\{"id":"2","a":"a","big":"b"\}\}/,
  );
});

// Proves: what is compared with a source is one state of it, rows by their keys and as the source's rows have to be, whatever is written meanwhile.
test('a view to compare with', { timeout }, async () => {
  const bed = new EtcdBed(etcd.endpoints);
  await using owned = await bed.own({ envelope: true });
  await begun(owned, [table]);
  await apply(owned, transaction('1', [insert('1'), insert('a/b')]));
  await using view = await openEtcdView(planEtcdSink({ url: bed.url }));
  await apply(owned, transaction('2', [insert('3')]));
  assert.deepEqual([view.state.position, [...view.state.tables.keys()]], ['1', ['public.t']]);
  const held: unknown[] = [];
  for await (const page of view.rows(table)) held.push(...page);
  assert.deepEqual(held, [view.expect(table, ['1', 'a', 'b']), view.expect(table, ['a/b', 'a', 'b'])]);
});
