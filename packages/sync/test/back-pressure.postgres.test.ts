// Proves: a sink may take as long as it wants. The server hears of us meanwhile, memory stays bounded, idle databases let go of their log, and a server that is
// stopped is not held up for ever.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { Follower, setup, sourceOf } from './postgres-follower.ts';

const timeout = 120_000;
let sandbox: Sandbox;
let server: PostgresServer;

before(async () => {
  sandbox = makeSandbox();
  server = await startPostgres(sandbox, {
    settings: { wal_sender_timeout: '2s', logical_decoding_work_mem: '1MB', max_wal_size: '4GB' },
  });
  await server.psql(`CREATE TABLE t (id int PRIMARY KEY, a text); CREATE DATABASE other; ${setup}`);
});

after(async () => {
  await server[Symbol.asyncDispose]();
  await sandbox[Symbol.asyncDispose]();
});

// Proves Y9: more than the sockets hold waits for a sink that takes nothing, for longer than wal_sender_timeout, and the connection lives on.
test('a sink that takes nothing for a while', { timeout }, async () => {
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  const gate = Promise.withResolvers<void>();
  follower.pace = () => gate.promise;
  const pid = await server.psql('SELECT active_pid FROM pg_replication_slots');
  for (let n = 0; n < 5; n++)
    await server.psql(
      `INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(${n * 5000}, ${n * 5000 + 4999}) n`,
    );
  await delay(4000);
  assert.equal(await server.psql('SELECT active_pid FROM pg_replication_slots'), pid, 'the same connection');
  assert.equal(follower.failure, undefined);
  gate.resolve();
  await follower.catchUp(server);
  assert.equal(follower.rows('public.t').size, 25_000);
});

// Proves Y3: what the sink does not hold is not acknowledged, however far the stream has been read.
test('only what is acknowledged is given up', { timeout }, async () => {
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  follower.acknowledges = false;
  const before = follower.position;
  await server.psql('UPDATE t SET a = NULL WHERE id < 10');
  await follower.catchUp(server);
  await delay(2500);
  const confirmed = await server.psql('SELECT confirmed_flush_lsn FROM pg_replication_slots');
  const position = follower.session.parsePosition(confirmed);
  assert.ok(!follower.session.isBefore(before, position), `${confirmed} was never acknowledged`);
  follower.session.acknowledge(follower.position);
});

// Proves: what other databases of the cluster write is let go of, though nothing of it is ever told.
test('an idle database among busy ones', { timeout }, async () => {
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  await server.psql('CREATE TABLE busy AS SELECT generate_series(1, 200000)', { database: 'other' });
  const end = await server.psql('SELECT pg_current_wal_flush_lsn()');
  const confirmed = async (): Promise<boolean> =>
    (await server.psql(`SELECT confirmed_flush_lsn >= '${end}' FROM pg_replication_slots`)) === 't';
  for (const endsAt = Date.now() + 10_000; !(await confirmed()); await delay(100))
    assert.ok(Date.now() < endsAt, 'the slot stays where it is');
});

// Proves: one large transaction among small ones goes through a file, and takes no memory that grows with it.
test('a large transaction among small ones', { timeout }, async () => {
  const rows = process.env['BATON_SOAK'] === '1' ? 2_000_000 : 100_000;
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await follower.catchUp(server);
  let [count, small, memoryMax] = [0, 0, 0];
  follower.take = (change) => {
    if (change.kind !== 'insert') return;
    if (change.row[1]?.startsWith('large') === true) count++;
    else small++;
    if (count % 20_000 === 0) memoryMax = Math.max(memoryMax, process.memoryUsage.rss());
  };
  const memoryBefore = process.memoryUsage.rss();
  const large = server.psql(
    `INSERT INTO t SELECT n, 'large ' || n || repeat('x', 200) FROM generate_series(1000000, ${1_000_000 + rows - 1}) n`,
  );
  for (let n = 0; n < 10; n++) await server.psql(`INSERT INTO t VALUES (${-1 - n}, 'small')`);
  await large;
  await follower.catchUp(server);
  assert.deepEqual([count, small], [rows, 10]);
  const grownBytes = memoryMax - memoryBefore;
  assert.ok(grownBytes < 150_000_000, `memory grew by ${Math.round(grownBytes / 1e6)} MB`);
});

// Proves: an orderly stop of the server ends the stream with an error that is tried again, soon when the sink is awake, and in the end when it is not.
test('the server is stopped', { timeout }, async () => {
  await using follower = await Follower.start(sourceOf(server, sandbox));
  await server.psql("INSERT INTO t VALUES (-99, 'before')");
  await follower.catchUp(server);
  await server.psql("INSERT INTO t VALUES (-100, 'last')");
  await server.stop();
  const error = await follower.ended();
  assert.equal((error as { retryable?: boolean }).retryable, true);
  assert.deepEqual(follower.rows('public.t').get('["-100"]'), ['-100', 'last']);
  await server.start();
  await using second = await Follower.start(sourceOf(server, sandbox), { from: follower });
  await second.catchUp(server);
  second.acknowledges = false;
  const gate = Promise.withResolvers<void>();
  second.pace = () => gate.promise;
  await server.psql("INSERT INTO t VALUES (-101, 'slow')");
  await delay(500);
  await server.stop();
  gate.resolve();
  await server.start();
});
