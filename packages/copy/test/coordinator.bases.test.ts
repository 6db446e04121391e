import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkBases, commonLsn, type FoundBase } from '../src/coordinator/base-check.ts';
import type { Scan, ScannedBackup } from '../src/coordinator/scan.ts';
import { checkSpace, type Inspected } from '../src/coordinator/space-check.ts';
import { spaceScan } from '../src/coordinator/type-check.ts';
import { type BackupOptions, type CopyOptions, defaultBackupOptions, defaultOptions } from '../src/options.ts';

const path = '/backup/sun';
const backup: ScannedBackup = {
  server: { family: 'mariadb', major: 10, minor: 11, patch: 19, text: '10.11.19-MariaDB' },
  dataBytes: 0,
  fromLsn: '7',
  incremental: { serverUuid: 'aa', serverLsn: '9' },
};

function find(bases: readonly FoundBase[], more: Partial<ScannedBackup> = {}): string[] {
  return checkBases(path, bases, { ...backup, ...more }, { software: '0.1.0' }).map(
    ({ host = 'source', error }) => `${host} ${error.message}`,
  );
}

function baseOn(host: string, more: Partial<FoundBase> = {}): FoundBase {
  const known = { toLsn: '7', bytes: 0, serverVersion: '10.11.3-MariaDB-log', serverUuid: 'aa' };
  return { ...known, host, target: `${host}:/backup/mon`, ...more };
}

// Proves: one stream needs one position, and a finding names the position of every target.
test('bases at different positions', () => {
  assert.equal(commonLsn([]), undefined);
  assert.deepEqual(find([]), []);
  const same = [baseOn('b'), baseOn('c')];
  assert.equal(commonLsn(same), '7');
  assert.deepEqual(find(same), []);
  const apart = [...same, baseOn('d', { toLsn: '9' })];
  assert.equal(commonLsn(apart), undefined);
  assert.deepEqual(find(apart), [
    'source one stream serves targets whose bases end at one position, and these do not: b:/backup/mon at LSN 7, c:/backup/mon at LSN 7, d:/backup/mon at LSN 9',
  ]);
});

// Proves: a base of another server is found where its files tell, on every target at once; where they do not, it is let pass.
test('bases of other servers', () => {
  const { serverUuid: _, ...unnamed } = baseOn('d', { serverVersion: '' });
  const bases = [
    baseOn('b', { serverVersion: '10.6.12-MariaDB' }),
    baseOn('c', { serverUuid: 'bb' }),
    unnamed,
    baseOn('e', { serverVersion: '10.1.9' }),
  ];
  assert.deepEqual(find(bases), [
    'b /backup/sun is a backup of a server 10.6.12-MariaDB, and the source is MariaDB 10.11.19',
    'c /backup/sun is a backup of another server: its UUID is bb, and that of the source is aa',
    'e /backup/sun is a backup of a server 10.1.9, and the source is MariaDB 10.11.19',
  ]);
  const ahead = [baseOn('b', { toLsn: '10' })];
  assert.deepEqual(find(ahead), [
    'b /backup/sun ends at LSN 10, and the source is only at LSN 9: that is another server, or its data was replaced since',
  ]);
  assert.deepEqual(find([baseOn('b', { toLsn: '10', serverUuid: 'bb' })], { incremental: {} }), []);
});

// Proves: a source that would make a full backup, since it knows no other, is found out.
test('a source that knows no incremental backups', () => {
  assert.deepEqual(find([], { incremental: undefined }), ['source baton 0.1.0 there knows nothing of --incremental']);
});

// Proves: of a full backup's stream, a single target has room for what it does not free at once, and several for all of it, as one does that
// reads it again; an incremental one that is applied needs the size of the data once.
test('the space for backups', () => {
  const mib = 1024 * 1024;
  type Asked = Partial<BackupOptions> & { readonly targets?: number; readonly verify?: CopyOptions['verify'] };
  const neededMib = (dataMib: number, { targets = 1, verify = 'wire', ...more }: Asked = {}): number => {
    const input = { kind: 'mariadb', ...defaultBackupOptions, ...more } as const;
    const streamed = { entries: 1, files: 1, contentBytes: 3, backup: { ...backup, dataBytes: dataMib * mib } } as Scan;
    return spaceScan({ ...defaultOptions, input, verify }, streamed, targets).contentBytes / mib;
  };
  assert.deepEqual([neededMib(50), neededMib(1000)], [100, 1128]);
  assert.deepEqual([neededMib(1000, { targets: 2 }), neededMib(1000, { verify: 'disk' })], [2000, 2000]);
  for (const targets of [1, 2])
    assert.deepEqual(
      [true, false].map((prepare) => neededMib(1000, { base: path, prepare, targets })),
      [1000, 0],
    );
});

// Proves: the copy of a base counts beside the backup, for each target on a file system.
test('the space for copies of bases', () => {
  const space = { device: '1', freeBytes: 350, mount: '/backup' };
  const inspection = { findings: [], finalPath: '/backup/mon', resumedBytes: 0, published: false, space };
  const target: Inspected = { bootId: 'x', host: 'b', inspection, baseBytes: 100 };
  const scan = { contentBytes: 50, entries: 1, files: 0 };
  assert.deepEqual(checkSpace(scan, [target, target]), []);
  const [finding] = checkSpace(scan, [target, target, target]);
  assert.match(finding?.error.message ?? '', /^\/backup has 350 B free, and 450 B are needed for 3 copies$/);
});
