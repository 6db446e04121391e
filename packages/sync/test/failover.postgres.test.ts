// Proves: the primary is found wherever it is, and what a new one has of our history is asked before anything is read from it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BatonError } from '@batondb/core/errors';
import { type PostgresServer, startPostgres } from '@batondb/testbed/postgres';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { parsePostgresAddress } from '../src/postgres/address.ts';
import { Follower, setup, sourceOf } from './postgres-follower.ts';

const { signal } = new AbortController();

function isError(code: string, retryable: boolean, pattern: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof BatonError && error.code === code && error.retryable === retryable && pattern.test(error.message);
}

test('a standby, a promotion, and an old primary that comes back', { timeout: 120_000 }, async () => {
  await using sandbox = makeSandbox();
  await using old = await startPostgres(sandbox, { name: 'old' });
  await old.psql(`CREATE TABLE t (id int PRIMARY KEY, a text); ${setup}`);
  await using next = await startPostgres(sandbox, { name: 'next', standbyOf: old });
  const hostOf = ({ host, port }: PostgresServer): string => `${host}:${port}`;
  const address = parsePostgresAddress(
    `postgres://postgres:${old.password}@${hostOf(next)},${hostOf(old)}/postgres`,
    {},
  );
  const source = sourceOf(old, sandbox, { address });

  await using follower = await Follower.start(source);
  assert.equal(follower.session.node, hostOf(old), 'a standby is passed over');
  await old.psql("INSERT INTO t VALUES (1, 'a')");
  await follower.catchUp(old);
  assert.deepEqual(await follower.session.resumption(follower.position), {
    kind: 'continues',
    position: follower.position,
  });
  await old.kill();
  assert.ok(isError('CONNECTION_LOST', true, /./)(await follower.ended()));
  await follower[Symbol.asyncDispose]();
  await assert.rejects(source.open(signal), isError('UNREACHABLE', true, /is a standby.*ECONNREFUSED|ECONNREFUSED/));

  // A machine that went without a word: its address takes connections, and says nothing.
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const slow = parsePostgresAddress(
    `postgres://postgres:${old.password}@127.0.0.1:${port},${hostOf(next)}/postgres?connect_timeout=600`,
    {},
  );
  const opening = sourceOf(next, sandbox, { address: slow }).open(signal);
  await delay(200);
  await next.promote();
  assert.equal((await opening).node, hostOf(next), 'who hangs does not keep the new primary from being found');
  await (await opening)[Symbol.asyncDispose]();
  silent.close();

  await next.psql("INSERT INTO t VALUES (2, 'b')");
  {
    await using session = await source.open(signal);
    assert.equal(session.node, hostOf(next));
    await assert.rejects(
      session.resumption(follower.position),
      isError('UNAVAILABLE', true, /no replication slot "baton" since it was promoted/),
    );
    await next.psql("SELECT pg_create_logical_replication_slot('baton', 'pgoutput')");
    const resumption = await session.resumption(follower.position);
    assert.equal(resumption.kind, 'lost');
    assert.equal(resumption.position, await session.start());
    assert.match(resumption.position, /^\d+\/2\//);
  }
  // Both say that they are primaries now: the newer timeline wins, wherever it stands in the address, and whoever has been on it does not go back.
  await old.start();
  for (const hosts of [`${hostOf(old)},${hostOf(next)}`, `${hostOf(next)},${hostOf(old)}`]) {
    const both = sourceOf(next, sandbox, {
      address: parsePostgresAddress(`postgres://postgres:${old.password}@${hosts}/postgres`, {}),
    });
    await using session = await both.open(signal);
    assert.equal(session.node, hostOf(next));
  }
  const alone = sourceOf(old, sandbox);
  await using session = await alone.open(signal);
  const [systemId] = follower.position.split('/');
  await assert.rejects(
    session.resumption(`${systemId}/2/0/5000000`),
    isError('UNAVAILABLE', true, /timeline 1.*2 already/),
  );
});

// Proves: a slot that keeps more than was allowed is given up, loudly, while it is read and when it is found.
test('a slot that keeps too much', { timeout: 60_000 }, async () => {
  await using sandbox = makeSandbox();
  await using server = await startPostgres(sandbox);
  await server.psql(`CREATE TABLE t (id int PRIMARY KEY, a text); ${setup}`);
  const source = sourceOf(server, sandbox, { abandonSlotAtBytes: 4_000_000 });
  const gate = Promise.withResolvers<void>();
  await using follower = await Follower.start(source);
  follower.acknowledges = false;
  follower.pace = () => gate.promise;
  await server.psql("INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 10000) n");
  setTimeout(() => gate.resolve(), 7000);
  assert.ok(isError('HISTORY_LOST', false, /kept .* of log, more than .* given up/)(await follower.ended()));
  await follower[Symbol.asyncDispose]();
  assert.equal(await server.psql('SELECT count(*) FROM pg_replication_slots'), '0');
  await server.psql(
    "SELECT pg_create_logical_replication_slot('baton', 'pgoutput'); INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(20001, 30000) n",
  );
  await assert.rejects(source.open(signal), isError('HISTORY_LOST', false, /given up/));
  assert.equal(await server.psql('SELECT count(*) FROM pg_replication_slots'), '0');
});
