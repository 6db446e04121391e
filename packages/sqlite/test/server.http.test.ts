// Hrana over HTTP, byte by byte where it matters.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { execute, type Json, post, resultOf, resultsOf, serve, valuesOf } from './support/served.ts';

const close = { type: 'close' };

// Proves: a pipeline is answered in order and in full, also after a request that failed, in the shapes of the specification.
test('a pipeline', async () => {
  await using served = await serve();
  const requests = [
    execute('CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)'),
    execute('INSERT INTO t VALUES (?, ?)', [
      { type: 'integer', value: '1' },
      { type: 'text', value: 'x' },
    ]),
    execute('INSERT INTO t VALUES (1, NULL)'),
    { type: 'store_sql', sql_id: 1, sql: 'SELECT a, b AS label, a + 1 FROM t' },
    { type: 'execute', stmt: { sql_id: 1 } },
    { type: 'close_sql', sql_id: 1 },
    { type: 'execute', stmt: { sql_id: 1 } },
    { type: 'describe', sql: 'SELECT a FROM t WHERE b = :b' },
    { type: 'sequence', sql: 'INSERT INTO t VALUES (2, 2); INSERT INTO t VALUES (3, 3)' },
    { type: 'get_autocommit' },
    { type: 'nonsense' },
    close,
    execute('SELECT 1'),
  ];
  const reply = await post(served.url('/v3/pipeline'), { baton: null, requests });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('content-type'), 'application/json');
  assert.deepEqual([reply.body['baton'], reply.body['base_url']], [null, null]);
  const results = resultsOf(reply);
  assert.deepEqual(
    results.map(({ type, code }) => type ?? code),
    [
      'execute',
      'execute',
      'SQLITE_CONSTRAINT',
      'store_sql',
      'execute',
      'close_sql',
      'PROTOCOL',
      'describe',
      'sequence',
      'get_autocommit',
      'PROTOCOL',
      'close',
      'STREAM_EXPIRED',
    ],
  );
  assert.deepEqual(results[1]?.['result'], { cols: [], rows: [], affected_row_count: 1, last_insert_rowid: '1' });
  assert.deepEqual(resultOf(results[4])['cols'], [
    { name: 'a', decltype: 'INTEGER' },
    { name: 'label', decltype: 'TEXT' },
    { name: 'a + 1', decltype: null },
  ]);
  assert.deepEqual(valuesOf(results[4]), [['1', 'x', '2']]);
  assert.deepEqual(results[7]?.['result'], {
    params: [{ name: ':b' }],
    cols: [{ name: 'a', decltype: 'INTEGER' }],
    is_explain: false,
    is_readonly: true,
  });
  assert.equal(results[9]?.['is_autocommit'], true);
  assert.match(String(results[10]?.['message']), /^requests\[10\]\.type must be a request of Hrana 3/);
  assert.equal(served.databases.sessions.size, 0);
});

// Proves: what version 3 has brought is unknown in version 2, and both are found where clients look for them.
test('versions', async () => {
  await using served = await serve();
  for (const path of ['/v2', '/v3', '/db/other/v3']) assert.equal((await fetch(served.url(path))).status, 200, path);
  assert.equal((await fetch(served.url('/v3-protobuf'))).status, 404);
  const reply = await post(served.url('/v2/pipeline'), { requests: [{ type: 'get_autocommit' }, close] });
  assert.equal(resultsOf(reply)[0]?.['code'], 'PROTOCOL');
});

// Proves: steps run when their conditions hold; a step that did not run has neither result nor error.
test('a batch with conditions', async () => {
  await using served = await serve();
  const steps = [
    { stmt: { sql: 'BEGIN' } },
    { stmt: { sql: 'INSERT INTO missing VALUES (1)' }, condition: { type: 'ok', step: 0 } },
    { stmt: { sql: 'COMMIT' }, condition: { type: 'ok', step: 1 } },
    { stmt: { sql: 'ROLLBACK' }, condition: { type: 'not', cond: { type: 'is_autocommit' } } },
    {
      stmt: { sql: 'SELECT 1' },
      condition: { type: 'and', conds: [{ type: 'error', step: 1 }, { type: 'is_autocommit' }] },
    },
  ];
  const reply = await post(served.url('/v3/pipeline'), { requests: [{ type: 'batch', batch: { steps } }, close] });
  const result = resultOf(resultsOf(reply)[0]);
  const [done, failed] = [result['step_results'], result['step_errors']] as [Json[], Json[]];
  assert.deepEqual(
    done.map((result) => result !== null),
    [true, false, false, true, true],
  );
  assert.deepEqual(
    failed.map((error) => error?.['code'] ?? null),
    [null, 'SQLITE_ERROR', null, null, null],
  );
});

