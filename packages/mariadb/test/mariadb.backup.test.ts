// Hot backups of a real server, from its socket to a server that runs on the copy.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createReadStream, createWriteStream, mkdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import {
  type MariadbServer,
  startMariadb,
  startReplication,
  startWriteLoad,
  tableChecksum,
  waitUntilCaughtUp,
} from '@batondb/testbed/mariadb';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { killProcess, listProcesses, waitUntil } from '@batondb/testbed/process-table';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import {
  type BackupEvent,
  type BackupResult,
  type BackupTool,
  chooseTool,
  formatPosition,
  prepare,
  readBase,
  readPosition,
  Server,
  startBackup,
  startUnpack,
} from '../src/index.ts';

const timeout = 60_000;
const never = new AbortController().signal;
let sandbox: Sandbox;
let source: MariadbServer;
let server: Server;
let tool: BackupTool;

before(async () => {
  sandbox = makeSandbox();
  source = await startMariadb(sandbox, { name: 'source' });
  server = await Server.connect({ socketPath: source.socketPath }, never);
  tool = await chooseTool(server.version, never);
});

after(async () => {
  await source.kill();
  await sandbox[Symbol.asyncDispose]();
});

function makeDirectory(name: string): string {
  const path = sandbox.join(name);
  mkdirSync(path, { mode: 0o700 });
  return path;
}

/** Streams a backup from the source into a directory. */
async function backUp(name: string, incrementalFromLsn?: bigint): Promise<{ directory: string; result: BackupResult }> {
  const directory = makeDirectory(name);
  const temporaryDirectory = makeDirectory(`${name}.tmp`);
  const incremental = incrementalFromLsn === undefined ? {} : { incrementalFromLsn };
  await using backup = await startBackup({ server, tool, temporaryDirectory, ...incremental }, never);
  await using unpack = await startUnpack(directory, tool, never);
  await pipeline(backup.stdout, unpack.stdin);
  const [result] = await Promise.all([backup.done, unpack.done]);
  return { directory, result };
}

// Proves: a backup under write load, prepared and started, has exactly what the source had at the position that is told (M5), and
// a replica that continues from there catches up.
test('a hot backup is the source at its position', { timeout }, async () => {
  await using load = await startWriteLoad(source);
  const { directory, result } = await backUp('copy');
  await load.stop();
  const before = await readPosition(directory);
  assert.deepEqual(before.binlog, result.position.binlog);
  assert.equal(before.gtid, result.position.gtid);
  assert.deepEqual(before.replicaSource, []);
  assert.equal(before.prepared, false);
  assert.equal(before.toLsn, result.toLsn);
  assert.match(before.serverVersion, /MariaDB/);
  assert.ok(formatPosition(before).startsWith(`${before.binlog?.file}:${before.binlog?.offset}, GTID ${before.gtid}`));

  let lines = 0;
  await prepare({ directory, tool, memoryBytes: 32 * 1024 * 1024 }, () => lines++, never);
  assert.ok(lines > 0);
  const { gtid, binlog, prepared } = await readPosition(directory);
  assert.ok(gtid !== undefined && binlog !== undefined && prepared);

  await using copy = await startMariadb(sandbox, { name: 'started', dataDirectory: directory });
  // The first two transactions made the database and the table; since then a transaction is a row.
  const sequence = (text: string): number => Number(text.split('-')[2]);
  const rows = Number(await copy.value('SELECT COUNT(*) FROM load_test.rows'));
  assert.equal(rows, Number(await copy.value('SELECT MAX(id) FROM load_test.rows')));
  assert.equal(rows, sequence(gtid) - 2);
  assert.ok(rows < Number(await source.value('SELECT COUNT(*) FROM load_test.rows')), 'the load went on meanwhile');

  await startReplication(copy, { source, from: { gtid } });
  await waitUntilCaughtUp(copy, source);
  assert.equal(await tableChecksum(copy, 'load_test.rows'), await tableChecksum(source, 'load_test.rows'));
  // The same by file and offset.
  await copy.sql(`STOP SLAVE; DELETE FROM load_test.rows WHERE id > ${rows}`);
  await startReplication(copy, { source, from: binlog });
  await waitUntilCaughtUp(copy, source);
  assert.equal(await tableChecksum(copy, 'load_test.rows'), await tableChecksum(source, 'load_test.rows'));
});

