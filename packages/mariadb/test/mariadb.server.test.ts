// A real server, asked through the installed client; logins that are refused; secrets that stay where they are.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type MariadbServer, startMariadb, startWriteLoad } from '@batondb/testbed/mariadb';
import { listProcesses } from '@batondb/testbed/process-table';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import { runStatement } from '../src/client.ts';
import { chooseTool, Server, startBackup } from '../src/index.ts';
import { limits } from '../src/limits.ts';

const timeout = 60_000;
const never = new AbortController().signal;
const password = 'secret-of-the-test';
let sandbox: Sandbox;
let running: MariadbServer;

before(async () => {
  sandbox = makeSandbox();
  running = await startMariadb(sandbox, { name: 'one' });
  await running.sql(
    `CREATE USER nobody@localhost IDENTIFIED BY '${password}'; CREATE USER backup@localhost IDENTIFIED BY '${password}';
     GRANT RELOAD, PROCESS, LOCK TABLES, BINLOG MONITOR, SLAVE MONITOR ON *.* TO backup@localhost`,
  );
});

after(async () => {
  await running.kill();
  await sandbox[Symbol.asyncDispose]();
});

function optionFile(name: string, user: string, secret: string, more = ''): string {
  const path = sandbox.join(name);
  writeFileSync(path, `[client]\nuser=${user}\npassword=${secret}\n${more}`, { mode: 0o600 });
  return path;
}

// Proves: the socket is enough for the operating system's user; version, data directory and size are the server's own.
test('a server says what it is', { timeout }, async () => {
  const server = await Server.connect({ socketPath: running.socketPath }, never);
  assert.equal(server.version.family, 'mariadb');
  assert.equal(server.version.text, await running.value('SELECT @@version'));
  assert.equal(server.dataDirectory, running.dataDirectory);
  assert.deepEqual(await server.replicas(never), []);

  const before = await server.dataBytes(never);
  await running.sql(
    `CREATE DATABASE size; CREATE TABLE size.t (id INT PRIMARY KEY AUTO_INCREMENT, text LONGTEXT);
     INSERT INTO size.t (text) VALUES (REPEAT('x', 4000000)), (REPEAT('y', 4000000)); FLUSH TABLES size.t FOR EXPORT; UNLOCK TABLES`,
  );
  const grown = (await server.dataBytes(never)) - before;
  assert.ok(grown >= 8_000_000 && grown < 20_000_000, `${grown} bytes`);
  const { stdout } = await mustRun(['du', '--apparent-size', '-sb', running.dataDirectory]);
  assert.ok(before + grown < Number(stdout.split('\t')[0]) - 16 * 1024 * 1024, 'the redo log does not count');
});

// Proves: what an option file of the machine says about hosts and formats changes nothing.
test('an option file cannot lead elsewhere', { timeout }, async () => {
  const more = 'host=127.0.0.9\nport=1\n[mysql]\nhtml\nvertical\nraw\nskip-column-names\n[mysqld]\ndatadir=/nowhere\n';
  const defaultsFile = optionFile('odd.cnf', 'backup', password, more);
  const server = await Server.connect({ socketPath: running.socketPath, defaultsFile }, never);
  assert.equal(server.dataDirectory, running.dataDirectory);
  const [row] = await server.query(`SELECT 'a\\tb\\nc\\\\d' AS odd, NULL AS nothing`, never);
  assert.deepEqual([row?.get('odd'), row?.get('nothing')], ['a\tb\nc\\d', 'NULL']);
  const tool = await chooseTool(server.version, never);
  mkdirSync(sandbox.join('odd.tmp'), { mode: 0o700 });
  await using backup = await startBackup({ server, tool, temporaryDirectory: sandbox.join('odd.tmp') }, never);
  backup.stdout.resume();
  assert.equal((await backup.done).fromLsn, 0n);
});

// Proves: each reason for which a login fails has its code, and the message names the socket.
test('logins that fail', { timeout }, async () => {
  const { socketPath } = running;
  const wrong = optionFile('wrong.cnf', 'backup', 'not-the-password');
  await assert.rejects(Server.connect({ socketPath, defaultsFile: wrong }, never), {
    code: 'ACCESS_DENIED',
    message: /^\/.*s\.sock: Access denied for user 'backup'@'localhost' \(using password: YES\) \(error 1045\)$/,
  });
  await assert.rejects(Server.connect({ socketPath, user: 'unknown' }, never), { code: 'ACCESS_DENIED' });
  await assert.rejects(Server.connect({ socketPath: sandbox.join('none.sock') }, never), {
    code: 'NOT_FOUND',
    message: /there is no such socket/,
  });
  await assert.rejects(Server.connect({ socketPath: wrong }, never), { code: 'UNSUPPORTED', message: /not a socket/ });
  await assert.rejects(Server.connect({ socketPath: 'relative' }, never), { code: 'USAGE' });
  await assert.rejects(Server.connect({ socketPath: `/${'x'.repeat(200)}` }, never), { code: 'USAGE' });
  const defaultsFile = sandbox.join('none.cnf');
  await assert.rejects(Server.connect({ socketPath, defaultsFile }, never), { code: 'NOT_FOUND' });
  chmodSync(wrong, 0o666);
  await assert.rejects(Server.connect({ socketPath, defaultsFile: wrong }, never), {
    code: 'NO_PERMISSION',
    hint: /chmod/,
  });
  await assert.rejects(Server.connect({ socketPath, loginPath: 'backup' }, never), {
    code: 'UNSUPPORTED',
    message: /MariaDB's client/,
  });
});

