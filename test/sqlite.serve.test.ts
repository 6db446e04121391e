// `baton sqlite serve` as a process: starting, who may connect, stopping, being killed.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { freePort } from '@batondb/testbed/ports';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { baton, run, ServerProcess, succeed } from './sqlite-bed.ts';

const timeout = 120_000;

// Proves: one line says where it is; a write is there for the next client; an orderly stop leaves an ordinary file that SQLite's own shell opens.
test('serve, write, stop', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('db');
  await using server = await ServerProcess.start([directory]);
  assert.deepEqual(
    { ...server.ready, time: undefined, pid: undefined, url: undefined },
    { time: undefined, type: 'ready', url: undefined, directory, position: '0.0', databases: [], pid: undefined },
  );
  assert.match(server.url, /^ws:\/\/127\.0\.0\.1:\d+$/);
  await succeed(['shell', server.url], { input: 'CREATE TABLE t (a); INSERT INTO t VALUES (42);' });
  assert.equal(await succeed(['shell', server.url], { input: 'SELECT a FROM t' }), '42\n');
  const status = JSON.parse(await succeed(['status', server.url, '--json'])) as { databases: { name: string }[] };
  assert.deepEqual(
    status.databases.map(({ name }) => name),
    ['main'],
  );
  const ended = await server.stop();
  assert.equal(ended.code, 0, ended.stderr);
  for (const line of ended.stderr.trimEnd().split('\n')) assert.equal(typeof JSON.parse(line), 'object');
  assert.equal(existsSync(sandbox.join('db', '.baton', 'listen')), false);
  assert.equal(
    execFileSync('sqlite3', [sandbox.join('db', 'main.db'), 'SELECT a FROM t'], { encoding: 'utf8' }),
    '42\n',
  );
});

// Proves: what was answered is there after kill -9 and a start; a transaction that was open is not.
test('kill -9 and a start', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('db');
  await using server = await ServerProcess.start([directory]);
  await succeed(['shell', server.url], {
    input: 'CREATE TABLE t (a);\nINSERT INTO t VALUES (1);\nBEGIN;\nINSERT INTO t VALUES (2);',
  });
  const writer = spawn(baton, ['sqlite', 'shell', server.url], { stdio: ['pipe', 'pipe', 'ignore'] });
  writer.stdin.write('BEGIN IMMEDIATE;\nINSERT INTO t VALUES (3);\nSELECT 1;\n');
  await once(writer.stdout, 'data');
  await server.kill();
  writer.stdin.end('COMMIT;\n');
  assert.deepEqual(await once(writer, 'exit'), [50, null]);
  assert.equal(existsSync(sandbox.join('db', 'main.db')), false);
  const checked = await run(['log', 'check', directory, '--json']);
  assert.equal(checked.code, 0, checked.stderr);
  assert.equal((JSON.parse(checked.stdout) as { verdict: string }).verdict, 'whole');
  await using again = await ServerProcess.start([directory]);
  assert.deepEqual(again.ready['databases'], ['main']);
  assert.equal(await succeed(['shell', again.url], { input: 'SELECT group_concat(a) FROM t;' }), '1\n');
});

// Proves: a directory that is in use is refused with the address of who has it, a port that is taken as that, and nothing is left behind.
test('what is taken already', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('db');
  await using server = await ServerProcess.start([directory]);
  const second = await run(['serve', directory, '--listen', '127.0.0.1:0']);
  assert.equal(second.code, 40);
  assert.ok(second.stderr.includes(`in use by another node: a server at ${server.url}`), second.stderr);
  for (const words of [
    ['shell', directory],
    ['log', 'check', directory],
  ]) {
    const refused = await run(words);
    assert.equal(refused.code, 40);
    assert.ok(refused.stderr.includes(server.url), refused.stderr);
  }
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const taken = await run(['serve', sandbox.join('other'), '--listen', `127.0.0.1:${port}`]);
  other.close();
  assert.equal(taken.code, 50);
  assert.match(taken.stderr, /another program listens at 127\.0\.0\.1/);
  await using started = await ServerProcess.start([sandbox.join('other')]);
  assert.equal(started.ready['position'], '0.0');
});

