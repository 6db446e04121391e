import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import type { BackupResult, CopyEvent } from '@batondb/copy/events';
import { killAgents } from '@batondb/testbed/faults';
import type { Host } from '@batondb/testbed/host';
import { startHosts } from '@batondb/testbed/hosts';
import {
  type MariadbServer,
  startMariadb,
  startReplication,
  startWriteLoad,
  tableChecksum,
  waitUntilCaughtUp,
} from '@batondb/testbed/mariadb';
import { waitUntil } from '@batondb/testbed/process-table';
import { requireRoot } from '@batondb/testbed/requirements';
import type { BatonResult } from '@batondb/testbed/run-baton';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import {
  assertExit,
  assertNothingRuns,
  eventsOf,
  isSoak,
  makeTargets,
  runCopy,
  startCopy,
  summaryOf,
} from './copy-on-bed.ts';

// Hot backups of a real server under load, to hosts on which servers are started from them.

const timeout = 240_000;
let sandbox: Sandbox;
let source: MariadbServer;

before(async () => {
  requireRoot('the test of hot backups');
  sandbox = makeSandbox();
  source = await startMariadb(sandbox, { name: 'source' });
  // Enough for a copy to be caught in its middle.
  await source.sql(
    `CREATE DATABASE bulk; CREATE TABLE bulk.t (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB);
     USE bulk; INSERT INTO t (b) SELECT REPEAT(RANDOM_BYTES(1000), 100) FROM seq_1_to_60;`,
  );
});

after(async () => {
  await source.kill();
  await sandbox[Symbol.asyncDispose]();
});

const backup = (): string[] => ['--type', 'mariadb', `a:${source.socketPath}`];

function backupOf(result: BatonResult<CopyEvent>, target: string): BackupResult {
  const found = summaryOf(result).targets.find((one) => one.target === target)?.backup;
  assert.ok(found !== undefined, result.stderr);
  return found;
}

/** What agents of a source left when they ended; those of other tests may be at work. */
function leftBehind(): string[] {
  return readdirSync(tmpdir()).filter((name) => {
    const pid = /^baton-backup-(\d+)-/.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });
}

// Proves: a server under write load is copied hot to two hosts, prepared there and started; its tables are those of the printed position;
// it becomes a replica from there and catches up. The position is printed, in the JSON, and in a file beside the data.
test('a hot backup becomes a replica', { timeout }, async () => {
  await using bed = await startHosts({ count: 3 });
  const hosts = bed.hosts.slice(1) as [Host, Host];
  const targets = await makeTargets(hosts);
  await using load = await startWriteLoad(source);
  const args = ['--prepare', '--prepare-memory', '64MiB', '--owner', 'mysql:mysql', ...backup(), ...targets];
  const result = await runCopy(bed, args);
  await load.stop();
  assertExit(result, 0);
  await assertNothingRuns(bed);
  assert.deepEqual(leftBehind(), []);
  const [first = ''] = targets;
  const { position, details, isPrepared } = backupOf(result, first);
  assert.ok(isPrepared);
  for (const [index, host] of hosts.entries()) {
    const dataDirectory = host.join('in');
    assert.equal(backupOf(result, targets[index] ?? '').position, position);
    assert.deepEqual(JSON.parse(readFileSync(`${dataDirectory}/baton-position.json`, 'utf8')), details);
    assert.deepEqual(
      readdirSync(dataDirectory).filter((name) => name.startsWith('.')),
      [],
    );
    const { uid } = statSync(`${dataDirectory}/ibdata1`);
    assert.equal(uid, statSync(dataDirectory).uid);
    assert.notEqual(uid, 0);
    await using copy = await startMariadb(sandbox, { name: `copy-${index}`, dataDirectory });
    const gtid = String(details['gtid']);
    assert.ok(position.includes(gtid));
    const rows = Number(await copy.value('SELECT COUNT(*) FROM load_test.rows'));
    assert.equal(rows, Number(await copy.value('SELECT MAX(id) FROM load_test.rows')));
    await startReplication(copy, { source, from: { gtid } });
    await waitUntilCaughtUp(copy, source);
    for (const table of ['load_test.rows', 'bulk.t']) {
      assert.equal(await tableChecksum(copy, table), await tableChecksum(source, table), table);
    }
  }
  await source.sql('DROP DATABASE load_test');
});

