import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BackupResult, CopyEvent } from '@batondb/copy/events';
import { compareFingerprints, fingerprintDirectory } from '@batondb/testbed/compare';
import type { Host } from '@batondb/testbed/host';
import { startMariadb, startWriteLoad, tableChecksum } from '@batondb/testbed/mariadb';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { mustRun } from '@batondb/testbed/processes';
import type { BatonResult } from '@batondb/testbed/run-baton';
import { beforeAgent, makeAgent } from './agent-hooks.ts';
import { BackupBed, backupsOf, idsOf, makeDirectories, stagingIn } from './backup-bed.ts';
import { assertExit, assertNothingRuns, eventsOf, runCopy } from './copy-on-bed.ts';

// Incremental backups of a real server, on hosts that share a file system: where nothing else is said, a base has one path on all of them.

const timeout = 240_000;
let beds: BackupBed;

before(async () => {
  beds = await BackupBed.start(3);
});

after(async () => {
  await beds[Symbol.asyncDispose]();
});

/** A transaction that stays open until it is committed. */
async function openTransaction(statement: string): Promise<{ commit(): Promise<void> }> {
  const argv = ['--no-defaults', '--batch', '--unbuffered', `--socket=${beds.source.socketPath}`];
  const client = spawn('mariadb', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  client.stdin.write(`BEGIN; ${statement}; SELECT 'open';\n`);
  await once(client.stdout, 'data');
  const commit = async (): Promise<void> => {
    client.stdin.end('COMMIT;\n');
    await once(client, 'exit');
  };
  return { commit };
}

const sequenceOf = (gtid: unknown): number => Number(String(gtid).split('-')[2]);

// Proves: a chain of incremental backups, each prepared and based on the one before, is at each link the source at the printed position,
// under write load and with a transaction that stays open over all of them; and no base is changed by a byte.
test('a chain of prepared backups', { timeout }, async () => {
  const { bed, source } = beds;
  const [, b, c] = bed.hosts as [Host, Host, Host];
  const options = ['--prepare', '--prepare-memory', '32MiB', '--owner', 'mysql:mysql'];
  const copyTo = async (hosts: readonly Host[], name: string, base?: string): Promise<BackupResult[]> => {
    const incremental = base === undefined ? [] : ['--incremental', base];
    const targets = makeDirectories(hosts, name);
    return backupsOf(await runCopy(bed, [...options, ...incremental, ...beds.words, ...targets]));
  };
  await source.sql(`INSERT INTO shop.t VALUES (1, 'full')`);
  const open = await openTransaction(`INSERT INTO shop.t VALUES (100, 'open')`);
  await copyTo([b], 'full');
  const fullBefore = await fingerprintDirectory(b.join('full'));

  await source.sql(`INSERT INTO shop.t VALUES (2, 'first'); UPDATE shop.t SET text='changed' WHERE id=1`);
  const sequenceBefore = sequenceOf(await source.value('SELECT @@gtid_binlog_pos'));
  await using load = await startWriteLoad(source);
  const [first, same] = await copyTo([b, c], 'first', b.join('full'));
  await load.stop();
  assert.deepEqual(first, same);
  assert.equal(first?.isPrepared, true);
  assert.deepEqual(JSON.parse(readFileSync(c.join('first', 'baton-position.json'), 'utf8')), first.details);
  const firstBefore = await fingerprintDirectory(b.join('first'));

  await open.commit();
  await source.sql(`INSERT INTO shop.t VALUES (3, 'second'); CREATE TABLE shop.later SELECT * FROM shop.t`);
  await copyTo([b], 'second', b.join('first'));
  await assertNothingRuns(bed);
  assert.deepEqual(compareFingerprints(fullBefore, await fingerprintDirectory(b.join('full'))), []);
  assert.deepEqual(compareFingerprints(firstBefore, await fingerprintDirectory(b.join('first'))), []);
  for (const name of ['full', 'first', 'second']) assert.deepEqual(stagingIn(b.join(name)), []);

  const { uid } = statSync(c.join('first', 'shop', 't.ibd'));
  assert.deepEqual([uid === 0, uid], [false, statSync(c.join('first')).uid]);
  await using one = await startMariadb(beds.sandbox, { name: 'first', dataDirectory: c.join('first') });
  assert.equal(await one.value(idsOf), '1,2');
  // The load's own first two transactions made its table; since then a transaction is a row.
  const rows = Number(await one.value('SELECT COUNT(*) FROM load_test.rows'));
  assert.equal(rows, sequenceOf(first.details['gtid']) - sequenceBefore - 2);
  assert.ok(rows > 0 && rows < Number(await source.value('SELECT COUNT(*) FROM load_test.rows')));
  await using two = await startMariadb(beds.sandbox, { name: 'second', dataDirectory: b.join('second') });
  assert.equal(await two.value(idsOf), '1,2,3,100');
  for (const table of ['shop.t', 'shop.later', 'load_test.rows'])
    assert.equal(await tableChecksum(two, table), await tableChecksum(source, table), table);
  await source.sql('DROP DATABASE load_test');
});

// Proves: without --prepare, an incremental backup lies as it is, here on one that the tool made; the plan says where it begins; and what the
// page says restores it.
test('a chain that is prepared later', { timeout }, async () => {
  const { bed, source } = beds;
  const [, b] = bed.hosts as [Host, Host];
  await source.sql(`INSERT INTO shop.t VALUES (200, 'full')`);
  const full = await beds.takeByTool('by-tool');
  await source.sql(`INSERT INTO shop.t VALUES (201, 'monday')`);
  const monday = await beds.takeByTool('monday', full);
  await source.sql(`INSERT INTO shop.t VALUES (202, 'tuesday')`);
  const before = await fingerprintDirectory(monday);
  const targets = makeDirectories([b], 'tuesday');
  const result = await runCopy(bed, ['--incremental', monday, ...beds.words, ...targets]);
  const fromLsn = /^to_lsn = (\d+)$/m.exec(readFileSync(join(monday, 'xtrabackup_checkpoints'), 'utf8'))?.[1];
  assert.deepEqual(eventsOf(result.events, 'plan')[0]?.plan.incremental, { base: monday, fromLsn });
  const [made] = backupsOf(result);
  assert.deepEqual([made?.isPrepared, made?.details['incremental'], made?.details['fromLsn']], [false, true, fromLsn]);
  assert.deepEqual(compareFingerprints(before, await fingerprintDirectory(monday)), []);
  const prepare = ['mariadb-backup', '--prepare', `--target-dir=${full}`];
  await mustRun(prepare);
  for (const directory of [monday, b.join('tuesday')]) await mustRun([...prepare, `--incremental-dir=${directory}`]);
  assert.equal(await beds.askCopy(full, idsOf), await source.value(idsOf));
});

/** A directory with no more of a backup than what says what it is. */
function makeBase(name: string, toLsn: string, version: string): string {
  const path = beds.sandbox.join(name);
  mkdirSync(path);
  writeFileSync(join(path, 'xtrabackup_checkpoints'), `backup_type = log-applied\nfrom_lsn = 0\nto_lsn = ${toLsn}\n`);
  writeFileSync(join(path, 'xtrabackup_info'), `server_version = ${version}\n`);
  writeFileSync(join(path, 'ibdata1'), Buffer.alloc(10_000_000));
  return path;
}

/** Has a host see a directory at another path, which exists. */
function showAt(host: Host, directory: string, path: string): void {
  const script = host.join('enter');
  writeFileSync(script, `set -e; mount --make-rprivate /; mount --bind '${directory}' '${path}'; exec "$@"\n`);
  beforeAgent(host.home, `exec unshare --mount sh ${script} baton "$@"`);
}

// Proves: what is wrong with the bases, one by one and together, is found on all targets at once, before a byte moves, and so is too little
// space for the copy of one.
test('bases that do not fit', { timeout }, async () => {
  const { bed, sandbox } = beds;
  const [, b, c] = bed.hosts as [Host, Host, Host];
  await using disk = await smallFileSystem(sandbox, b.join('small'), { kind: 'tmpfs', sizeBytes: 4 * 1024 * 1024 });
  const base = makeBase('base', '44894', '10.6.12-MariaDB');
  showAt(c, makeBase('other', '99999999999', '10.11.3-MariaDB'), base);
  const targets = [`b:${disk.path}`, ...makeDirectories([c], 'wrong')];
  const words = ['--agent', makeAgent(bed), '--prepare', '--incremental', base];
  const result: BatonResult<CopyEvent> = await runCopy(bed, [...words, ...beds.words, ...targets]);
  beforeAgent(c.home, ':');
  assertExit(result, 30);
  assert.deepEqual(eventsOf(result.events, 'plan'), []);
  const findings = eventsOf(result.events, 'findings').flatMap((event) => event.findings);
  const found = findings.map(({ host, error }) => `${host} ${error.code} ${error.message}`).sort();
  const expected = [
    /^a UNSUPPORTED one stream serves .*: b:\S+ at LSN 44894, c:\S+ at LSN 99999999999$/,
    /^b NO_SPACE \S+ has 4\.00 MiB free, and \d+\.\d MiB are needed$/,
    /^b UNSUPPORTED \S+ is a backup of a server 10\.6\.12-MariaDB, and the source is MariaDB 10/,
    /^c UNSUPPORTED \S+ ends at LSN 99999999999, and the source is only at LSN \d+: that is another server/,
  ];
  assert.equal(found.length, expected.length, found.join('\n'));
  for (const [index, pattern] of expected.entries()) assert.match(found[index] ?? '', pattern);
});