// Proves: a transaction lives from request to request by its baton; a baton is good once, for its database and nothing else (H1, H2).
test('batons', async () => {
  await using served = await serve();
  const pipeline = served.url('/v2/pipeline');
  const first = await post(pipeline, {
    requests: [execute('CREATE TABLE t (a)'), execute('BEGIN'), execute('INSERT INTO t VALUES (1)')],
  });
  const baton = String(first.body['baton']);
  assert.ok(baton.length > 60, baton);
  const select = { requests: [execute('SELECT count(*) FROM t')] };
  assert.equal((await post(served.url('/db/other/v2/pipeline'), { baton, ...select })).body['code'], 'STREAM_EXPIRED');
  for (const wrong of ['', 'x', '.', `${baton}A`, baton.slice(0, -1), `${baton.split('.')[0]}.`])
    assert.equal((await post(pipeline, { baton: wrong, ...select })).status, 400, wrong);
  assert.deepEqual(valuesOf(resultsOf(await post(pipeline, select))[0]), [['0']], 'others see nothing of it');
  const second = await post(pipeline, { baton, ...select });
  assert.deepEqual(valuesOf(resultsOf(second)[0]), [['1']]);
  const replayed = await post(pipeline, { baton, ...select });
  assert.deepEqual([replayed.status, replayed.body['code']], [400, 'STREAM_EXPIRED']);
  const third = await post(pipeline, { baton: second.body['baton'], requests: [execute('COMMIT'), close] });
  assert.equal(third.body['baton'], null);
  assert.deepEqual(valuesOf(resultsOf(await post(pipeline, select))[0]), [['1']]);
});

// Proves: a stream that nobody uses ends and its transaction is rolled back, so that others can write (H4).
test('an idle stream ends', async () => {
  await using served = await serve({ settings: { streamIdleMsMax: 150 } });
  const pipeline = served.url('/v2/pipeline');
  await post(pipeline, { requests: [execute('CREATE TABLE t (a)'), close] });
  const { body } = await post(pipeline, {
    requests: [execute('BEGIN IMMEDIATE'), execute('INSERT INTO t VALUES (1)')],
  });
  await delay(400);
  assert.equal(
    (await post(pipeline, { baton: body['baton'], requests: [execute('COMMIT')] })).body['code'],
    'STREAM_EXPIRED',
  );
  assert.equal(served.databases.sessions.size, 0);
  const after = await post(pipeline, {
    requests: [execute('INSERT INTO t VALUES (2)'), execute('SELECT a FROM t'), close],
  });
  assert.deepEqual(valuesOf(resultsOf(after)[1]), [['2']]);
});

// Proves: a transaction that is kept busy for too long ends as well, and its client is told why (H4).
test('a long transaction ends', async () => {
  await using served = await serve({ settings: { transactionMsMax: 200 } });
  const pipeline = served.url('/v2/pipeline');
  let reply = await post(pipeline, { requests: [execute('CREATE TABLE t (a)'), execute('BEGIN IMMEDIATE')] });
  const startMs = performance.now();
  while (reply.body['baton'] !== null && performance.now() - startMs < 10_000) {
    await delay(20);
    reply = await post(pipeline, { baton: reply.body['baton'], requests: [execute('INSERT INTO t VALUES (1)')] });
    if (reply.status !== 200) break;
  }
  const error = reply.status === 200 ? resultsOf(reply)[0] : reply.body;
  assert.equal(error?.['code'], 'STREAM_EXPIRED');
  assert.match(String(error?.['message']), /transaction was open for more than 0\.2 s|no stream waits/);
  const after = await post(pipeline, { requests: [execute('SELECT count(*) FROM t'), close] });
  assert.deepEqual(valuesOf(resultsOf(after)[0]), [['0']]);
});

