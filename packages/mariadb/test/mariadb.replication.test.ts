// Replication of real servers, stopped and started again, with whatever is killed in between.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import {
  attachReplica,
  type MariadbServer,
  startMariadb,
  startReplication,
  waitUntilCaughtUp,
} from '@batondb/testbed/mariadb';
import { killProcess, listProcesses, signalProcess, waitUntil } from '@batondb/testbed/process-table';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import {
  type BackupPosition,
  chooseTool,
  readPosition,
  Server,
  startBackup,
  startUnpack,
  stopReplication,
} from '../src/index.ts';

const isSoak = process.env['BATON_SOAK'] === '1';
const timeout = isSoak ? 600_000 : 60_000;
const never = new AbortController().signal;
let sandbox: Sandbox;
let west: MariadbServer;
let east: MariadbServer;
let replica: MariadbServer;
let server: Server;

before(async () => {
  sandbox = makeSandbox();
  west = await startMariadb(sandbox, { name: 'west', more: ['--gtid-domain-id=1'] });
  east = await startMariadb(sandbox, { name: 'east', more: ['--gtid-domain-id=2'] });
  replica = await startMariadb(sandbox, { name: 'replica', more: ['--gtid-domain-id=3'] });
  await west.sql('CREATE DATABASE west; CREATE TABLE west.t (id INT PRIMARY KEY)');
  await east.sql('CREATE DATABASE east; CREATE TABLE east.t (id INT PRIMARY KEY)');
  await startReplication(replica, { source: west });
  await startReplication(replica, { source: east, channel: "ea'st" });
  await waitUntilCaughtUp(replica, west);
  await waitUntilCaughtUp(replica, east, "ea'st");
  server = await Server.connect({ socketPath: replica.socketPath }, never);
});

after(async () => {
  for (const one of [west, east, replica]) await one.kill();
  await sandbox[Symbol.asyncDispose]();
});

/** `io+sql` and the like, by channel. */
async function threads(): Promise<Record<string, string>> {
  const channels = await server.replicas(never);
  return Object.fromEntries(
    channels.map(({ channel, ioRunning, sqlRunning }) => [
      channel,
      [...(ioRunning ? ['io'] : []), ...(sqlRunning ? ['sql'] : [])].join('+'),
    ]),
  );
}

const allRun = { '': 'io+sql', "ea'st": 'io+sql' };
const noneRuns = { '': '', "ea'st": '' };

/** A process that has just been started is a copy of the one that started it, until it becomes another program. */
function watchdogs(): number[] {
  const named = listProcesses().filter(({ argv }) => argv.includes('replication-watchdog'));
  return named
    .filter(({ parentPid }) => !named.some(({ pid }) => pid === parentPid))
    .map(({ pid }) => pid)
    .filter((pid) => pidOfTest(pid) === process.pid);
}

/** Watchdogs of other tests on this machine are not ours: ours have our variable in their environment. */
function pidOfTest(pid: number): number {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    return Number(environment.find((line) => line.startsWith('BATON_TEST_PID='))?.slice('BATON_TEST_PID='.length));
  } catch {
    return 0;
  }
}
process.env['BATON_TEST_PID'] = String(process.pid);

async function insertEverywhere(id: number): Promise<void> {
  await west.sql(`INSERT INTO west.t VALUES (${id})`);
  await east.sql(`INSERT INTO east.t VALUES (${id})`);
}

const countBoth = 'SELECT (SELECT COUNT(*) FROM west.t) + (SELECT COUNT(*) FROM east.t)';

// Proves: all that ran stands, nothing is applied meanwhile, all of it runs again, and the watchdog is gone (M6).
test('replication stops and runs again', { timeout }, async () => {
  assert.deepEqual(await threads(), allRun);
  const [first] = await server.replicas(never);
  assert.deepEqual([first?.sourceHost, first?.sourcePort, first?.usingGtid], ['127.0.0.1', west.port, 'No']);
  assert.equal(first?.applied?.file, 'binlog.000001');
  const guard = await stopReplication(server, never);
  assert.deepEqual(await threads(), noneRuns);
  assert.equal(guard.stopped.length, 4);
  assert.equal(watchdogs().length, 1);
  const before = await replica.value(countBoth);
  await insertEverywhere(1);
  assert.equal(await replica.value(countBoth), before);
  await guard.restart();
  assert.deepEqual(await threads(), allRun);
  assert.deepEqual(watchdogs(), []);
  await guard.restart();
  await waitUntilCaughtUp(replica, west);
  await waitUntilCaughtUp(replica, east, "ea'st");
  assert.equal(await replica.value(countBoth), String(Number(before) + 2));
});