// Proves: a token's text is alone on standard output; from then on everybody needs one, with the right that the statement needs; revoking works at once.
test('tokens', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('db');
  await using server = await ServerProcess.start([directory]);
  await succeed(['shell', server.url], { input: 'CREATE TABLE t (a);' });
  const tokenFile = (name: string): string => sandbox.join(`${name}.token`);
  for (const [name, rights] of [
    ['app', 'write'],
    ['report', 'read'],
  ] as const) {
    const text = await succeed(['token', 'create', name, '--rights', rights, '--dir', directory]);
    assert.match(text, /^baton_[0-9a-f]{12}_[\w-]{43}\n$/);
    writeFileSync(tokenFile(name), text);
  }
  const ask = (sql: string, ...more: string[]): ReturnType<typeof run> =>
    run(['shell', server.url, ...more], { input: sql });
  assert.equal((await ask('INSERT INTO t VALUES (1)', '--token-file', tokenFile('app'))).code, 0);
  const denied = await ask('INSERT INTO t VALUES (2)', '--token-file', tokenFile('report'));
  assert.deepEqual([denied.code, /SQLITE_READONLY/.test(denied.stderr)], [45, true], denied.stderr);
  const none = await ask('SELECT 1');
  assert.deepEqual([none.code, /needs a token/.test(none.stderr)], [45, true], none.stderr);
  const list = sandbox.join('db', '.baton', 'tokens');
  const wrong = await ask('SELECT 1', '--token-file', list);
  assert.deepEqual([wrong.code, /holds no token/.test(wrong.stderr)], [2, true], wrong.stderr);
  assert.equal(statSync(list).mode & 0o777, 0o600);
  assert.match(
    await succeed(['token', 'list', '--dir', directory]),
    /^[0-9a-f]{12} {2}app {5}\d{4}-\d\d-\d\d {2}write\n.* {2}report {2}.* {2}read\n$/,
  );
  await succeed(['token', 'revoke', 'app', '--dir', directory]);
  const revoked = await ask('SELECT 1', '--token-file', tokenFile('app'));
  assert.deepEqual([revoked.code, /was revoked/.test(revoked.stderr)], [45, true], revoked.stderr);
  const byVariable = await run(['shell', server.url], {
    input: 'SELECT count(*) FROM t',
    environment: { BATON_TOKEN: readFileSync(tokenFile('report'), 'utf8').trim() },
  });
  assert.equal(byVariable.stdout, '1\n', byVariable.stderr);
});

// Proves: other machines are refused without tokens and TLS; a certificate is checked by its authority, and read again by SIGHUP, unless it is no good.
test('certificates', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('db');
  const [cert, key] = [sandbox.join('db.crt'), sandbox.join('db.key')];
  const makeCertificate = (days: string): void => {
    const words =
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1';
    execFileSync('openssl', [...words.split(' '), '-days', days, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  };
  makeCertificate('2');
  const open = await run(['serve', directory, '--listen', '0.0.0.0:0']);
  assert.deepEqual([open.code, /there is no token/.test(open.stderr)], [2, true], open.stderr);
  await using server = await ServerProcess.start([directory, '--tls-cert', cert, '--tls-key', key]);
  assert.match(server.url, /^wss:/);
  const input = 'SELECT 1';
  assert.equal(await succeed(['shell', server.url, '--ca', cert], { input }), '1\n');
  const stranger = await run(['shell', server.url], { input });
  assert.deepEqual([stranger.code, /not to be trusted/.test(stranger.stderr)], [60, true], stranger.stderr);
  const plain = await run(['shell', server.url.replace('wss', 'ws')], { input });
  assert.deepEqual([plain.code, /wss:/.test(plain.stderr)], [50, true], plain.stderr);
  const before = readFileSync(cert);
  makeCertificate('3');
  server.child.kill('SIGHUP');
  const isTaken = async (): Promise<boolean> => (await run(['shell', server.url, '--ca', cert], { input })).code === 0;
  while (!(await isTaken()));
  writeFileSync(cert, 'nonsense');
  server.child.kill('SIGHUP');
  writeFileSync(sandbox.join('old.crt'), before);
  assert.equal((await run(['shell', server.url, '--ca', sandbox.join('old.crt')], { input })).code, 60);
  assert.match((await server.stop()).stderr, /was read again[\s\S]*was not taken/);
});

// Proves: a socket of the file system works like a port, for its owner alone, and configuration files give defaults that are checked.
test('a Unix socket, and a configuration file', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const socket = `unix:${sandbox.join('db.sock')}`;
  await using server = await ServerProcess.start([sandbox.join('db')], socket);
  assert.equal(server.url, socket);
  assert.equal(statSync(sandbox.join('db.sock')).mode & 0o777, 0o600);
  assert.equal(await succeed(['shell', socket], { input: 'SELECT 1' }), '1\n');
  assert.match(await succeed(['status', socket]), /^server:$/m);
  const config = sandbox.join('config.yaml');
  const serve = (text: string): ReturnType<typeof run> => {
    writeFileSync(config, text, { mode: 0o600 });
    return run(['serve', sandbox.join('other'), '--config', config]);
  };
  const wrong = await serve('sqlite:\n  transaction-limt: 5s\n');
  assert.deepEqual([wrong.code, /did you mean transaction-limit/.test(wrong.stderr)], [2, true], wrong.stderr);
  const unit = await serve('sqlite:\n  transaction-limit: 5\n');
  assert.deepEqual([unit.code, /is a duration/.test(unit.stderr)], [2, true], unit.stderr);
  const listen = await serve(`copy:\n  bwlimit: 1MB\nsqlite:\n  listen: ${socket}\n`);
  assert.deepEqual([listen.code, /another program listens at unix:/.test(listen.stderr)], [50, true], listen.stderr);
});

