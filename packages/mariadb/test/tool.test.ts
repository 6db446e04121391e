// Which tool fits which server, and what clients and servers print.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSandbox } from '@batondb/testbed/sandbox';
import fc from 'fast-check';
import { parseBackupLine } from '../src/backup.ts';
import { clientError, parseRows, quoteString } from '../src/client-output.ts';
import { chooseTool } from '../src/index.ts';
import { parseReplicaStatus, replicaStatusStatement } from '../src/replica-status.ts';
import { missingThreads, runningThreads, threadStatement } from '../src/replication/threads.ts';
import { debianPackage, parseToolVersion, toolFits } from '../src/tool.ts';
import { formatVersion, parseServerVersion, type ServerVersion } from '../src/version.ts';
import { runs } from './property.ts';

const server = (text: string, comment = ''): ServerVersion => parseServerVersion(text, comment);

// Proves: who made a server, and its numbers.
test('versions of servers', () => {
  const { family, major, minor, patch } = server('10.11.19-MariaDB-0+deb12u1-log', 'Debian 12');
  assert.deepEqual([family, major, minor, patch], ['mariadb', 10, 11, 19]);
  assert.equal(formatVersion(server('8.0.36-28', 'Percona Server (GPL), Release 28')), 'Percona Server 8.0.36');
  assert.equal(server('8.4.2', 'MySQL Community Server - GPL').family, 'mysql');
  assert.equal(server('11.4.2', 'MariaDB Server').family, 'mariadb');
  for (const text of ['', '10.11', 'x.y.z', '1.2.345678']) assert.throws(() => server(text), { code: 'UNSUPPORTED' });
});

const mariabackup = (version: string): string =>
  `mariadb-backup based on MariaDB server ${version}-MariaDB debian-linux-gnu (x86_64)\n`;
const xtrabackup = (own: string, basedOn: string): string =>
  `2026-11-21T10:00:00 0 [Note] recognized server arguments: --datadir=/d\nxtrabackup version ${own} based on MySQL server ${basedOn} Linux (x86_64) (revision id: 6beb4b49)\n`;

// Proves: the same series, and not older than the server; Percona's tools by their own rule.
test('which tool fits', () => {
  const fits = (version: ServerVersion, output: string): boolean => {
    const tool = parseToolVersion(output);
    assert.ok(tool !== undefined, output);
    return toolFits(version, tool);
  };
  const mariadb = server('10.11.8-MariaDB');
  assert.deepEqual(
    ['10.11.8', '10.11.19', '10.11.7', '10.6.18', '11.4.2', '11.11.8'].map((text) => fits(mariadb, mariabackup(text))),
    [true, true, false, false, false, false],
  );
  const mysql = (text: string): ServerVersion => server(text, 'MySQL Community Server');
  assert.equal(fits(mysql('5.7.44'), xtrabackup('2.4.29', '5.7.44')), true);
  assert.equal(fits(mysql('5.6.51'), xtrabackup('2.4.29', '5.7.44')), true);
  assert.equal(fits(mysql('5.5.62'), xtrabackup('2.4.29', '5.7.44')), false);
  assert.equal(fits(mysql('8.0.30'), xtrabackup('8.0.30-23', '8.0.30')), true);
  assert.equal(fits(mysql('8.0.31'), xtrabackup('8.0.30-23', '8.0.30')), false);
  assert.equal(fits(mysql('8.0.42'), xtrabackup('8.0.35-33', '8.0.35')), true);
  assert.equal(fits(mysql('8.4.3'), xtrabackup('8.4.0-1', '8.4.0')), true);
  assert.equal(fits(mysql('8.4.3'), xtrabackup('8.0.35-33', '8.0.35')), false);
  assert.equal(fits(mysql('8.0.36'), mariabackup('8.0.36')), false);
  assert.equal(fits(mariadb, xtrabackup('8.0.35-33', '8.0.35')), false);
  assert.equal(parseToolVersion('bash: no\n'), undefined);
  assert.deepEqual([mariadb, mysql('5.7.44'), mysql('8.0.36'), mysql('8.4.0')].map(debianPackage), [
    'mariadb-backup',
    'percona-xtrabackup-24',
    'percona-xtrabackup-80',
    'percona-xtrabackup-84',
  ]);
});

