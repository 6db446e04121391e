// What clients of a replica get: reads of what is here, and everything else from the leader.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { createClient } from '@libsql/client';
import type { Session, SessionOptions, Statement } from '../src/databases.ts';
import { createToken, formatPosition, revokeToken } from '../src/index.ts';
import { caughtUp, type Served, serveNode, until } from './support/replicas.ts';

const timeout = 120_000;
const never = new AbortController().signal;
const options: SessionOptions = { database: 'main', isReadOnly: false, resultBytesMax: 1_048_576 };

type Pair = AsyncDisposable & { readonly leader: Served; readonly follower: Served };

async function servePair(sandbox: Sandbox, more: object = {}): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const impatient = { settings: { stopMsMax: 100 } };
  const leader = stack.use(await serveNode({ directory: sandbox.join('leader') }, impatient));
  await leader.node.execute('CREATE TABLE t (x)');
  const follow = { url: leader.url };
  const follower = stack.use(await serveNode({ directory: sandbox.join('follower'), follow, ...more }));
  await caughtUp(follower.node, leader.node);
  const all = stack.move();
  return { leader, follower, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

function statement(sql: string, values: Statement['values'] = []): Statement {
  return { sql, values, namedValues: [], wantRows: true };
}

async function run(session: Session, sql: string, call: object = {}): Promise<readonly unknown[]> {
  return (await session.execute(statement(sql), call, never)).rows.flat();
}

// Proves: a session reads its own writes on a replica, in and after transactions; what is of its connection is where its connection is (R9).
test('a session reads what it wrote', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using pair = await servePair(sandbox);
  const session = await pair.follower.node.clients().open(options, never);
  for (let count = 1; count <= 30; count++) {
    await run(session, `INSERT INTO t VALUES (${count})`);
    assert.deepEqual(await run(session, 'SELECT count(*) FROM t'), [BigInt(count)]);
  }
  assert.deepEqual(await run(session, 'SELECT last_insert_rowid()'), [30n]);
  await run(session, 'BEGIN');
  await run(session, 'INSERT INTO t VALUES (31)');
  assert.equal(session.isAutocommit, false);
  assert.deepEqual(await run(session, 'SELECT count(*) FROM t'), [31n]);
  await run(session, 'ROLLBACK');
  assert.deepEqual(await run(session, 'SELECT count(*) FROM t'), [30n]);
  await run(session, 'CREATE TEMP TABLE own AS SELECT 7 AS x');
  assert.deepEqual(await run(session, 'SELECT x FROM own'), [7n]);
  await session.close();
});

// Proves: a session that may only read is refused a write, and is never forwarded (R9); transactions that only read work where it is.
test('a session that only reads stays', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using pair = await servePair(sandbox);
  const session = await pair.follower.node.clients().open({ ...options, isReadOnly: true }, never);
  await assert.rejects(run(session, 'INSERT INTO t VALUES (1)'), { sqliteCode: 'SQLITE_READONLY' });
  await run(session, 'BEGIN');
  assert.deepEqual(await run(session, 'SELECT count(*) FROM t'), [0n]);
  await pair.leader.node.execute('INSERT INTO t VALUES (1)');
  await caughtUp(pair.follower.node, pair.leader.node);
  assert.deepEqual(await run(session, 'SELECT count(*) FROM t'), [0n], 'a transaction sees one state');
  await run(session, 'COMMIT');
  assert.deepEqual(await run(session, 'SELECT count(*) FROM t'), [1n]);
  await session.close();
});

// Proves: who asks for the leader's state gets it, also with a token that may only read, and by it nothing but a read is forwarded (R9).
test('reading at the leader', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using pair = await servePair(sandbox);
  for (const isReadOnly of [false, true]) {
    const session = await pair.follower.node.clients().open({ ...options, isReadOnly }, never);
    const { position } = await pair.leader.node.execute('INSERT INTO t VALUES (1)');
    const [count] = await run(session, 'SELECT count(*) FROM t', { level: 'leader' });
    assert.equal(count, isReadOnly ? 2n : 1n);
    assert.deepEqual(await run(session, 'SELECT count(*) FROM t', { atLeast: formatPosition(position) }), [count]);
    await session.describe('SELECT 1', never);
    assert.equal(session.isAutocommit, true);
    const write = run(session, 'WITH n AS (SELECT 3) INSERT INTO t SELECT * FROM n RETURNING x', { level: 'leader' });
    if (isReadOnly) await assert.rejects(write, { code: 'USAGE' });
    else assert.deepEqual(await write, [3n]);
    await pair.leader.node.execute('DELETE FROM t WHERE x = 3');
    await session.close();
  }
  const answer = await fetch(`${pair.follower.url}/v2/pipeline`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'baton-level': 'strong' },
    body: '{"requests":[]}',
  });
  assert.equal(answer.status, 400);
});

// Proves: receipts of what was forwarded are there on both sides, and a replica does not say `absent` of what it does not have yet.
test('receipts', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using pair = await servePair(sandbox);
  const clients = pair.follower.node.clients();
  const session = await clients.open(options, never);
  await run(session, 'INSERT INTO t VALUES (1)', { transactionKey: 'order-1' });
  const receipt = await clients.receipt('order-1', never);
  assert.deepEqual(receipt, await pair.leader.node.clients().receipt('order-1', never));
  assert.equal(receipt.state, 'committed');
  assert.deepEqual(await clients.receipt('order-2', never), { state: 'absent' });
  await session.close();
});