// Proves: an address without a server, and one that is none, are told as such.
test('wrong addresses', { timeout }, async () => {
  const nobody = await run(['shell', 'ws://127.0.0.1:1'], { input: 'SELECT 1' });
  assert.deepEqual(
    [nobody.code, /no server answers at ws:\/\/127\.0\.0\.1:1/.test(nobody.stderr)],
    [50, true],
    nobody.stderr,
  );
  for (const address of ['ftp://a', 'ws://a/b', 'ws://user:secret@a', 'ws://a?x=1', 'unix:'])
    assert.equal((await run(['status', address])).code, 2, address);
  const missing = await run(['shell', '/no/such/directory'], { input: 'SELECT 1' });
  assert.deepEqual([missing.code, /no directory, and no address/.test(missing.stderr)], [40, true]);
});

// Proves: a replica joins, is told by status, forwards writes and reads them; promoted, it goes its own way, and without it its directory is refused.
test('a replica', { timeout }, async () => {
  await using sandbox = makeSandbox();
  await using leader = await ServerProcess.start([sandbox.join('leader')]);
  await succeed(['shell', leader.url], { input: 'CREATE TABLE t (a); INSERT INTO t VALUES (1);' });
  const directory = sandbox.join('replica');
  {
    await using replica = await ServerProcess.start([directory, '--follow', leader.url, '--max-lag', '1min']);
    const both = 'INSERT INTO t VALUES (2); SELECT group_concat(a) FROM t;';
    assert.equal(await succeed(['shell', replica.url], { input: both }), '1,2\n');
    const status = JSON.parse(await succeed(['status', replica.url, '--json'])) as { role: string };
    assert.equal(status.role, 'follower');
    assert.equal((await replica.stop()).code, 0);
  }
  const refused = await run(['serve', directory, '--listen', '127.0.0.1:0']);
  assert.ok(refused.code !== 0 && refused.stderr.includes('promote it'), refused.stderr);
  await using promoted = await ServerProcess.start([directory, '--promote']);
  assert.equal(await succeed(['shell', promoted.url], { input: 'DELETE FROM t WHERE a = 1; SELECT a FROM t;' }), '2\n');
  assert.equal(await succeed(['shell', leader.url], { input: 'SELECT count(*) FROM t;' }), '2\n');
});

// Proves: a replica listens while it joins, says at /ready and on standard output how far it is, and says that it is ready when it can be read; one
// whose leader is not there says why, and ends in order.
test('progress of joining', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('leader');
  const sql = `CREATE TABLE t (a); INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 96)
    SELECT randomblob(524288) FROM n;`;
  const words = [directory, '--retain', '1MiB'];
  {
    await using first = await ServerProcess.start(words);
    await succeed(['shell', first.url], { input: sql });
    assert.equal((await first.stop()).code, 0);
  }
  // Its log does not reach back to the begin any more.
  await using leader = await ServerProcess.start(words);
  await using replica = await ServerProcess.start([sandbox.join('replica'), '--follow', leader.url]);
  const joining = replica.said.slice(0, -1);
  assert.ok(joining.length > 0 && joining.every(({ type }) => type === 'joining'), JSON.stringify(joining));
  const [{ doneBytes, totalBytes } = {}] = joining;
  assert.ok(Number(totalBytes) > 50_000_000 && Number(doneBytes) <= Number(totalBytes), JSON.stringify(joining));
  assert.deepEqual(replica.ready['databases'], ['main']);
  assert.equal(await succeed(['shell', replica.url], { input: 'SELECT count(*) FROM t;' }), '96\n');

  const listen = `127.0.0.1:${await freePort()}`;
  await using lonely = ServerProcess.begin([sandbox.join('lonely'), '--follow', 'ws://127.0.0.1:1'], { listen });
  await lonely.until((stderr) => /not joined, and trying again: .*127\.0\.0\.1:1/.test(stderr));
  const ready = await fetch(`http://${listen}/ready`);
  assert.deepEqual(
    [ready.status, await ready.text()],
    [503, 'not ready: this replica has nothing of its leader yet\n'],
  );
  assert.equal((await lonely.stop()).code, 0);
  assert.deepEqual(lonely.said, []);
});