// Proves: incremental backups, applied in order to their base, are the source at the last one's position; each is far smaller than
// the base, the base tells where the next one starts and which server it is of, and is none any more once a server has run on it (M7).
test('incremental backups build on their base', { timeout }, async () => {
  await source.sql(
    `CREATE DATABASE inc; CREATE TABLE inc.t (id INT PRIMARY KEY, text TEXT);
     INSERT INTO inc.t VALUES (1, 'base')`,
  );
  const base = await backUp('base');
  await source.sql(`INSERT INTO inc.t VALUES (2, 'first'); UPDATE inc.t SET text='changed' WHERE id=1`);
  const { toLsn, incremental, serverUuid, serverVersion, bytes } = await readBase(base.directory, never);
  assert.deepEqual([toLsn, incremental, serverVersion], [base.result.toLsn, false, server.version.text]);
  assert.ok(bytes > 10_000_000 && toLsn <= ((await server.logSequenceNumber(never)) ?? 0n));
  assert.match(serverUuid ?? '', /^[0-9a-f]{32}$/);
  assert.equal(serverUuid, await server.uuid(never));
  const first = await backUp('first', toLsn);
  await source.sql(`INSERT INTO inc.t VALUES (3, 'second'); CREATE TABLE inc.later (id INT PRIMARY KEY)`);
  const firstBase = await readBase(first.directory, never);
  assert.deepEqual([firstBase.incremental, firstBase.serverUuid], [true, serverUuid]);
  assert.ok(firstBase.bytes < bytes);
  const second = await backUp('second', firstBase.toLsn);
  assert.equal(first.result.fromLsn, base.result.toLsn);
  assert.equal(second.result.fromLsn, first.result.toLsn);
  const position = await readPosition(second.directory);
  assert.deepEqual([position.incremental, position.fromLsn], [true, first.result.toLsn]);

  const steps: number[] = [];
  const incrementals = [first.directory, second.directory];
  const options = { directory: base.directory, tool, memoryBytes: 32 * 1024 * 1024, incrementals };
  await prepare(options, ({ step, steps: all }) => steps.push(step) && assert.equal(all, 3), never);
  assert.deepEqual(
    [...new Set(steps)].sort((a, b) => a - b),
    [1, 2, 3],
  );
  assert.deepEqual((await readPosition(base.directory)).binlog, position.binlog);
  assert.equal((await readBase(base.directory, never)).toLsn, second.result.toLsn);
  await using copy = await startMariadb(sandbox, { name: 'inc', dataDirectory: base.directory });
  assert.deepEqual(await copy.sql('SELECT * FROM inc.t ORDER BY id'), [
    ['1', 'changed'],
    ['2', 'first'],
    ['3', 'second'],
  ]);
  assert.equal(await copy.value('SELECT COUNT(*) FROM inc.later'), '0');
  await copy.stop();
  await assert.rejects(readBase(base.directory, never), { code: 'UNSUPPORTED', message: /^a server has run on/ });
});

/** A backup's stream as a file. */
async function writeStream(name: string): Promise<string> {
  const path = sandbox.join(name);
  const temporaryDirectory = makeDirectory(`${name}.tmp`);
  await using backup = await startBackup({ server, tool, temporaryDirectory }, never);
  await pipeline(backup.stdout, createWriteStream(path));
  await backup.done;
  return path;
}

async function unpackFile(path: string, directory: string): Promise<unknown> {
  await using unpack = await startUnpack(directory, tool, never);
  const fed = pipeline(createReadStream(path), unpack.stdin);
  fed.catch(() => undefined);
  return await unpack.done;
}

// Proves: a stream that ends early is an error wherever it ends (M3): between chunks the unpacker itself says nothing; so is a
// damaged one.
test('a truncated or damaged stream is not a backup', { timeout }, async () => {
  const path = await writeStream('stream');
  const { size } = statSync(path);
  await unpackFile(path, makeDirectory('whole'));
  const { files } = (await unpackFile(path, makeDirectory('whole-again'))) as { files: number };
  assert.ok(files > 50);

  // 14 bytes of header and the name: the last chunk, which closes the last file.
  for (const [index, cut] of [size - 14 - 'xtrabackup_info'.length, size - 1, Math.floor(size / 2), 14, 0].entries()) {
    const shorter = sandbox.join(`cut-${index}`);
    await pipeline(createReadStream(path), createWriteStream(shorter));
    truncateSync(shorter, cut);
    await assert.rejects(
      unpackFile(shorter, makeDirectory(`cut-${index}.d`)),
      { code: 'BACKUP_FAILED' },
      `cut at ${cut}`,
    );
  }
  const damaged = sandbox.join('damaged');
  await pipeline(createReadStream(path, { end: size - 1000 }), createWriteStream(damaged));
  await pipeline(createReadStream(path, { start: size - 999 + 7 }), createWriteStream(damaged, { flags: 'a' }));
  await assert.rejects(unpackFile(damaged, makeDirectory('damaged.d')), ({ code }: { code: string }) =>
    ['PROTOCOL', 'BACKUP_FAILED', 'LIMIT'].includes(code),
  );
});

