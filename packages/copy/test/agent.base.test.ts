import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { smallFileSystem } from '@batondb/testbed/mounts';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { copyBase, inspectBase } from '../src/agent/backup-base.ts';
import { toBase64 } from '../src/bytes.ts';
import type { RequestResult } from '../src/control/messages.ts';

const never = new AbortController().signal;

function inspect(base: string, directory: string, isApplied: boolean): Promise<RequestResult<'inspectBase'>> {
  return inspectBase({ base, directory: toBase64(Buffer.from(directory)), isApplied }, never);
}

function makeBase(path: string, type: string): string {
  mkdirSync(path);
  writeFileSync(join(path, 'xtrabackup_checkpoints'), `backup_type = ${type}\nfrom_lsn = 0\nto_lsn = 44894\n`);
  writeFileSync(join(path, 'xtrabackup_info'), 'server_version = 10.11.3-MariaDB\n');
  return path;
}

// Proves: what cannot be the base for a target is said so, each with its reason; and what can is told with its position and size.
test('bases, good and bad', async () => {
  await using sandbox = makeSandbox();
  const target = sandbox.join('target');
  mkdirSync(target);
  const good = makeBase(sandbox.join('good'), 'log-applied');
  const { bytes, ...told } = await inspect(good, target, true);
  assert.deepEqual(told, { toLsn: '44894', serverVersion: '10.11.3-MariaDB' });
  assert.ok(bytes > 50 && bytes < 200);
  const unapplied = makeBase(sandbox.join('unapplied'), 'incremental');
  assert.equal((await inspect(unapplied, target, false)).toLsn, '44894');
  await assert.rejects(inspect(unapplied, target, true), { code: 'UNSUPPORTED', message: /is itself an incremental/ });

  const nowhere = sandbox.join('nowhere');
  await assert.rejects(inspect(nowhere, target, false), {
    code: 'NOT_FOUND',
    message: `the base ${nowhere} does not exist`,
  });
  await assert.rejects(inspect(join(good, 'xtrabackup_info'), target, false), { code: 'NOT_A_DIRECTORY' });
  await assert.rejects(inspect(target, good, false), { code: 'NOT_FOUND', message: /holds no backup/ });
  const unfinished = makeBase(sandbox.join('unfinished'), 'log-applied');
  mkdirSync(join(unfinished, '.baton-0123456789abcdef.partial'));
  await assert.rejects(inspect(unfinished, target, false), { code: 'BUSY', message: /is not complete/ });
  const started = makeBase(sandbox.join('started'), 'log-applied');
  writeFileSync(join(started, 'ib_logfile0'), `${'\0'.repeat(16)}MariaDB 10.11.3${'\0'.repeat(500)}`);
  await assert.rejects(inspect(started, target, false), { code: 'UNSUPPORTED', message: /a server has run on/ });
});

// Proves: a base is neither the target directory, nor in it, nor around it, by whatever names.
test('a base and a target in one place', async () => {
  await using sandbox = makeSandbox();
  const base = makeBase(sandbox.join('base'), 'log-applied');
  mkdirSync(join(base, 'below'));
  symlinkSync(join(base, 'below'), sandbox.join('link'));
  const where = async (directory: string, expected: string): Promise<void> => {
    const message = `the base ${base} ${expected} the target directory ${directory}`;
    await assert.rejects(inspect(base, directory, false), { code: 'UNSUPPORTED', message });
  };
  await where(base, 'is');
  await where(`${base}/.`, 'is');
  await where(sandbox.path, 'is inside of');
  await where(sandbox.join('link'), 'is around');
  mkdirSync(sandbox.join('base-2'));
  assert.equal((await inspect(base, sandbox.join('base-2'), false)).toLsn, '44894');
});

// Proves: what is copied of a base is the backup and nothing else, that it is still the one that was looked at, and that a copy that fails says
// why.
test('the copy of a base', async () => {
  await using sandbox = makeSandbox();
  const base = makeBase(sandbox.join('base'), 'log-applied');
  for (const name of ['lost+found', 'shop', '.baton-0123456789abcdef.published']) mkdirSync(join(base, name));
  writeFileSync(join(base, 'shop', 't.ibd'), 'rows', { mode: 0o640 });
  symlinkSync(base, sandbox.join('link'));
  const incremental = { base: sandbox.join('link'), fromLsn: '44894' };
  const [into, second] = [sandbox.join('into'), sandbox.join('second')];
  for (const directory of [into, second]) mkdirSync(directory);
  await copyBase(incremental, into, never);
  assert.deepEqual(readdirSync(into).sort(), ['shop', 'xtrabackup_checkpoints', 'xtrabackup_info']);
  assert.deepEqual(readdirSync(join(into, 'shop')), ['t.ibd']);
  await assert.rejects(copyBase({ ...incremental, fromLsn: '7' }, second, never), {
    code: 'BACKUP_FAILED',
    message: /ended at LSN 7, and now ends at LSN 44894/,
  });
  await assert.rejects(copyBase(incremental, sandbox.join('nowhere'), never), {
    code: 'BACKUP_FAILED',
    message: /could not be copied: cp: /,
  });
  writeFileSync(join(base, 'ibdata1'), Buffer.alloc(2_000_000, 'x'));
  await using disk = await smallFileSystem(sandbox, sandbox.join('small'), { kind: 'tmpfs', sizeBytes: 1_000_000 });
  await assert.rejects(copyBase(incremental, disk.path, never), { code: 'NO_SPACE' });
  await assert.rejects(copyBase(incremental, into, AbortSignal.abort(new Error('enough'))), { message: 'enough' });
});