// Proves: a stock client works against a replica unchanged: batches and interactive transactions are the leader's.
test('a stock client', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using pair = await servePair(sandbox);
  for (const scheme of ['http', 'ws']) {
    const client = createClient({ url: pair.follower.url.replace('http', scheme) });
    await client.execute('DELETE FROM t');
    await client.batch(['INSERT INTO t VALUES (1)', 'INSERT INTO t VALUES (2)'], 'write');
    const transaction = await client.transaction('write');
    await transaction.execute('INSERT INTO t VALUES (3)');
    await transaction.commit();
    await caughtUp(pair.follower.node, pair.leader.node);
    const { rows } = await client.execute('SELECT count(*) AS n FROM t');
    assert.equal(rows[0]?.['n'], 3);
    client.close();
  }
});

// Proves: without its leader a replica goes on being read, refuses what it cannot do, and says of a broken transaction that it is gone; with a limit of
// its age it is not read any more (R8, R9).
test('a leader that is gone', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using pair = await servePair(sandbox, { maxLagMs: 1500 });
  const clients = pair.follower.node.clients();
  const session = await clients.open(options, never);
  await run(session, 'BEGIN IMMEDIATE');
  await run(session, 'INSERT INTO t VALUES (1)');
  await pair.leader[Symbol.asyncDispose]();
  assert.deepEqual((await pair.follower.node.query('SELECT count(*) FROM t')).rows, [[0]]);
  await assert.rejects(run(session, 'INSERT INTO t VALUES (2)'), { retryable: true });
  await assert.rejects(run(session, 'INSERT INTO t VALUES (2)'), { retryable: true });
  assert.equal(session.isAutocommit, true);
  await until('its age is too high', () => !clients.readiness().isReady);
  await assert.rejects(pair.follower.node.query('SELECT count(*) FROM t'), { code: 'UNAVAILABLE', retryable: true });
  await session.close();
});

// Proves: a replica keeps no database that its leader has not: what would make, drop or import one is refused with the leader's URL.
test('operations', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using pair = await servePair(sandbox);
  const { node, url } = pair.follower;
  await assert.rejects(node.createDatabase('shop'), { code: 'REFUSED', hint: `write to ${pair.leader.url}` });
  await assert.rejects(node.dropDatabase('main'), { code: 'REFUSED' });
  const answer = await fetch(`${url}/db/shop`, { method: 'PUT' });
  assert.equal(answer.status, 409);
  assert.match(await answer.text(), new RegExp(pair.leader.url));
  assert.deepEqual((await node.query('SELECT count(*) FROM t')).rows, [[0]]);
});

// Proves: only a token with the right to join gets the log, and revoking it ends the stream.
test('tokens', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const tokenPath = sandbox.join('tokens');
  const token = createToken(tokenPath, 'replica', ['join', 'write']);
  const reader = createToken(tokenPath, 'reader', ['read']);
  await using leader = await serveNode({ directory: sandbox.join('leader') }, { tokenPath });
  await leader.node.execute('CREATE TABLE t (x)');
  for (const refused of [{}, { token: reader }]) {
    const directory = sandbox.join('refused');
    await assert.rejects(serveNode({ directory, follow: { url: leader.url, ...refused } }), { code: 'ACCESS_DENIED' });
  }
  await using follower = await serveNode({ directory: sandbox.join('follower'), follow: { url: leader.url, token } });
  await caughtUp(follower.node, leader.node);
  revokeToken(tokenPath, 'replica');
  await until('the replica is told', async () => /token/.test((await follower.node.status()).leader?.failure ?? ''));
  assert.equal((await leader.node.status()).followers.length, 0);
});

// Proves: over TLS a replica trusts whom it was told to trust and nobody else, with the log, the snapshot and what it forwards.
test('TLS', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const tls = { certificatePath: sandbox.join('certificate.pem'), keyPath: sandbox.join('key.pem') };
  const subject = ['-subj', '/CN=leader', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', tls.keyPath, '-out', tls.certificatePath];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-days', '2', ...subject, ...files], {
    stdio: 'pipe',
  });
  await using leader = await serveNode({ directory: sandbox.join('leader'), retainBytes: 0 }, { tls });
  await leader.node.execute('CREATE TABLE t (x)');
  await leader.node.checkpoint();
  const directory = sandbox.join('follower');
  await assert.rejects(serveNode({ directory, follow: { url: leader.url } }), { code: 'NOT_TRUSTED' });
  const ca = readFileSync(tls.certificatePath, 'utf8');
  await using follower = await serveNode({ directory, follow: { url: leader.url, ca } });
  await caughtUp(follower.node, leader.node);
  const session = await follower.node.clients().open(options, never);
  await run(session, 'INSERT INTO t VALUES (1)');
  assert.deepEqual(await run(session, 'SELECT count(*) FROM t'), [1n]);
  await session.close();
});