// Proves: the installed tool is found for a server that it fits; for another one the error names both versions and the package.
test('the installed tool', async () => {
  const { signal } = new AbortController();
  const installed = await chooseTool(server('10.11.0-MariaDB'), signal);
  assert.match(installed.version.text, /10\.11\.\d+-MariaDB/);
  assert.match(installed.unpackProgram, /\/mbstream$/);
  await assert.rejects(chooseTool(server('11.4.2-MariaDB'), signal), {
    code: 'UNSUPPORTED',
    message: /^the server is MariaDB 11\.4\.2, and mariadb-backup 10\.11\.\d+ is installed$/,
    hint: 'apt-get install mariadb-backup',
  });
  await assert.rejects(chooseTool(server('8.0.36', 'MySQL Community Server'), signal), {
    code: 'UNSUPPORTED',
    message: 'the server is MySQL 8.0.36, and this machine has no xtrabackup',
    hint: "apt-get install percona-xtrabackup-80, from Percona's repository",
  });
});

// Proves: a program of the right name that is no backup tool is not used.
test('something else of that name', async () => {
  await using sandbox = makeSandbox();
  mkdirSync(sandbox.join('bin'));
  const program = join(sandbox.path, 'bin', 'mariadb-backup');
  writeFileSync(program, '#!/bin/sh\necho hello\n');
  chmodSync(program, 0o755);
  await assert.rejects(chooseTool(server('10.11.0-MariaDB'), new AbortController().signal, sandbox.join('bin')), {
    code: 'UNSUPPORTED',
    message: /says 'hello'$/,
  });
});

// Proves: fields come back as they were, whatever is in them; an answer that breaks off is refused.
test('answers of the client', () => {
  const escaped = (text: string): string =>
    text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\0', '\\0');
  const field = fc.string({ unit: fc.constantFrom('a', '\t', '\n', '\0', '\\', 'n', 't', '0', 'é', '\r') });
  fc.assert(
    fc.property(fc.array(fc.tuple(field, field), { minLength: 1 }), (rows) => {
      const text = `one\ttwo\n${rows.map(([a, b]) => `${escaped(a)}\t${escaped(b)}\n`).join('')}`;
      assert.deepEqual(
        parseRows(text).map((row) => [row.get('one'), row.get('two')]),
        rows,
      );
      assert.throws(() => parseRows(text.slice(0, -1)), { code: 'PROTOCOL' });
    }),
    runs(200),
  );
  assert.deepEqual(parseRows(''), []);
  assert.deepEqual(parseRows('a\tb\n'), []);
  assert.throws(() => parseRows('a\tb\n1\n'), { code: 'PROTOCOL', message: /a row of 1 fields under 2 names/ });
  assert.equal(quoteString(`it's a \\ 'name'`), `'it\\'s a \\\\ \\'name\\''`);
});

// Proves: what a client cannot do has a code of its own by cause.
test('refusals', () => {
  const codes: readonly (readonly [string, string, boolean])[] = [
    [`ERROR 1045 (28000): Access denied for user 'x'@'localhost' (using password: YES)`, 'ACCESS_DENIED', false],
    [`ERROR 1698 (28000): Access denied for user 'root'@'localhost'`, 'ACCESS_DENIED', false],
    [`ERROR 1227 (42000) at line 2: Access denied; you need (at least one of) the SUPER`, 'ACCESS_DENIED', false],
    [`ERROR 2002 (HY000): Can't connect to local server through socket '/x' (2)`, 'NOT_FOUND', false],
    [`ERROR 2002 (HY000): Can't connect to local server through socket '/x' (13)`, 'NO_PERMISSION', false],
    [`ERROR 2002 (HY000): Can't connect to local MySQL server through socket '/x' (111)`, 'UNREACHABLE', true],
    [
      `ERROR 2002 (HY000): Can't connect to local server through socket '/x' (111 "Connection refused")`,
      'UNREACHABLE',
      true,
    ],
    [
      `ERROR 2002 (HY000): Can't connect to local server through socket '/x' (2 "No such file or directory")`,
      'NOT_FOUND',
      false,
    ],
    ['ERROR 1040 (08004): Too many connections', 'UNREACHABLE', true],
    ['ERROR 1064 (42000) at line 2: You have an error in your SQL syntax', 'CHILD_FAILED', false],
    ['mariadb: unknown option', 'CHILD_FAILED', false],
  ];
  for (const [stderr, code, retryable] of codes) {
    const error = clientError(`warning\n${stderr}\n`, '/run/s.sock');
    assert.deepEqual([error.code, error.retryable], [code, retryable], stderr);
  }
});

