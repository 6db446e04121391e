// The options of hot backups on a command line, and what a person sees of an incremental one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CopyInput, defaultBackupOptions } from '@batondb/copy/options';
import { parseCommandLine } from '../src/command-line.ts';
import { planLines } from '../src/render/plan.ts';
import { plan } from './events.ts';

function inputOf(...words: readonly string[]): CopyInput {
  const request = parseCommandLine(['copy', ...words, 'db1:/run/s.sock', 'db2:/backup/mon']);
  assert.ok(request.kind === 'copy');
  return request.options.input;
}

// Proves: a backup is full unless its base is named, by a path that means the same on every target.
test('the base of an incremental backup', () => {
  assert.deepEqual(inputOf('--type', 'mariadb'), { kind: 'mariadb', ...defaultBackupOptions });
  const incremental = inputOf('--type', 'xtrabackup', '--prepare', '--incremental', '/backup/sun');
  assert.deepEqual(incremental, { kind: 'mariadb', ...defaultBackupOptions, prepare: true, base: '/backup/sun' });
  for (const base of ['backup/sun', './sun', ''])
    assert.throws(() => inputOf('--type', 'mariadb', '--incremental', base), {
      code: 'USAGE',
      message: `--incremental is an absolute path, not '${base}'`,
    });
  assert.throws(() => inputOf('--incremental', '/backup/sun'), {
    code: 'USAGE',
    message: '--incremental is for backups',
  });
});

// Proves: the plan says what a backup is taken from, and that what a broken run left is of no use.
test('the plan of an incremental backup', () => {
  const targets = [{ name: 'db2:/backup/mon', finalPath: '/backup/mon', resumedBytes: 0, isAnew: true as const }];
  const backup = { ...plan, targets, isStream: true, incremental: { base: '/backup/sun', fromLsn: '44894' } };
  assert.deepEqual(planLines(backup, false, 'normal', { hasColor: false }), [
    'source   db1:/srv/data: a stream, read once',
    'target   db2:/backup/mon  →  /backup/mon  (anew: what a broken run left there is removed)',
    'backup   incremental from LSN 44894, where /backup/sun ends',
  ]);
});