const endless = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n';

// Proves: a statement without an end is interrupted by the limit, and when its client goes away.
test('endless statements end', async () => {
  await using served = await serve({ settings: { callMsMax: 200 } });
  const stmt = { sql: endless, want_rows: false };
  const reply = await post(served.url('/v2/pipeline'), { requests: [{ type: 'execute', stmt }] });
  assert.match(String(resultsOf(reply)[0]?.['message']), /ran for more than 0\.2 s/);
  assert.equal(reply.body['baton'], null);
  await using patient = await serve();
  const leaving = AbortSignal.timeout(200);
  const body = JSON.stringify({ requests: [{ type: 'execute', stmt }] });
  const headers = { 'content-type': 'application/json' };
  await assert.rejects(fetch(patient.url('/v2/pipeline'), { method: 'POST', headers, body, signal: leaving }));
  const startMs = performance.now();
  while (patient.databases.sessions.size > 0 && performance.now() - startMs < 10_000) await delay(20);
  assert.equal(patient.databases.sessions.size, 0);
});

// Proves: an answer that would be too large is an error of its statement, and a cursor has no such limit.
test('large results', async () => {
  await using served = await serve({ settings: { resultBytesMax: 10_000 } });
  const sql = `${endless} LIMIT 5000`;
  const reply = await post(served.url('/v3/pipeline'), { requests: [execute(sql), close] });
  assert.equal(resultsOf(reply)[0]?.['code'], 'SQLITE_TOOBIG');
  const entries = await readCursor(served.url('/v3/cursor'), { batch: { steps: [{ stmt: { sql } }] } });
  assert.equal(entries.filter(({ type }) => type === 'row').length, 5000);
});

// Proves: a cursor gives the entries of the specification in their order, and its baton goes on with the same stream.
test('a cursor', async () => {
  await using served = await serve();
  const steps = [
    { stmt: { sql: 'BEGIN' } },
    { stmt: { sql: 'CREATE TABLE t (a TEXT)' } },
    { stmt: { sql: "INSERT INTO t VALUES ('x') RETURNING a" } },
    { stmt: { sql: 'SELECT 1' }, condition: { type: 'error', step: 0 } },
    { stmt: { sql: 'nonsense' } },
  ];
  const [head, ...entries] = await readCursor(served.url('/v3/cursor'), { baton: null, batch: { steps } });
  const told = entries.map(({ type, step }) => (step === undefined ? type : `${type as string} ${step as number}`));
  assert.deepEqual(told, [
    'step_begin 0',
    'step_end',
    'step_begin 1',
    'step_end',
    'step_begin 2',
    'row',
    'step_end',
    'step_error 4',
  ]);
  assert.deepEqual(entries[4]?.['cols'], [{ name: 'a', decltype: 'TEXT' }]);
  assert.deepEqual(entries[5]?.['row'], [{ type: 'text', value: 'x' }]);
  const pipeline = { baton: head?.['baton'], requests: [execute('SELECT a FROM t'), execute('COMMIT'), close] };
  assert.deepEqual(valuesOf(resultsOf(await post(served.url('/v3/pipeline'), pipeline))[0]), [['x']]);
});

// Proves: a client that leaves a cursor in the middle stops it, and may use the stream's baton at once.
test('a cursor that is left', async () => {
  await using served = await serve();
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ batch: { steps: [{ stmt: { sql: 'BEGIN' } }, { stmt: { sql: endless } }] } });
  const response = await fetch(served.url('/v3/cursor'), { method: 'POST', headers, body });
  const reader = response.body?.getReader();
  const piece = (await reader?.read()) as { readonly value?: Uint8Array } | undefined;
  const [line = ''] = Buffer.from(piece?.value ?? [])
    .toString()
    .split('\n', 1);
  await reader?.cancel();
  const requests = [{ type: 'get_autocommit' }, execute('ROLLBACK'), close];
  const reply = await post(served.url('/v3/pipeline'), { baton: (JSON.parse(line) as Json)['baton'], requests });
  assert.equal(resultsOf(reply)[0]?.['is_autocommit'], false);
  assert.equal(served.databases.sessions.size, 0);
});