// Proves: what an operator had stopped is neither stopped nor started, thread by thread (M6).
test('what was stopped by hand stays stopped', { timeout }, async () => {
  const cases = [
    { by: `STOP SLAVE`, expected: { '': '', "ea'st": 'io+sql' } },
    { by: `STOP SLAVE 'ea\\'st' SQL_THREAD`, expected: { '': 'io+sql', "ea'st": 'io' } },
    { by: `STOP SLAVE IO_THREAD; STOP SLAVE 'ea\\'st'`, expected: { '': 'sql', "ea'st": '' } },
  ];
  for (const { by, expected } of cases) {
    await replica.sql(by);
    {
      await using guard = await stopReplication(server, never);
      assert.ok(guard.stopped.length > 0);
      assert.deepEqual(await threads(), noneRuns, by);
    }
    assert.deepEqual(await threads(), expected, by);
    await replica.sql('START ALL SLAVES');
    assert.deepEqual(await threads(), allRun);
  }
  await replica.sql('STOP ALL SLAVES');
  const idle = await stopReplication(server, never);
  assert.deepEqual(idle.stopped, []);
  assert.deepEqual(watchdogs(), []);
  await idle.restart();
  assert.deepEqual(await threads(), noneRuns);
  await replica.sql('START ALL SLAVES');
});

/** A process that has stopped replication, and its pid. */
async function stopElsewhere(): Promise<number> {
  const script = join(import.meta.dirname, 'stop-and-wait.ts');
  const argv = ['--conditions=batondb-source', script, replica.socketPath];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  assert.equal(said.toString(), 'stopped 4\n');
  assert.deepEqual(await threads(), noneRuns);
  return child.pid ?? 0;
}

async function untilAllRun(): Promise<void> {
  const isSo = async (): Promise<boolean> => JSON.stringify(await threads()) === JSON.stringify(allRun);
  await waitUntil('replication runs again', isSo, 30_000);
  await waitUntil('the watchdog is gone', () => watchdogs().length === 0, 10_000);
}

// Proves: a process that dies with replication stopped has it running again: killed, or its whole session hung up (M6).
test('whoever stopped it dies', { timeout: 2 * timeout }, async () => {
  for (let round = 0; round < (isSoak ? 10 : 1); round++) {
    await killProcess(await stopElsewhere());
    await untilAllRun();
    // The session, as when a terminal or a login ends.
    process.kill(-(await stopElsewhere()), 'SIGHUP');
    await untilAllRun();
  }
});

// Proves: there is no moment in the stop at which a kill leaves replication standing: whenever it comes, all runs afterwards (M6).
test('a kill in the middle of the stop', { timeout: 4 * timeout }, async () => {
  for (let round = 0; round < (isSoak ? 30 : 3); round++) {
    const script = join(import.meta.dirname, 'stop-and-wait.ts');
    const argv = ['--conditions=batondb-source', script, replica.socketPath];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'], detached: true });
    const stopped = 1 + (round % 4);
    const count = async (): Promise<number> =>
      Object.values(await threads())
        .join('+')
        .split('+')
        .filter((word) => word !== '').length;
    await waitUntil(`${stopped} threads stand`, async () => (await count()) <= 4 - stopped, 20_000);
    await killProcess(child.pid ?? 0);
    await untilAllRun();
  }
});

/** Holds back everything that writes on the replica, so that the thread that applies cannot end; released when it is disposed. */
async function holdWrites(row: number): Promise<AsyncDisposable> {
  const client = spawn('mariadb', ['--no-defaults', '--batch', '--unbuffered', `--socket=${replica.socketPath}`]);
  client.stdin.write('FLUSH TABLES WITH READ LOCK; SELECT 1;\n');
  await once(client.stdout, 'data');
  await west.sql(`INSERT INTO west.t VALUES (${row})`);
  const waiting = `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for backup lock'`;
  await waitUntil('the replica waits', async () => (await replica.value(waiting)) !== '0', 20_000);
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(client, 'close');
      client.stdin.end();
      await ended;
    },
  };
}

async function untilStopping(): Promise<void> {
  const count = `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'STOP SLAVE%'`;
  await waitUntil('the server is busy with a stop', async () => (await replica.value(count)) !== '0', 20_000);
}

// Proves: a stop that the server is still busy with, when whoever asked for it is killed, leaves nothing standing either: whoever starts
// waits for it first (M6).
test('a kill while the server is stopping', { timeout: 2 * timeout }, async () => {
  {
    await using _held = await holdWrites(5000);
    const script = join(import.meta.dirname, 'stop-and-wait.ts');
    const argv = ['--conditions=batondb-source', script, replica.socketPath];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'], detached: true });
    await untilStopping();
    await killProcess(child.pid ?? 0);
  }
  await untilAllRun();
  let stopping: Promise<unknown>;
  {
    await using _held = await holdWrites(5001);
    stopping = assert.rejects(stopReplication(server, never), { code: 'REPLICATION_FAILED', message: /has ended/ });
    await untilStopping();
    await killProcess(watchdogs()[0] ?? 0);
  }
  await stopping;
  assert.deepEqual(await threads(), allRun);
});