// Proves: a flipped bit in a payload is an error of the unpacker.
test('a flipped bit is found', { timeout }, async () => {
  const path = await writeStream('flip');
  const flipped = sandbox.join('flipped');
  const middle = Math.floor(statSync(path).size / 2);
  const flip = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let offset = 0;
    for await (const chunk of chunks) {
      if (middle >= offset && middle < offset + chunk.length) chunk[middle - offset]! ^= 1;
      offset += chunk.length;
      yield chunk;
    }
  };
  await pipeline(createReadStream(path), flip, createWriteStream(flipped));
  await assert.rejects(unpackFile(flipped, makeDirectory('flipped.d')), { code: 'BACKUP_FAILED', message: /checksum/ });
});

// Proves: a tool that is killed is an error on both sides, at whatever moment, and it leaves no lock on the server (M2).
test('a killed tool is an error and leaves no lock', { timeout }, async () => {
  const moments: readonly BackupEvent['type'][] = ['file', 'locked'];
  for (const [index, moment] of moments.entries()) {
    const reached = Promise.withResolvers<void>();
    const temporaryDirectory = makeDirectory(`killed-${index}.tmp`);
    const onEvent = ({ type }: BackupEvent): void => void (type === moment && reached.resolve());
    await using backup = await startBackup({ server, tool, temporaryDirectory, onEvent }, never);
    await using unpack = await startUnpack(makeDirectory(`killed-${index}`), tool, never);
    const fed = pipeline(backup.stdout, unpack.stdin);
    fed.catch(() => undefined);
    await reached.promise;
    await killProcess(backup.pid);
    await assert.rejects(backup.done, { code: 'BACKUP_FAILED', message: /was killed by SIGKILL/ });
    await assert.rejects(unpack.done, { code: 'BACKUP_FAILED', message: /cut short/ });
    await source.sql(`CREATE TABLE inc.after_kill_${index} (id INT PRIMARY KEY)`);
  }
});

// Proves: the signal ends the tools, and the reason is told.
test('a backup is aborted by its signal', { timeout }, async () => {
  const controller = new AbortController();
  const temporaryDirectory = makeDirectory('aborted.tmp');
  const backup = await startBackup({ server, tool, temporaryDirectory }, controller.signal);
  const unpack = await startUnpack(makeDirectory('aborted'), tool, controller.signal);
  await once(backup.stdout, 'readable');
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(backup.done, reason);
  await assert.rejects(unpack.done, reason);
  const left = () => listProcesses().filter(({ argv }) => argv.some((word) => word.includes(temporaryDirectory)));
  await waitUntil('nothing of it runs', () => left().length === 0);
});

// Proves: an unpacker that dies, or has no place, is an error that its writer hears of.
test('an unpacker that dies is an error', { timeout }, async () => {
  const path = await writeStream('for-killed');
  const unpack = await startUnpack(makeDirectory('unpack-killed'), tool, never);
  await killProcess(unpack.pid);
  await assert.rejects(unpack.done, { code: 'BACKUP_FAILED', message: /SIGKILL/ });
  assert.equal((unpack.stdin.errored as { code?: string } | null)?.code, 'BACKUP_FAILED');
  const second = await startUnpack(makeDirectory('unpack-killed-later'), tool, never);
  const killed = Promise.withResolvers<void>();
  const content = async function* (): AsyncGenerator<Buffer> {
    let chunks = 0;
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      yield chunk;
      if (++chunks === 8) await killed.promise;
    }
  };
  const fed = pipeline(content, second.stdin);
  // It may fail before the kill is known to have worked.
  fed.catch(() => undefined);
  await once(second.stdin, 'drain');
  await killProcess(second.pid);
  killed.resolve();
  await assert.rejects(fed, { code: 'BACKUP_FAILED', message: /SIGKILL/ });
  await assert.rejects(unpackFile(path, join(sandbox.path, 'nowhere')), { code: 'BACKUP_FAILED' });
});

// Proves: a full disk is an error of the unpacker, with what to do.
test('a full disk', { timeout }, async () => {
  const path = await writeStream('for-full');
  await using disk = await smallFileSystem(sandbox, sandbox.join('small'), {
    kind: 'tmpfs',
    sizeBytes: 4 * 1024 * 1024,
  });
  await assert.rejects(unpackFile(path, disk.path), {
    code: 'NO_SPACE',
    message: /No space left on device/,
    hint: /^make space/,
  });
});

// Proves: what is not a backup cannot be prepared, and the tool's words are told.
test('a failed prepare is an error', { timeout }, async () => {
  const directory = makeDirectory('empty');
  await assert.rejects(
    prepare({ directory, tool }, () => undefined, never),
    { code: 'BACKUP_FAILED', message: /ended with exit code 1/ },
  );
  await assert.rejects(
    prepare({ directory, tool, memoryBytes: 1 }, () => undefined, never),
    { code: 'USAGE' },
  );
  await assert.rejects(readBase(directory, never), { code: 'NOT_FOUND' });
});