// Proves: the answer to a write carries its position, and a key's receipt says the same.
test('positions and receipts', async () => {
  await using served = await serve();
  const pipeline = served.url('/v2/pipeline');
  const created = await post(pipeline, { requests: [execute('CREATE TABLE t (a)'), close] });
  assert.equal(created.headers.get('baton-position'), null, 'the stand-in counts rows');
  const write = { requests: [execute('INSERT INTO t VALUES (1)'), close] };
  const written = await post(pipeline, write, { 'idempotency-key': 'key 1'.replace(' ', '/') });
  const position = written.headers.get('baton-position');
  assert.match(String(position), /^1\.\d+$/);
  assert.equal(resultsOf(written)[0]?.['position'], position);
  const receipt = await (await fetch(served.url('/txn/key%2F1'))).json();
  assert.deepEqual(receipt, { state: 'committed', position });
  const select = { requests: [execute('SELECT 1'), { ...execute('SELECT 2'), at_least: '1.5' }, close] };
  await post(pipeline, select, { 'baton-at-least': '1.4' });
  assert.deepEqual(served.databases.asked.slice(-2), [{ atLeast: '1.4' }, { atLeast: '1.5' }]);
  assert.deepEqual(await (await fetch(served.url('/txn/other'))).json(), { state: 'absent' });
  for (const key of ['', 'x'.repeat(129), 'a%20b', '%ff'])
    assert.ok((await fetch(served.url(`/txn/${key}`))).status >= 400, key);
  assert.equal((await post(pipeline, write, { 'idempotency-key': 'x'.repeat(129) })).body['code'], 'PROTOCOL');
});

// Proves: each database has its own path, and one that does not exist is an error of the request.
test('databases', async () => {
  await using served = await serve();
  const requests = [execute('CREATE TABLE here (a)'), close];
  await post(served.url('/db/other/v2/pipeline'), { requests });
  assert.equal(
    resultsOf(await post(served.url('/v2/pipeline'), { requests: [execute('SELECT * FROM here'), close] }))[0]?.[
      'code'
    ],
    'SQLITE_ERROR',
  );
  assert.equal(resultsOf(await post(served.url('/db/main/v2/pipeline'), { requests }))[0]?.['type'], 'execute');
  assert.equal(resultsOf(await post(served.url('/db/missing/v2/pipeline'), { requests }))[0]?.['code'], 'NOT_FOUND');
  for (const path of [
    '/db/',
    '/db/..%2fmain/v2',
    '/db/.hidden/v2',
    '/db/a%00/v2',
    `/db/${'x'.repeat(101)}/v2`,
    '/v1',
    '/v2/cursor',
  ])
    assert.equal((await fetch(served.url(path))).status, 404, path);
  assert.equal((await fetch(served.url('/v2/pipeline'))).status, 405);
});

// Proves: supervisors and people find what they look for, and metrics count what was asked.
test('health, readiness, status, metrics', async () => {
  await using served = await serve();
  const text = async (path: string): Promise<readonly [number, string]> => {
    const response = await fetch(served.url(path));
    return [response.status, await response.text()];
  };
  assert.deepEqual(await text('/health'), [200, 'ok\n']);
  assert.deepEqual(await text('/ready'), [200, 'ready\n']);
  served.databases.state = { isReady: false, reason: 'the log is being read' };
  assert.deepEqual(await text('/ready'), [503, 'not ready: the log is being read\n']);
  await post(served.url('/v2/pipeline'), { requests: [execute('SELECT 1')] });
  const status = JSON.parse((await text('/status'))[1]) as { server: Json; databases: unknown };
  assert.equal(status.server['streams'], 1);
  assert.deepEqual(status.databases, ['main', 'other']);
  const [, metrics] = await text('/metrics');
  assert.match(metrics, /^baton_sqlite_requests_total\{way="http",type="pipeline",outcome="ok"\} 1$/m);
  assert.match(metrics, /^baton_sqlite_streams 1$/m);
  assert.match(metrics, /^baton_sqlite_http_seconds_count \d+$/m);
});

async function readCursor(url: string, body: unknown): Promise<Json[]> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.equal(response.status, 200);
  const lines = (await response.text()).split('\n');
  assert.equal(lines.pop(), '', 'every line is ended');
  return lines.map((line) => JSON.parse(line) as Json);
}
