// What becomes of transactions when the log refuses them, or nobody knows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { ReadGate } from '../src/log/read-gate.ts';
import { unpackError } from '../src/node/error-transfer.ts';
import type { WriterHost } from '../src/node/writer-host.ts';
import { FaultyLayer } from './faulty-layer.ts';
import { openHost, request, run } from './in-process.ts';
import { openScripted, ScriptedLog, type Step } from './scripted-log.ts';

type Bed = { readonly host: WriterHost; readonly log: ScriptedLog; readonly gate: ReadGate };

async function makeBed(): Promise<Bed> {
  const layer = new FaultyLayer(new Random(seedOfRun()));
  const log = new ScriptedLog();
  const gate = ReadGate.memory();
  const host = await openHost(layer, { gate, openLog: () => openScripted(log, layer) });
  await host.openDatabase('main', 1024);
  await run(host, 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE)');
  await run(host, "INSERT INTO t VALUES (1, 'first')");
  return { host, log, gate: new ReadGate(gate) };
}

async function values(host: WriterHost): Promise<unknown[]> {
  return (await run(host, 'SELECT v FROM t ORDER BY id')).results[0]!.rows.map(([value]) => value);
}

function codeOf(settled: PromiseSettledResult<unknown>): string {
  return settled.status === 'fulfilled' ? 'ok' : (settled.reason as { readonly code: string }).code;
}

// Proves: a refusal takes back every transaction of the group and all that stands on them, errors, reads and no-ops included: no reply of any
// of them reveals what was refused (N1, M4).
test('what stands on a refused transaction', async () => {
  const { host, log } = await makeBed();
  log.script.push('refused');
  const replies = [
    host.executor.run(request("INSERT INTO t VALUES (2, 'second')")),
    // Its error would tell that there is a second one.
    host.executor.run(request("INSERT INTO t VALUES (3, 'second')")),
    // So would its rows, and the number of its changes.
    host.executor.run(request('SELECT count(*) FROM t')),
    host.executor.run(request("UPDATE t SET v = v WHERE id = 2 AND v = 'no'")),
    host.executor.run(request("INSERT INTO t VALUES (4, 'fourth')")),
  ];
  const all = Promise.allSettled(replies);
  await host.machine.flush();
  assert.deepEqual((await all).map(codeOf), ['REFUSED', 'REFUSED', 'REFUSED', 'REFUSED', 'REFUSED']);
  await assert.rejects(run(host, "INSERT INTO t VALUES (5, 'fifth')"), { code: 'REFUSED' });
  await host.machine.lead(new AbortController().signal);
  assert.deepEqual(await values(host), ['first']);
  await run(host, "INSERT INTO t VALUES (2, 'other')");
  assert.deepEqual(await values(host), ['first', 'other']);
  assert.deepEqual((await run(host, 'PRAGMA integrity_check')).results[0]!.rows, [['ok']]);
});

// Proves: nothing is told while the log has not spoken, and readers of published states see nothing of it (N1, I2).
test('replies wait', async () => {
  const { host, log } = await makeBed();
  const before = host.status().position;
  let open!: () => void;
  log.gate = new Promise((resolve) => (open = resolve));
  const told: string[] = [];
  const write = host.executor.run(request("INSERT INTO t VALUES (2, 'second')")).then(() => told.push('write'));
  const read = host.executor.run(request('SELECT count(*) FROM t')).then(() => told.push('read'));
  const flushing = host.machine.flush();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(told, []);
  assert.deepEqual(host.status().position, before);
  open();
  await Promise.all([write, read, flushing]);
  assert.deepEqual(host.status().position.index, before.index + 1);
});