// Proves: whatever is killed in the middle, replication on the source runs again, exactly what ran before; and nothing is left on any host.
test('replication runs again, whatever is killed', { timeout }, async () => {
  await using replica = await startMariadb(sandbox, { name: 'replica' });
  await startReplication(replica, { source });
  await waitUntilCaughtUp(replica, source);
  // More than is read ahead of a target: the backup is still at work, and replication stands, when its first bytes have arrived.
  await replica.sql(
    `CREATE DATABASE own; CREATE TABLE own.t (id INT PRIMARY KEY AUTO_INCREMENT, b LONGBLOB);
     USE own; INSERT INTO t (b) SELECT REPEAT(RANDOM_BYTES(1000), 1000) FROM seq_1_to_90;`,
  );
  const running = async (): Promise<string> => {
    const [row = []] = await replica.sql('SHOW ALL SLAVES STATUS');
    return row.filter((field) => field === 'Yes').length.toString();
  };
  assert.equal(await running(), '2');
  await using bed = await startHosts({ count: 2 });
  const [a, b] = bed.hosts as [Host, Host];
  const [target = ''] = await makeTargets([b]);
  const args = ['--stop-replica', '--bwlimit', '6MB', '--type', 'mariadb', `a:${replica.socketPath}`, target];
  const kills = ['the command', 'the agent of the source', 'the agent of the target'] as const;
  for (const what of isSoak ? kills : kills.slice(1)) {
    await using run = startCopy(bed, args);
    const stopped = await run.untilType('replication');
    assert.equal(stopped.threads.length, 2);
    await run.until((event) => event.type === 'progress' && (event.targets[0]?.doneBytes ?? 0) > 4_000_000);
    assert.equal(await running(), '0');
    if (what === 'the command') run.kill('SIGKILL');
    else await killAgents(what === 'the agent of the source' ? a : b);
    const result = await run.finished;
    if (what !== 'the command') assertExit(result, 50);
    await Promise.all([run.waitForNoProcess(), assertNothingRuns(bed)]);
    await waitUntil('replication runs again', async () => (await running()) === '2', 15_000);
    const left = readdirSync(b.join('in'));
    // A killed target could not clean up; the next run does.
    assert.ok(left.length === 0 || what === 'the agent of the target', `${what}: ${left.join(' ')}`);
  }
  const result = await runCopy(bed, args.slice(0, 1).concat(args.slice(3)));
  assertExit(result, 0);
  assert.deepEqual(
    eventsOf(result.events, 'replication').map(({ state }) => state),
    ['stopped', 'started'],
  );
  assert.equal(await running(), '2');
  assert.deepEqual(leftBehind(), []);
  assert.ok(!readdirSync(b.join('in')).some((name) => name.startsWith('.')));
});

// Proves: what cannot work is found before a byte moves, or fails with one clear message and nothing half done.
test('backups that cannot be', { timeout }, async () => {
  await using bed = await startHosts({ count: 2 });
  const [, b] = bed.hosts as [Host, Host];
  const [target = ''] = await makeTargets([b]);
  const refused = async (args: readonly string[], expected: RegExp): Promise<void> => {
    const result = await runCopy(bed, args);
    assertExit(result, 30);
    assert.match(JSON.stringify(eventsOf(result.events, 'findings')), expected);
    assert.deepEqual(eventsOf(result.events, 'plan'), []);
  };
  const inUse = `b:${source.dataDirectory}`;
  await refused(
    ['--type', 'mariadb', 'a:/no/such.sock', inUse],
    /(?=.*there is no such socket).*IN_USE.*a running server/,
  );
  await refused(['--type', 'mariadb', `a:${sandbox.path}`, target], /is not a socket/);
  const login = sandbox.join('login.cnf');
  writeFileSync(login, '[client]\nuser=nobody-known\npassword=hunter2\n', { mode: 0o600 });
  await refused(['--defaults-file', login, ...backup(), target], /ACCESS_DENIED.*nobody-known/);
  writeFileSync(b.join('in', 'precious'), 'x');
  mkdirSync(b.join('in', 'lost+found'));
  const notEmpty = /(?=.*no user no-such-user).*EXISTS.*not empty: it has precious/;
  await refused(['--owner', 'no-such-user', ...backup(), target], notEmpty);
  assert.equal(readFileSync(b.join('in', 'precious'), 'utf8'), 'x');
});

// Proves: a backup tool that dies in the middle is a failure that says so, on all targets, with nothing left; and no password is in any
// argument list meanwhile.
test('a backup tool that dies', { timeout }, async () => {
  // More than a source reads ahead of its targets.
  await source.sql(`CREATE USER saver IDENTIFIED BY 'hunter2'; GRANT ALL ON *.* TO saver; USE bulk;
    INSERT INTO t (b) SELECT REPEAT(RANDOM_BYTES(1000), 1000) FROM seq_1_to_100`);
  const login = sandbox.join('saver.cnf');
  writeFileSync(login, '[client]\nuser=saver\npassword=hunter2\n', { mode: 0o600 });
  await using bed = await startHosts({ count: 3 });
  const [a, ...hosts] = bed.hosts as [Host, Host, Host];
  const targets = await makeTargets(hosts);
  await using run = startCopy(bed, ['--bwlimit', '8MB', '--defaults-file', login, ...backup(), ...targets]);
  await run.until((event) => event.type === 'progress' && (event.targets[0]?.doneBytes ?? 0) > 4_000_000);
  const processes = a.processes();
  assert.ok(!processes.some(({ argv }) => argv.join(' ').includes('hunter2')));
  const tool = processes.find(({ argv }) => argv[0]?.endsWith('mariadb-backup'));
  assert.ok(tool !== undefined);
  process.kill(tool.pid, 'SIGKILL');
  const result = await run.finished;
  assertExit(result, 45);
  for (const { error } of summaryOf(result).targets) {
    assert.equal(error?.code, 'BACKUP_FAILED');
    assert.match(error.message, /killed by SIGKILL/);
    assert.equal(error.host, 'a');
  }
  await assertNothingRuns(bed);
  for (const host of hosts) assert.deepEqual(readdirSync(host.join('in')), []);
  assert.ok(!existsSync(sandbox.join('source/data/hunter2')));
  assert.deepEqual(leftBehind(), []);
});