// Proves: a watchdog that is told to end does its work first; one that is killed costs nothing while its process lives.
test('the watchdog ends', { timeout }, async () => {
  const guard = await stopReplication(server, never);
  const [pid] = watchdogs();
  assert.ok(pid !== undefined);
  signalProcess(pid, 'SIGINT');
  signalProcess(pid, 'SIGTERM');
  await untilAllRun();
  await guard.restart();
  const second = await stopReplication(server, never);
  await killProcess(watchdogs()[0] ?? 0);
  assert.deepEqual(await threads(), noneRuns);
  await second.restart();
  assert.deepEqual(await threads(), allRun);
});

// Proves: a server that is down when the process dies gets its replication back when it is there again.
test('the server is away at the wrong moment', { timeout: 2 * timeout }, async () => {
  const stopper = await stopElsewhere();
  await replica.kill();
  await killProcess(stopper);
  assert.equal(watchdogs().length, 1);
  const more = ['--gtid-domain-id=3', '--skip-slave-start'];
  const { dataDirectory } = replica;
  replica = await startMariadb(sandbox, { name: 'replica', dataDirectory, serverId: 3, more });
  await untilAllRun();
});

// Proves: threads that cannot be started again are an error that names channel and thread and what the server says; the watchdog goes
// on trying, and succeeds once somebody has mended it.
test('a channel that is gone', { timeout }, async () => {
  const channel = "ea'st";
  const guard = await stopReplication(server, never);
  const applied = (await server.replicas(never)).find((one) => one.channel === channel)?.applied;
  assert.ok(applied !== undefined);
  await replica.sql(`RESET SLAVE 'ea''st' ALL`);
  await assert.rejects(guard.restart(), {
    code: 'REPLICATION_FAILED',
    message:
      /^replication was not started again: the SQL thread of channel 'ea'st' does not run \(.*no master connection.*\); the IO thread of channel 'ea'st' does not run/,
  });
  assert.deepEqual(await threads(), { '': 'io+sql' });
  assert.equal(watchdogs().length, 1);
  await attachReplica(replica, { source: east, channel, from: applied });
  await untilAllRun();
});

// Proves: a user who may not stop replication is told so, and nothing was stopped.
test('missing privileges to stop', { timeout }, async () => {
  await replica.sql(
    `SET SESSION sql_log_bin=0; CREATE USER watcher@localhost; GRANT SLAVE MONITOR ON *.* TO watcher@localhost`,
  );
  const watcher = await Server.connect({ socketPath: replica.socketPath, user: 'watcher' }, never);
  await assert.rejects(stopReplication(watcher, never), { code: 'ACCESS_DENIED' });
  assert.deepEqual(await threads(), allRun);
  await waitUntil('the watchdog is gone', () => watchdogs().length === 0, 10_000);
});

// Proves: an aborted stop leaves everything running.
test('a stop that is aborted', { timeout }, async () => {
  const controller = new AbortController();
  const stopping = stopReplication(server, controller.signal);
  await waitUntil('a watchdog is there', () => watchdogs().length > 0, 20_000);
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(stopping, reason);
  await untilAllRun();
});

/** Backs up the replica while it stands, and tells what the copy says of its position. */
async function backUpReplica(name: string): Promise<BackupPosition> {
  const [directory, temporaryDirectory] = [sandbox.join(name), sandbox.join(`${name}.tmp`)];
  for (const path of [directory, temporaryDirectory]) mkdirSync(path, { mode: 0o700 });
  const tool = await chooseTool(server.version, never);
  await using _guard = await stopReplication(server, never);
  await using backup = await startBackup({ server, tool, temporaryDirectory }, never);
  await using unpack = await startUnpack(directory, tool, never);
  await pipeline(backup.stdout, unpack.stdin);
  const [{ position }] = await Promise.all([backup.done, unpack.done]);
  assert.equal(position.replicaSource, undefined);
  return await readPosition(directory);
}

// Proves: the backup of a replica tells for every channel where its source is, by file and offset or by GTID, as the server itself does.
test('the backup of a replica', { timeout }, async () => {
  const applied = (await server.replicas(never)).map(({ channel, applied: binlog }) => ({
    channel,
    binlog,
    gtid: undefined,
  }));
  const position = await backUpReplica('by-file');
  assert.deepEqual(position.replicaSource, applied);
  assert.equal(applied.length, 2);

  await replica.sql(`STOP SLAVE 'ea''st'; CHANGE MASTER 'ea''st' TO MASTER_USE_GTID=slave_pos; START SLAVE 'ea''st'`);
  const gtid = await replica.value('SELECT @@gtid_slave_pos');
  assert.match(gtid, /1-\d+-\d+/);
  const mixed = await backUpReplica('by-gtid');
  assert.deepEqual(
    mixed.replicaSource?.find(({ channel }) => channel === "ea'st"),
    { channel: "ea'st", binlog: undefined, gtid },
  );
  assert.deepEqual(await threads(), allRun);
});