// Proves: the same of a replica's status in the columns of all three families.
test('the status of replicas', () => {
  const old = new Map([
    ['Connection_name', 'east'],
    ['Master_Host', 'db1'],
    ['Master_Port', '3306'],
    ['Slave_IO_Running', 'Connecting'],
    ['Slave_SQL_Running', 'No'],
    ['Relay_Master_Log_File', 'b.1'],
    ['Exec_Master_Log_Pos', '7'],
    ['Seconds_Behind_Master', 'NULL'],
    ['Using_Gtid', 'Slave_Pos'],
    ['Gtid_Slave_Pos', '0-1-2'],
  ]);
  const status = parseReplicaStatus(old);
  assert.deepEqual(
    [status.channel, status.ioRunning, status.sqlRunning, status.sourceHost, status.sourcePort, status.applied],
    ['east', true, false, 'db1', 3306, { file: 'b.1', offset: 7 }],
  );
  assert.deepEqual([status.usingGtid, status.gtid, status.secondsBehind], ['Slave_Pos', '0-1-2', undefined]);
  const recent = new Map([
    ['Channel_Name', ''],
    ['Source_Host', 'db2'],
    ['Source_Port', '3307'],
    ['Replica_IO_Running', 'Yes'],
    ['Replica_SQL_Running', 'Yes'],
    ['Auto_Position', '1'],
    ['Executed_Gtid_Set', 'u:1-4,\nv:7'],
    ['Seconds_Behind_Source', '12'],
  ]);
  const mysql = parseReplicaStatus(recent);
  assert.deepEqual(
    [mysql.usingGtid, mysql.gtid, mysql.secondsBehind, mysql.fetched],
    ['Auto_Position', 'u:1-4,v:7', 12, undefined],
  );
  assert.deepEqual(runningThreads([status, mysql]), [
    { channel: 'east', thread: 'io' },
    { channel: '', thread: 'sql' },
    { channel: '', thread: 'io' },
  ]);
  assert.deepEqual(missingThreads([{ channel: 'east', thread: 'sql' }], [status]), [
    { channel: 'east', thread: 'sql' },
  ]);
});

// Proves: one thread of one channel in the words of each server, and no name gets out of its quotes.
test('statements for one thread', () => {
  const thread = { channel: "o'neill\\", thread: 'io' } as const;
  const statement = (version: ServerVersion): string => threadStatement('STOP', thread, version);
  assert.equal(statement(server('10.11.2-MariaDB')), `STOP SLAVE 'o\\'neill\\\\' IO_THREAD`);
  assert.equal(statement(server('8.0.21')), `STOP SLAVE IO_THREAD FOR CHANNEL 'o\\'neill\\\\'`);
  assert.equal(statement(server('8.0.22')), `STOP REPLICA IO_THREAD FOR CHANNEL 'o\\'neill\\\\'`);
  assert.equal(
    threadStatement('START', { channel: '', thread: 'sql' }, server('8.4.0')),
    `START REPLICA SQL_THREAD FOR CHANNEL ''`,
  );
  assert.deepEqual([server('10.11.2-MariaDB'), server('5.7.44'), server('8.4.0')].map(replicaStatusStatement), [
    'SHOW ALL SLAVES STATUS',
    'SHOW SLAVE STATUS',
    'SHOW REPLICA STATUS',
  ]);
  assert.throws(() => threadStatement('STOP', { channel: 'x'.repeat(300), thread: 'io' }, server('8.4.0')), {
    code: 'LIMIT',
  });
});

// Proves: what the tools say on their way, of both families.
test('lines of a backup', () => {
  const stamp = '[00] 2026-11-21 10:54:14';
  const cases: readonly (readonly [string, unknown])[] = [
    [`${stamp} Streaming ./mysql/gtid_slave_pos.ibd`, { type: 'file', path: 'mysql/gtid_slave_pos.ibd' }],
    [`${stamp} Streaming ibdata1 to <STDOUT>`, { type: 'file', path: 'ibdata1' }],
    [`${stamp} >> log scanned up to (46788)`, { type: 'log', lsn: 46788n }],
    [`${stamp} Starting BACKUP STAGE BLOCK_DDL`, { type: 'locked' }],
    ['211121 10:54:14 Executing LOCK INSTANCE FOR BACKUP...', { type: 'locked' }],
    [`${stamp} Executing BACKUP STAGE END`, { type: 'unlocked' }],
    [`${stamp}         ...done`, undefined],
  ];
  for (const [line, expected] of cases) assert.deepEqual(parseBackupLine(line), expected, line);
});