// Proves: a server that is killed leaves a socket where nobody listens, and that is told as such.
test('a socket where nobody listens', { timeout }, async () => {
  await using dead = await startMariadb(sandbox, { name: 'dead' });
  await dead.kill();
  await assert.rejects(Server.connect({ socketPath: dead.socketPath }, never), {
    code: 'UNREACHABLE',
    retryable: true,
  });
});

// Proves: a server that says nothing is given up, an answer without end is cut off, and the signal ends the client.
test('servers that do not answer', { timeout }, async () => {
  const socketPath = sandbox.join('mute.sock');
  const mute = createServer(() => undefined).listen(socketPath);
  await once(mute, 'listening');
  await assert.rejects(runStatement({ socketPath }, 'SELECT 1', 500, never), { code: 'UNREACHABLE', retryable: true });
  const controller = new AbortController();
  const asked = Server.connect({ socketPath }, controller.signal);
  const reason = new Error('enough');
  setTimeout(() => controller.abort(reason), 200);
  await assert.rejects(asked, reason);
  mute.close();
  assert.deepEqual(
    listProcesses().filter(({ argv }) => argv.includes(`--socket=${socketPath}`)),
    [],
  );
  const server = await Server.connect({ socketPath: running.socketPath }, never);
  const endless = `SELECT REPEAT('x', 1000000) FROM seq_1_to_${Math.ceil(limits.answerBytesMax / 1e6) + 1}`;
  await running.sql('CREATE DATABASE IF NOT EXISTS any_database');
  await assert.rejects(server.query(endless.replace('FROM ', 'FROM any_database.'), never), { code: 'LIMIT' });
  await assert.rejects(server.query('SELECT nonsense FROM nowhere', never), { code: 'CHILD_FAILED' });
});

// Proves: a user who may not take a backup is told so, with what is missing.
test('missing privileges', { timeout }, async () => {
  const defaultsFile = optionFile('nobody.cnf', 'nobody', password);
  const server = await Server.connect({ socketPath: running.socketPath, defaultsFile }, never);
  const tool = await chooseTool(server.version, never);
  mkdirSync(sandbox.join('nobody.tmp'), { mode: 0o700 });
  await using backup = await startBackup({ server, tool, temporaryDirectory: sandbox.join('nobody.tmp') }, never);
  backup.stdout.resume();
  await assert.rejects(backup.done, { code: 'ACCESS_DENIED', message: /missing required privilege RELOAD/ });
  await assert.rejects(server.replicas(never), { code: 'ACCESS_DENIED' });
});

// Proves: while clients and tools run, no argument and no environment of any process has the password, and no file the tool leaves
// has it (M1).
test('the password is nowhere but in its file', { timeout }, async () => {
  const defaultsFile = optionFile('backup.cnf', 'backup', password);
  const server = await Server.connect({ socketPath: running.socketPath, defaultsFile }, never);
  const tool = await chooseTool(server.version, never);
  const temporaryDirectory = sandbox.join('secret.tmp');
  mkdirSync(temporaryDirectory, { mode: 0o700 });
  await using _load = await startWriteLoad(running);
  await using backup = await startBackup({ server, tool, temporaryDirectory }, never);
  await once(backup.stdout, 'readable');
  const asked = server.query('SELECT SLEEP(0.5)', never);
  let seen = 0;
  for (let round = 0; round < 20; round++) {
    for (const { pid, argv } of listProcesses()) {
      if (!argv.some((word) => word.includes(running.path))) continue;
      seen++;
      let environment = '';
      try {
        environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      } catch {
        // It has ended since.
      }
      assert.ok(!argv.join(' ').includes(password) && !environment.includes(password), argv.join(' '));
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(seen > 40, `${seen} processes were seen`);
  await asked;
  backup.stdout.resume();
  await backup.done;
  const found = await mustRun(['sh', '-c', `grep -rl ${password} ${temporaryDirectory} || true`]);
  assert.equal(found.stdout, '');
});

// Proves: directories of InnoDB outside of the data directory count, and only once however they are named.
test('files of a server in several places', { timeout }, async () => {
  const elsewhere = sandbox.join('undo');
  mkdirSync(elsewhere);
  symlinkSync(elsewhere, sandbox.join('undo-link'));
  await using other = await startMariadb(sandbox, { name: 'places' });
  await other.stop();
  const more = [`--innodb-undo-directory=${sandbox.join('undo-link')}`, '--innodb-undo-tablespaces=0'];
  await using moved = await startMariadb(sandbox, { name: 'places', dataDirectory: other.dataDirectory, more });
  const server = await Server.connect({ socketPath: moved.socketPath }, never);
  const before = await server.dataBytes(never);
  writeFileSync(join(elsewhere, 'undo001'), Buffer.alloc(1_000_000));
  writeFileSync(join(moved.dataDirectory, 'binlog.999999'), Buffer.alloc(1_000_000));
  assert.equal(await server.dataBytes(never), before + 1_000_000);
});