// Proves: what a session is told waits like every other reply: results, errors of a step, a description (K1).
test('sessions over a refused transaction', async () => {
  const { host, log } = await makeBed();
  const session = host.executor.openSession('main');
  const turn = { session, call: 1, interrupted: new Int32Array(1), timeoutMs: 60_000 };
  log.script.push('refused');
  const visits = [
    host.executor.run(request('CREATE TABLE u (v)')),
    host.executor.visit(turn, (connection) => connection.run('SELECT * FROM u')),
    host.executor.visit(turn, (connection) => connection.run('nonsense')),
    host.executor.visit(turn, (connection) => connection.describe('SELECT * FROM u')),
  ];
  const all = Promise.allSettled(visits);
  await host.machine.flush();
  assert.deepEqual((await all).map(codeOf), ['REFUSED', 'REFUSED', 'REFUSED', 'REFUSED']);
  await host.machine.lead(new AbortController().signal);
  const { value, isAutocommit } = await host.executor.visit(
    turn,
    (connection) => connection.run('SELECT v FROM t').rows,
  );
  assert.deepEqual([value, isAutocommit], [{ done: [['first']] }, true]);
});

// Proves: an error that SQLite answers is an answer, and so is that something is not there: from the moment on at which another node may lead, a leader that
// does not know it yet tells neither, and what was open is gone (E5, N1).
test('errors of a leader that is not certain', async () => {
  const { host, gate } = await makeBed();
  const duplicate = "INSERT INTO t VALUES (9, 'first')";
  const session = host.executor.openSession('main');
  const turn = { session, call: 1, interrupted: new Int32Array(1), timeoutMs: 60_000 };
  const uncertain = { code: 'UNAVAILABLE', retryable: true };
  await assert.rejects(run(host, duplicate), { code: 'STATEMENT_FAILED' });
  await run(host, 'BEGIN IMMEDIATE', [], { session });
  gate.release();
  const { value, isAutocommit } = await host.executor.visit(turn, (connection) => connection.run(duplicate));
  assert.ok('error' in value && isAutocommit);
  assert.equal(unpackError(value.error).code, 'UNAVAILABLE');
  await assert.rejects(run(host, duplicate), uncertain);
  await assert.rejects(run(host, 'SELECT * FROM nothing'), uncertain);
  await assert.rejects(run(host, 'SELECT 1', [], { database: 'nothing' }), uncertain);
  await assert.rejects(host.executor.describe('main', 'SELECT * FROM nothing'), uncertain);
  // What the log accepts is certain by that.
  await run(host, "INSERT INTO t VALUES (2, 'second')");
  gate.holdForever();
  await assert.rejects(run(host, duplicate), { code: 'STATEMENT_FAILED' });
  assert.deepEqual(await values(host), ['first', 'second']);
});

// Proves: a description waits like every other reply (N1).
test('a description over a refused transaction', async () => {
  const { host, log } = await makeBed();
  log.script.push('refused');
  const written = host.executor.run(request('CREATE TABLE u (v)'));
  const described = host.executor.describe('main', 'SELECT v FROM u');
  const all = Promise.allSettled([written, described]);
  await host.machine.flush();
  assert.deepEqual((await all).map(codeOf), ['REFUSED', 'REFUSED']);
});

// Proves: an unknown outcome becomes what the log says: the same node finds its entry, does not find it, or finds another one's in its place;
// replies and receipts say the same (M5, M6).
test('unknown outcomes', async () => {
  const cases: readonly (readonly [Step, string, string, unknown[]])[] = [
    ['unknown-present', 'ok', 'committed', ['first', 'second']],
    ['unknown-absent', 'REFUSED', 'absent', ['first']],
    ['unknown-foreign', 'REFUSED', 'absent', ['first', 'foreign']],
  ];
  for (const [step, code, receipt, expected] of cases) {
    const { host, log } = await makeBed();
    const other = await makeBed();
    await run(other.host, "INSERT INTO t VALUES (2, 'foreign')");
    log.foreign = (index, epoch) => [{ ...other.log.list[index - 1]!, epoch }];
    log.script.push(step);
    const running = host.executor.run(request("INSERT INTO t VALUES (2, 'second')", [], { key: 'key' }));
    const settled = Promise.allSettled([running]);
    assert.equal(host.executor.receipt('key').state, 'pending', step);
    await host.machine.flush();
    assert.equal(codeOf((await settled)[0]), code, step);
    assert.equal(host.executor.receipt('key').state, receipt, step);
    assert.deepEqual(await values(host), expected, step);
    await run(host, "INSERT INTO t VALUES (9, 'ninth')");
    assert.deepEqual(await values(host), [...expected, 'ninth'], step);
    assert.deepEqual((await run(host, 'PRAGMA integrity_check')).results[0]!.rows, [['ok']], step);
  }
});

