// Databases that come, go and travel as files through a server.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { BatonError, type ErrorCode } from '@batondb/core/errors';
import { createToken } from '@batondb/service/tokens/manage';
import { makeSandbox } from '@batondb/testbed/sandbox';
import {
  createDatabase,
  dropDatabase,
  fetchFile,
  listDatabases,
  requestBackup,
  sendFile,
} from '../src/client/files.ts';
import { parseLocation } from '../src/client/location.ts';
import { openNode } from '../src/index.ts';
import { startServer } from '../src/server/server.ts';
import { audit } from './bank.ts';
import { askStock } from './stock.ts';

const options = { timeout: 120_000 };
const signal = new AbortController().signal;
const hasCode = (code: ErrorCode) => (error: unknown) => error instanceof BatonError && error.code === code;

// Proves: what an operator asks for is done, files are verified on both ends, and what destroys has to be confirmed.
test('files and databases', options, async () => {
  await using sandbox = makeSandbox();
  const backupTo = { directory: sandbox.join('backups'), everyMs: 3_600_000, keep: 3 };
  await using node = await openNode({ directory: sandbox.join('node'), readers: 1, backupTo });
  const settings = { uploadBytesMax: 1_000_000 };
  await using server = await startServer(node.clients(), { listen: '127.0.0.1:0', settings, onFault: assert.ifError });
  const at = (name: string) => parseLocation(`ws://${server.address}/db/${name}`);
  await node.execute(
    'CREATE TABLE t AS SELECT value AS a, hex(randomblob(500)) AS b FROM (SELECT 1 AS value UNION SELECT 2)',
  );

  assert.equal(await createDatabase(at('one'), {}, signal), true);
  assert.equal(await createDatabase(at('one'), {}, signal), false);
  assert.deepEqual((await listDatabases(at('one'), {}, signal)).map(({ name }) => name).sort(), ['main', 'one']);

  const copy = sandbox.join('copies', 'main.db');
  const fetched = await fetchFile(at('main'), copy, {}, { signal });
  assert.equal(fetched.position, `${node.position.epoch}.${node.position.index}`);
  assert.deepEqual(askStock(copy, audit.integrity), [['ok']]);
  assert.deepEqual(askStock(copy, 'SELECT a FROM t ORDER BY a'), [[1], [2]]);
  await assert.rejects(fetchFile(at('main'), copy, {}, { signal }), hasCode('EXISTS'));
  await assert.rejects(fetchFile(at('none'), sandbox.join('x'), {}, { signal }), hasCode('NOT_FOUND'));
  assert.ok(!existsSync(sandbox.join('x')));

  await assert.rejects(sendFile(at('one'), copy, {}, { replaces: false, signal }), hasCode('EXISTS'));
  await sendFile(at('one'), copy, {}, { replaces: true, signal });
  assert.deepEqual((await node.query('SELECT a FROM t ORDER BY a', [], { database: 'one' })).rows, [[1], [2]]);
  writeFileSync(sandbox.join('text'), 'not a database, but longer than a header of one hundred bytes: '.repeat(10));
  await assert.rejects(sendFile(at('two'), sandbox.join('text'), {}, { replaces: false, signal }), (error) => {
    assert.ok(hasCode('UNSUPPORTED')(error));
    assert.match((error as Error).message, /^the file that was sent is not a SQLite database/);
    return true;
  });
  truncateSync(sandbox.join('text'), 2_000_000);
  await assert.rejects(sendFile(at('two'), sandbox.join('text'), {}, { replaces: false, signal }), hasCode('LIMIT'));

  const plain = (
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: Uint8Array<ArrayBuffer>,
  ): Promise<Response> =>
    fetch(`http://${server.address}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
  assert.equal((await plain('DELETE', '/db/one')).status, 428);
  assert.equal((await plain('DELETE', '/db/one', { 'baton-confirm': 'main' })).status, 428);
  const bytes = new Uint8Array(readFileSync(copy));
  assert.equal((await plain('PUT', '/db/three/file', { 'content-type': 'text/plain' }, bytes)).status, 415);
  const type = { 'content-type': 'application/vnd.sqlite3' };
  assert.equal((await plain('PUT', '/db/three/file', { ...type, 'baton-blake3': '0'.repeat(64) }, bytes)).status, 422);
  assert.equal((await plain('PUT', '/db/three/file', { ...type, origin: 'http://evil.example' }, bytes)).status, 403);
  assert.equal((await plain('PUT', '/db/three/file', type, bytes)).status, 201);
  await dropDatabase(at('one'), {}, signal);
  assert.deepEqual((await listDatabases(at('main'), {}, signal)).map(({ name }) => name).sort(), ['main', 'three']);

  const { path } = await requestBackup(at('main'), {}, signal);
  assert.deepEqual(askStock(`${path}/three.db`, 'SELECT a FROM t ORDER BY a'), [[1], [2]]);
  assert.deepEqual(readdirSync(sandbox.join('node/.baton/incoming')), []);
});

// Proves: a database in which nothing was ever written is a file without bytes, as it is for SQLite, and such a file becomes one again.
test('an empty database is fetched and sent', options, async () => {
  await using sandbox = makeSandbox();
  await using node = await openNode({ directory: sandbox.join('node'), readers: 1 });
  await using server = await startServer(node.clients(), { listen: '127.0.0.1:0', onFault: assert.ifError });
  const location = parseLocation(`ws://${server.address}/db/one`);
  const tables = async (): Promise<unknown> =>
    (await node.query('SELECT name FROM sqlite_schema', [], { database: 'one' })).rows;
  const copy = sandbox.join('empty.db');
  await createDatabase(location, {}, signal);
  await fetchFile(location, copy, {}, { signal });
  assert.equal(readFileSync(copy).length, 0);
  await node.execute('CREATE TABLE t (a)', [], { database: 'one' });
  await sendFile(location, copy, {}, { replaces: true, signal });
  assert.deepEqual(await tables(), []);
  await node.execute('CREATE TABLE u (a)', [], { database: 'one' });
  assert.deepEqual(await tables(), [['u']]);
});

// Proves: reading a file takes the right to read, all else the right to write, and nobody without a token gets either.
test('rights', options, async () => {
  await using sandbox = makeSandbox();
  await using node = await openNode({ directory: sandbox.join('node'), readers: 1 });
  const tokenPath = sandbox.join('tokens');
  const token = createToken(tokenPath, 'reader', ['read']);
  await using server = await startServer(node.clients(), { listen: '127.0.0.1:0', tokenPath, onFault: assert.ifError });
  await node.execute('CREATE TABLE t (a)');
  const location = parseLocation(`ws://${server.address}`);
  await assert.rejects(listDatabases(location, {}, signal), hasCode('ACCESS_DENIED'));
  await fetchFile(location, sandbox.join('copy.db'), { token }, { signal });
  await assert.rejects(createDatabase(location, { token }, signal), hasCode('ACCESS_DENIED'));
  await assert.rejects(dropDatabase(location, { token }, signal), hasCode('ACCESS_DENIED'));
  const sent = sendFile(location, sandbox.join('copy.db'), { token }, { replaces: true, signal });
  await assert.rejects(sent, hasCode('ACCESS_DENIED'));
  await assert.rejects(requestBackup(location, { token }, signal), hasCode('ACCESS_DENIED'));
});
