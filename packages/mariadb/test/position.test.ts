// What the tools write about where a backup ends, in all the forms that are known.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeSandbox } from '@batondb/testbed/sandbox';
import fc from 'fast-check';
import { baseLsnOf, formatPosition, readPosition, writePosition } from '../src/index.ts';
import { limits } from '../src/limits.ts';
import { parseBinlogInfo, parseCheckpoints, parsePosition, parseSettings, parseSlaveInfo } from '../src/position.ts';
import { runs } from './property.ts';

const checkpoints =
  'backup_type = full-backuped\nfrom_lsn = 0\nto_lsn = 44894\nlast_lsn = 46788\nrecover_binlog_info = 0\n';
const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

// Proves: every form of the line that a server or tool writes is read as what it says.
test('where a binlog is', () => {
  const at = (file: string, offset: number, gtid?: string): unknown => ({ binlog: { file, offset }, gtid });
  const cases: readonly (readonly [string, unknown])[] = [
    ['binlog.000001\t626\t0-1-2\n', at('binlog.000001', 626, '0-1-2')],
    ['binlog.000001\t626\t0-1-2,1-7-99\n', at('binlog.000001', 626, '0-1-2,1-7-99')],
    ['binlog.000001\t626\n', at('binlog.000001', 626)],
    ['binlog.000001\t626\t\n', at('binlog.000001', 626)],
    ['old.000001\t900\t[]\nold.000002\t300\t0-1-5\n', at('old.000002', 300, '0-1-5')],
    [`mysql-bin.000002\t1232\t${uuid}:1-4\n`, at('mysql-bin.000002', 1232, `${uuid}:1-4`)],
    [`mysql-bin.000002\t1232\t${uuid}:1-4,\n${uuid}:7\n`, at('mysql-bin.000002', 1232, `${uuid}:1-4,${uuid}:7`)],
    ['', undefined],
    ['\n', undefined],
  ];
  for (const [text, expected] of cases) assert.deepEqual(parseBinlogInfo(text), expected, text);
  for (const text of ['nonsense', 'a\tb', '../up\t4', '\t4', 'a\t-1', `a\t${'9'.repeat(30)}`]) {
    assert.throws(() => parseBinlogInfo(text), { code: 'BACKUP_FAILED' }, text);
  }
});

// Proves: channels of both families, with and without GTIDs, with every kind of name.
test('where a replica is', () => {
  const binlog = { file: 'binlog.000004', offset: 1234 };
  const cases: readonly (readonly [string, unknown[]])[] = [
    [
      `CHANGE MASTER TO MASTER_LOG_FILE='binlog.000004', MASTER_LOG_POS=1234;\n`,
      [{ channel: '', binlog, gtid: undefined }],
    ],
    [
      `CHANGE MASTER 'ea'st' TO MASTER_LOG_FILE='binlog.000004', MASTER_LOG_POS=1234;\n`,
      [{ channel: "ea'st", binlog, gtid: undefined }],
    ],
    [
      `CHANGE MASTER TO MASTER_LOG_FILE='binlog.000004', MASTER_LOG_POS=1234 FOR CHANNEL 'east';\n`,
      [{ channel: 'east', binlog, gtid: undefined }],
    ],
    [
      `CHANGE REPLICATION SOURCE TO SOURCE_LOG_FILE='binlog.000004', SOURCE_LOG_POS=1234 FOR CHANNEL 'a'b';\n`,
      [{ channel: "a'b", binlog, gtid: undefined }],
    ],
    [
      `SET GLOBAL gtid_slave_pos = '0-1-5,2-3-4';\nCHANGE MASTER TO master_use_gtid = slave_pos\nCHANGE MASTER 'b' TO MASTER_LOG_FILE='binlog.000004', MASTER_LOG_POS=1234;\n`,
      [
        { channel: '', binlog: undefined, gtid: '0-1-5,2-3-4' },
        { channel: 'b', binlog, gtid: undefined },
      ],
    ],
    [
      `SET GLOBAL gtid_purged='${uuid}:1-4, ${uuid}:7';\nCHANGE MASTER TO MASTER_AUTO_POSITION=1 FOR CHANNEL '';\n`,
      [{ channel: '', binlog: undefined, gtid: `${uuid}:1-4, ${uuid}:7` }],
    ],
    [`CHANGE MASTER TO MASTER_LOG_FILE='', MASTER_LOG_POS=4;\n`, [{ channel: '', binlog: undefined, gtid: undefined }]],
    ['', []],
  ];
  for (const [text, expected] of cases) assert.deepEqual(parseSlaveInfo(text), expected, text);
});

