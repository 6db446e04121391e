// What a replication that runs is asked over HTTP, by whom, and what it answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { createToken, revokeToken } from '@batondb/service/tokens/manage';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { fetchSyncStatus, orderSync, parseOperations } from '../src/operations/client.ts';
import { type OperationsOptions, type OperationsServer, startOperations } from '../src/operations/server.ts';
import type { Replication, SyncStatus } from '../src/status.ts';

const counts = {
  transactions: 7,
  inserts: 1,
  updates: 2,
  deletes: 3,
  truncates: 0,
  reshapes: 0,
  dumpedRows: 40,
  resyncedRows: 5,
  retries: 6,
  recordedRows: 0,
  repairedKeys: 0,
};

const told: SyncStatus = {
  name: 'app',
  source: 'postgres://a@h/app',
  sink: 'sqlite:x.db',
  phase: 'streaming',
  phaseAtMs: 0,
  startedAtMs: 0,
  node: 'h:5432',
  owner: undefined,
  position: '1/1/0/10',
  committedAtMs: 1500,
  isOpen: false,
  newest: '1/1/0/20',
  lagBytes: 16,
  lagSeconds: undefined,
  retainedBytes: 1024,
  remainingBytes: undefined,
  tables: [],
  counts,
  rowsPerSecond: 0,
  transactionsPerSecond: 0,
  lastError: undefined,
  retryAtMs: undefined,
  lastDivergence: undefined,
};

/** A replication of which only the orders matter here. */
class OrderBook implements Replication {
  readonly orders: string[] = [];
  change: Partial<SyncStatus> = {};

  status(): SyncStatus {
    return { ...told, ...this.change };
  }

  pause(): void {
    this.orders.push('pause');
    this.change = { phase: 'paused' };
  }

  resume(): void {
    this.orders.push('resume');
    this.change = {};
  }

  resync(table: string): void {
    if (table !== 'public.t') throw new BatonError('NOT_FOUND', `no table ${table} is synced`);
    this.orders.push(`resync ${table}`);
  }
}

async function serve(book: Replication, options: Partial<OperationsOptions> = {}): Promise<OperationsServer> {
  const onFault = (error: unknown): never => assert.fail(String(error));
  return await startOperations(book, { listen: '127.0.0.1:0', onFault, ...options });
}

const signal = AbortSignal.timeout(60_000);

// Proves: what is asked is answered, an order is obeyed and answered with what came of it, and a wrong one is refused by its name.
test('orders', async () => {
  const book = new OrderBook();
  await using server = await serve(book);
  const place = parseOperations(server.url);
  assert.deepEqual((await fetchSyncStatus(place, {}, signal)).counts, counts);
  assert.equal((await orderSync(place, { kind: 'pause' }, {}, signal)).phase, 'paused');
  assert.deepEqual(await (await fetch(`${server.url}/ready`)).text(), 'not ready: paused\n');
  assert.equal((await orderSync(place, { kind: 'resume' }, {}, signal)).phase, 'streaming');
  assert.deepEqual(await (await fetch(`${server.url}/ready`)).text(), 'ready\n');
  await orderSync(place, { kind: 'resync', table: 'public.t' }, {}, signal);
  await assert.rejects(orderSync(place, { kind: 'resync', table: 'a&table=public.t' }, {}, signal), {
    code: 'NOT_FOUND',
    message: 'no table a&table=public.t is synced',
  });
  assert.deepEqual(book.orders, ['pause', 'resume', 'resync public.t']);
});

// Proves: no web page gives orders: not by a form, not from elsewhere, not by a name that was bent to this machine; and reading is no order (S2).
test('web pages', async () => {
  const book = new OrderBook();
  await using server = await serve(book);
  const json = { 'content-type': 'application/json' };
  const post = async (path: string, headers: Record<string, string>): Promise<number> =>
    (await fetch(`${server.url}${path}`, { method: 'POST', headers })).status;
  assert.equal(await post('/pause', {}), 415);
  assert.equal(await post('/pause', { 'content-type': 'text/plain' }), 415);
  assert.equal(await post('/pause', { ...json, origin: 'https://evil.example' }), 403);
  assert.equal((await fetch(`${server.url}/pause`)).status, 405);
  assert.equal(await post('/nothing', json), 404);
  assert.equal(await post('/resync', json), 404);
  assert.deepEqual(book.orders, []);
  const page = await fetch(`${server.url}/`);
  assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/);
  const html = await page.text();
  assert.ok(
    html.includes('<h1>baton sync</h1>') && html.includes('function show(status)') && !html.includes('/*show*/'),
  );
});

// Proves: where there are tokens everybody needs one, reading and ordering are two rights, and a revoked one is worthless at once; the words of
// supervisors need none (S3, S4).
test('tokens', async () => {
  await using sandbox = makeSandbox();
  const tokenPath = sandbox.join('tokens');
  const [reader, writer] = [createToken(tokenPath, 'r', ['read']), createToken(tokenPath, 'w', ['write'])];
  const book = new OrderBook();
  await using server = await serve(book, { tokenPath });
  const place = parseOperations(server.url);
  await assert.rejects(fetchSyncStatus(place, {}, signal), { code: 'ACCESS_DENIED' });
  assert.equal((await fetchSyncStatus(place, { token: reader }, signal)).name, 'app');
  await assert.rejects(orderSync(place, { kind: 'pause' }, { token: reader }, signal), { code: 'ACCESS_DENIED' });
  await orderSync(place, { kind: 'pause' }, { token: writer }, signal);
  revokeToken(tokenPath, 'w');
  await assert.rejects(orderSync(place, { kind: 'resume' }, { token: writer }, signal), { code: 'ACCESS_DENIED' });
  assert.equal((await fetch(`${server.url}/health`)).status, 200);
  assert.equal((await fetch(`${server.url}/metrics`)).status, 401);
  assert.deepEqual(book.orders, ['pause']);
  await assert.rejects(serve(book, { listen: '0.0.0.0:0' }), { code: 'USAGE', message: /there is no token/ });
});

// Proves: metrics say what the status says, what is not known is absent and no zero, and counts do not grow by being looked at.
test('metrics', async () => {
  const book = new OrderBook();
  await using server = await serve(book);
  const read = async (): Promise<readonly string[]> =>
    (await (await fetch(`${server.url}/metrics`)).text()).split('\n');
  await read();
  const lines = await read();
  for (const line of [
    'baton_sync_lag_bytes 16',
    'baton_sync_slot_retained_bytes 1024',
    'baton_sync_rows_total{kind="dump"} 40',
    'baton_sync_rows_total{kind="delete"} 3',
    'baton_sync_transactions_total 7',
    'baton_sync_retries_total 6',
    'baton_sync_phase{phase="streaming"} 1',
    'baton_sync_phase{phase="paused"} 0',
    'baton_sync_committed_timestamp_seconds 1.5',
    'baton_sync_open 0',
  ])
    assert.ok(lines.includes(line), `${line}\n${lines.join('\n')}`);
  const values = lines.filter((line) => !line.startsWith('#'));
  assert.ok(!values.some((line) => /^baton_sync_(lag_seconds|slot_remaining_bytes)/.test(line)));
  book.change = { lagBytes: undefined };
  assert.ok(!(await read()).some((line) => line.startsWith('baton_sync_lag_bytes')));
});