// Proves: an open transaction that stands on a refused one ends with an error that can be retried, and holds nobody up (M4).
test('an open transaction over a refused one', async () => {
  const { host, log } = await makeBed();
  const session = host.executor.openSession('main');
  log.script.push('refused');
  const refused = Promise.allSettled([host.executor.run(request("INSERT INTO t VALUES (2, 'second')"))]);
  const begun = Promise.allSettled([host.executor.run(request('BEGIN IMMEDIATE', [], { session }))]);
  const inside = Promise.allSettled([host.executor.run(request("INSERT INTO t VALUES (3, 'third')", [], { session }))]);
  await host.machine.flush();
  assert.deepEqual([...(await refused), ...(await begun), ...(await inside)].map(codeOf), [
    'REFUSED',
    'REFUSED',
    'REFUSED',
  ]);
  await host.machine.lead(new AbortController().signal);
  await assert.rejects(run(host, 'COMMIT', [], { session }), { code: 'REFUSED', retryable: true });
  await run(host, "INSERT INTO t VALUES (2, 'second')");
  assert.deepEqual(await values(host), ['first', 'second']);
});

// Proves: a large transaction of which the log took some parts and refused the rest is nowhere, and what follows is not confused by its
// parts, also for who reads the log anew (M1, M3, C4).
test('parts of a refused transaction', async () => {
  const { host, log } = await makeBed();
  const entries = log.list.length;
  log.script.push('accepted', 'accepted', 'refused');
  const large =
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) INSERT INTO t SELECT i + 10, hex(randomblob(400)) FROM n';
  await assert.rejects(run(host, large), { code: 'REFUSED' });
  assert.equal(log.list.length, entries + 2);
  await host.machine.lead(new AbortController().signal);
  await run(host, "INSERT INTO t VALUES (2, 'second')");
  assert.deepEqual(await values(host), ['first', 'second']);
  await run(host, large);
  const layer = new FaultyLayer(new Random(1));
  const again = await openHost(layer, { openLog: () => openScripted(log, layer) });
  assert.deepEqual((await run(again, 'SELECT count(*) FROM t')).results[0]!.rows, [[602]]);
  assert.deepEqual((await run(again, 'PRAGMA integrity_check')).results[0]!.rows, [['ok']]);
  assert.deepEqual(again.status().databases, host.status().databases);
});

// Proves: without space a write fails and can be retried, reads go on, and writing goes on by itself when there is space.
test('no space', async () => {
  const { host, log } = await makeBed();
  log.script.push('no-space');
  await assert.rejects(run(host, "INSERT INTO t VALUES (2, 'second')"), { code: 'NO_SPACE', retryable: true });
  assert.deepEqual(await values(host), ['first']);
  await run(host, "INSERT INTO t VALUES (2, 'second')");
  assert.deepEqual(await values(host), ['first', 'second']);
});

// Proves: the log is asked to accept nothing for which there is no room here: what it accepts has to be applied (P2).
test('no room for a copy', async () => {
  const { host, log } = await makeBed();
  const entries = log.list.length;
  log.isFull = true;
  await assert.rejects(run(host, "INSERT INTO t VALUES (2, 'second')"), { code: 'NO_SPACE', retryable: true });
  assert.equal(log.list.length, entries);
  assert.deepEqual(await values(host), ['first']);
  log.isFull = false;
  await run(host, "INSERT INTO t VALUES (2, 'second')");
  assert.deepEqual(await values(host), ['first', 'second']);
});