// Proves: all files together, also where only the tool's own notes are there, and what people read of it.
test('a whole position', () => {
  const info = `tool_name = mariadb-backup\ntool_version = 10.11.19-MariaDB\nserver_version = 10.11.19-MariaDB-log
binlog_pos = filename 'bin.000001', position '626', GTID of the last change '0-1-2'\n`;
  const atSource = parsePosition({ checkpoints, info, binlogInfo: undefined, slaveInfo: undefined, isWhole: false });
  assert.deepEqual(atSource, {
    binlog: { file: 'bin.000001', offset: 626 },
    gtid: '0-1-2',
    replicaSource: undefined,
    fromLsn: 0n,
    toLsn: 44894n,
    incremental: false,
    prepared: false,
    serverVersion: '10.11.19-MariaDB-log',
    toolName: 'mariadb-backup',
    toolVersion: '10.11.19-MariaDB',
  });
  assert.equal(formatPosition(atSource), 'bin.000001:626, GTID 0-1-2, LSN 44894');
  const slaveInfo = `CHANGE MASTER 'east' TO MASTER_LOG_FILE='up.000004', MASTER_LOG_POS=1234;\n`;
  const whole = parsePosition({ checkpoints, info, binlogInfo: 'bin.000001\t626\n', slaveInfo, isWhole: true });
  assert.equal(formatPosition(whole), "bin.000001:626, of its source 'east' up.000004:1234, LSN 44894");
  assert.equal(whole.gtid, undefined);
  const bare = parsePosition({
    checkpoints,
    info: undefined,
    binlogInfo: undefined,
    slaveInfo: undefined,
    isWhole: true,
  });
  assert.deepEqual([bare.binlog, bare.gtid, bare.replicaSource], [undefined, undefined, []]);
  assert.equal(formatPosition(bare), 'LSN 44894');
});

// Proves: whether a server can be started depends on the state and on whose tool it is.
test('prepared or not', () => {
  const prepared = (type: string, tool: string): boolean =>
    parsePosition({
      checkpoints: checkpoints.replace('full-backuped', type),
      info: `tool_name = ${tool}`,
      binlogInfo: undefined,
      slaveInfo: undefined,
      isWhole: true,
    }).prepared;
  assert.deepEqual(
    ['full-backuped', 'incremental', 'log-applied', 'full-prepared'].map((type) => [
      prepared(type, 'mariabackup'),
      prepared(type, 'xtrabackup'),
    ]),
    [
      [false, false],
      [false, false],
      [true, false],
      [true, true],
    ],
  );
  for (const text of ['', 'backup_type = other', checkpoints.replace('44894', '-1'), checkpoints.replace('44894', '')])
    assert.throws(() => parseCheckpoints(text), { code: 'BACKUP_FAILED' }, text);
});

// Proves: whatever is in the files, the parsers answer or refuse with a code, and do not grow without bound.
test('hostile texts', () => {
  const piece = fc.constantFrom(
    'CHANGE MASTER ',
    "'",
    '\\',
    ' TO ',
    'MASTER_LOG_FILE=',
    '\t',
    '\n',
    ',',
    '0-1-2',
    ' FOR CHANNEL ',
    'SET GLOBAL gtid_slave_pos=',
    'x',
  );
  const text = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(text, (hostile) => {
      for (const parse of [parseSlaveInfo, parseBinlogInfo, parseCheckpoints, parseSettings]) {
        try {
          parse(hostile);
        } catch (error) {
          assert.equal((error as { code: string }).code, 'BACKUP_FAILED');
        }
      }
    }),
    runs(500),
  );
  assert.throws(() => parseSettings('x'.repeat(limits.infoBytesMax + 1)), { code: 'LIMIT' });
  assert.throws(() => parseSlaveInfo('\n'.repeat(limits.infoLinesMax)), { code: 'LIMIT' });
});

// Proves: a position written to a file is read by anybody as what it was, and replaces an older one whole.
test('positions in files', async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('backup');
  mkdirSync(directory);
  await assert.rejects(readPosition(directory), { code: 'NOT_FOUND' });
  for (const prefix of ['xtrabackup', 'mariadb_backup']) {
    writeFileSync(join(directory, `${prefix}_checkpoints`), checkpoints.replace('44894', '18446744073709551615'));
    writeFileSync(join(directory, `${prefix}_binlog_info`), `${prefix}.000001\t626\t0-1-2\n`);
    const position = await readPosition(directory);
    assert.equal(position.binlog?.file, `${prefix}.000001`);
    assert.equal(await baseLsnOf(directory), 2n ** 64n - 1n);
    const path = await writePosition(directory, position);
    assert.equal(path, join(directory, 'baton-position.json'));
    assert.equal(statSync(path).mode & 0o777, 0o644);
    const written = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    assert.deepEqual(
      [written['format'], written['toLsn'], written['binlog'], written['gtid']],
      [1, '18446744073709551615', { file: `${prefix}.000001`, offset: 626 }, '0-1-2'],
    );
  }
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith('.')),
    [],
  );
  writeFileSync(join(directory, 'mariadb_backup_info'), 'x'.repeat(limits.infoBytesMax + 1));
  await assert.rejects(readPosition(directory), { code: 'LIMIT' });
  writeFileSync(join(directory, 'mariadb_backup_info'), 'tool_name = xtrabackup\n');
  writeFileSync(join(directory, 'mariadb_backup_checkpoints'), checkpoints.replace('full-backuped', 'full-prepared'));
  await assert.rejects(baseLsnOf(directory), { code: 'UNSUPPORTED' });
  await assert.rejects(writePosition(sandbox.join('nowhere'), await readPosition(directory)), { code: 'NOT_FOUND' });
});
