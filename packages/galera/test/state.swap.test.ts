import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { checkLayout } from '../src/state/check-layout.ts';
import { noUuid, readGrastate, writeGrastate } from '../src/state/grastate.ts';
import { forgetState, readSavedState, saveState } from '../src/state/saved-state.ts';
import { settle } from '../src/state/settle.ts';
import { openStaging, type Staging } from '../src/state/staging.ts';
import { removeReplaced, swap } from '../src/state/swap.ts';
import { takeStaging } from '../src/state/take-staging.ts';
import { runChild } from './state.kills.ts';
import {
  elsewhere,
  keptFiles,
  makeDirectories,
  newFiles,
  oldFiles,
  readFiles,
  stagingLeft,
  together,
  writeFiles,
} from './state.places.ts';

const never = new AbortController().signal;
const oldWhole = { ...oldFiles, ...keptFiles };
const newWhole = { ...newFiles, ...keptFiles };
const uuid = '6a1c6d3e-0d1c-11f0-8f1b-3f4a9c8d7e6f';

function openNow(directory: string): Staging {
  return openStaging(directory, { make: true });
}

// Proves (G2, G3, G9): the new data is in place, what no server made has stayed, the old data is kept until it is removed, and nothing is left after that.
for (const [name, layout] of Object.entries({ together, elsewhere })) {
  test(`a swap: ${name}`, async () => {
    await using sandbox = makeSandbox();
    const data = sandbox.join('data');
    makeDirectories(data, layout);
    using staging = openNow(data);
    checkLayout(staging, { dataDirectory: data, ...layout });
    assert.deepEqual(readFiles(data, layout), oldWhole);
    const summary = await swap({ staging, layout: { dataDirectory: data, ...layout } }, never);
    assert.deepEqual(summary, { out: 14, in: 8 });
    assert.deepEqual(readFiles(data, layout), newWhole);
    assert.ok(existsSync(join(data, '.sst/old/shop/items.ibd')));
    removeReplaced(staging);
    assert.deepEqual(readdirSync(join(data, '.sst')), []);
    staging.remove();
    assert.deepEqual(stagingLeft(data), []);
    assert.ok(!existsSync(join(data, '.sst')));
  });
}

// Proves (G9): a guard whose journal somebody has removed makes room for new data, as any empty directory does; one with something in it is somebody's.
test('an empty directory where new data comes in', async () => {
  await using sandbox = makeSandbox();
  const data = sandbox.join('data');
  makeDirectories(data);
  rmSync(join(data, 'ibdata1'));
  mkdirSync(join(data, 'ibdata1'));
  mkdirSync(join(data, 'added/of-somebody'), { recursive: true });
  using staging = openNow(data);
  const layout = { dataDirectory: data, ...together };
  await assert.rejects(swap({ staging, layout }, never), {
    code: 'EXISTS',
    message: /data\/added was not made by a server/,
  });
  rmSync(join(data, 'added/of-somebody'), { recursive: true });
  await swap({ staging, layout }, never);
  removeReplaced(staging);
  assert.deepEqual(readFiles(data), newWhole);
});

/** A swap that was killed with the guard in place. */
async function cutShort(data: string): Promise<void> {
  makeDirectories(data);
  // The third rename of this kind: the guard, and two entries.
  assert.ok(await runChild({ dataDirectory: data, step: 'swap', layout: together }, { call: 'renameat2', nth: 4 }));
  assert.ok(statSync(join(data, 'ibdata1')).isDirectory());
}

// Proves (G1): a swap whose new data is gone is undone, and one of which either has lost something is left alone, with a sentence that names it.
test('new data that is gone', async () => {
  await using sandbox = makeSandbox();
  const data = sandbox.join('data');
  await cutShort(data);
  rmSync(join(data, '.sst/new/shop'), { recursive: true });
  {
    using staging = openNow(data);
    assert.equal(settle(staging), 'undone');
  }
  assert.deepEqual(readFiles(data), oldWhole);
  await cutShort(data);
  rmSync(join(data, '.sst/new/shop'), { recursive: true });
  rmSync(join(data, '.sst/old/aria_log.00000001'));
  using staging = openNow(data);
  assert.throws(() => settle(staging), {
    code: 'STAGING_DAMAGED',
    message: /new data shop is gone.*old data aria_log/,
  });
  assert.ok(existsSync(join(data, '.sst/old/ibdata1')) && statSync(join(data, 'ibdata1')).isDirectory());
});

// Proves (G1): what a journal does not speak of is not taken for the swap's, and old data without a journal is never removed.
test('a data directory that somebody has changed since', async () => {
  await using sandbox = makeSandbox();
  const data = sandbox.join('data');
  await cutShort(data);
  rmSync(join(data, 'ibdata1'), { recursive: true });
  writeFileSync(join(data, 'ibdata1'), 'theirs');
  assert.throws(() => takeStaging(data), { code: 'STAGING_DAMAGED', message: /ibdata1 is neither/ });
  unlinkSync(join(data, '.sst/swap'));
  assert.throws(() => takeStaging(data), { code: 'STAGING_DAMAGED', message: /no journal/ });
  writeFileSync(join(data, '.sst/swap'), 'rubbish');
  assert.throws(() => takeStaging(data), { code: 'STAGING_DAMAGED', message: /cannot be read/ });
  assert.ok(existsSync(join(data, '.sst/old/ibdata1')));
});

// Proves (G1): a swap that fails in the middle takes itself back, one that is called off does not begin, and the next transfer finds nothing of either.
test('a swap that fails, and one that is called off', async () => {
  await using sandbox = makeSandbox();
  const data = sandbox.join('data');
  makeDirectories(data);
  const layout = { dataDirectory: data, ...together };
  // Nobody renames what is immutable, and it is one of the last to go.
  await mustRun(['chattr', '+i', join(data, 'multi-master.info')]);
  {
    using staging = openNow(data);
    const undone = { code: 'NO_PERMISSION', message: /was undone, the old data is in place/ };
    await assert.rejects(swap({ staging, layout }, never), undone);
  }
  await mustRun(['chattr', '-i', join(data, 'multi-master.info')]);
  assert.deepEqual(readFiles(data), oldWhole);
  {
    using staging = openNow(data);
    assert.equal(settle(staging), 'dropped');
    writeFiles(staging.newPath, newFiles);
    await assert.rejects(swap({ staging, layout }, AbortSignal.abort(new Error('stop'))), /stop/);
  }
  assert.deepEqual(readFiles(data), oldWhole);
  using staging = takeStaging(data).staging;
  assert.deepEqual(readdirSync(staging.newPath), []);
});

// Proves: root follows no journal that another user could have written; once it has become that user, it does.
test('a data directory of another user', async () => {
  await using sandbox = makeSandbox();
  const data = sandbox.join('data');
  makeDirectories(data);
  await mustRun(['chown', '-R', '1234:2345', data]);
  assert.throws(() => openNow(data), { code: 'NO_PERMISSION', message: /belongs to user 1234/ });
  const source = (name: string): string => JSON.stringify(new URL(`../src/state/${name}.ts`, import.meta.url).href);
  const text = `import { becomeOwner } from ${source('become-owner')};
    import { takeStaging } from ${source('take-staging')};
    becomeOwner(process.argv[1]);
    takeStaging(process.argv[1]);
    console.log(process.getuid(), process.getgid(), process.getgroups().join());`;
  const argv = ['--conditions=batondb-source', '--input-type=module', '--eval', text, data];
  const { stdout } = await mustRun([process.execPath, ...argv]);
  assert.equal(stdout, '1234 2345 2345\n');
  assert.equal(statSync(join(data, '.sst/new')).uid, 1234);
});

// Proves: two transfers never share a staging directory; that of a dead one is taken over, closed to others and emptied.
test('the staging directory', async () => {
  await using sandbox = makeSandbox();
  const data = sandbox.join('data');
  writeFiles(data, { ibdata1: 'old', '.sst/left/of': 'another', '.sst/new/x': 'old' });
  chmodSync(join(data, '.sst'), 0o775);
  assert.equal(openStaging(sandbox.path, { make: false }), undefined);
  const { staging, settled } = takeStaging(data);
  assert.equal(settled, 'nothing');
  assert.equal(statSync(staging.path).mode & 0o7777, 0o700);
  assert.deepEqual(readdirSync(staging.path), ['new']);
  assert.deepEqual(readdirSync(staging.newPath), []);
  assert.throws(() => takeStaging(data), {
    code: 'BUSY',
    retryable: true,
    message: /another state transfer is at work/,
  });
  staging[Symbol.dispose]();
  using _again = takeStaging(data).staging;
  rmSync(data, { recursive: true });
  assert.throws(() => takeStaging(data), { code: 'NOT_FOUND' });
});

// Proves (G8): the old position is kept over attempts that fail, and only for the data that it speaks of.
test('the saved position', async () => {
  await using sandbox = makeSandbox();
  const data = sandbox.join('data');
  makeDirectories(data);
  using staging = openNow(data);
  assert.equal(saveState(staging), undefined);
  writeGrastate(data, { uuid, seqno: 42n, safeToBootstrap: false });
  assert.equal(saveState(staging)?.uuid, uuid);
  writeGrastate(data, { uuid, seqno: -1n, safeToBootstrap: false });
  assert.equal(saveState(staging, `${uuid}:41`)?.seqno, '41');
  assert.equal(saveState(staging, `${uuid.replace('6a', '6b')}:41`)?.seqno, '-1');
  writeGrastate(data, { uuid, seqno: 42n, safeToBootstrap: false });
  saveState(staging);
  // The server has forgotten it, and the second attempt begins.
  writeGrastate(data, { uuid: noUuid, seqno: -1n, safeToBootstrap: false });
  staging.empty(['grastate']);
  assert.deepEqual([saveState(staging)?.uuid, saveState(staging)?.seqno], [uuid, '42']);
  writeFileSync(join(data, '.sst/replacement'), 'other data');
  renameSync(join(data, '.sst/replacement'), join(data, 'ibdata1'));
  assert.equal(saveState(staging), undefined);
  assert.ok(!existsSync(join(data, '.sst/grastate')));
  writeGrastate(data, { uuid, seqno: 43n, safeToBootstrap: false });
  saveState(staging);
  writeFiles(staging.newPath, newFiles);
  await swap({ staging, layout: { dataDirectory: data, ...together } }, never);
  assert.equal(readSavedState(staging), undefined, 'a swap has begun');
  forgetState(staging);
  assert.equal(readGrastate(data)?.seqno, 43n);
});

// Proves: what cannot be exchanged is refused before anything is touched, with its name.
test('layouts that are refused', async () => {
  await using sandbox = makeSandbox();
  const data = sandbox.join('data');
  const check = (more: object = {}): void => {
    using staging = openNow(data);
    checkLayout(staging, { dataDirectory: data, ...together, ...more });
  };
  makeDirectories(data);
  check();
  assert.throws(() => check({ innodbUndo: '../nowhere' }), { code: 'NOT_FOUND', message: /^innodb_undo_directory: / });
  assert.throws(() => check({ ariaLog: 'notes.txt' }), { code: 'NOT_A_DIRECTORY', message: /^aria_log_dir_path: / });
  assert.throws(() => check({ innodbDataFilePath: '/dev/sdb:1Graw' }), { code: 'UNSUPPORTED' });
  mkdirSync(sandbox.join('disk2/big'), { recursive: true });
  writeFiles(sandbox.join('disk2/big'), { 'db.opt': '' });
  symlinkSync('../disk2/big', join(data, 'big'));
  assert.throws(() => check(), { code: 'UNSUPPORTED', message: /data\/big is a symlink/ });
  unlinkSync(join(data, 'big'));
  symlinkSync('../../disk2/big/t.ibd', join(data, 'shop/t.ibd'));
  assert.throws(() => check(), { code: 'UNSUPPORTED', message: /data\/shop\/t\.ibd leads to a table outside/ });
  unlinkSync(join(data, 'shop/t.ibd'));
  writeFileSync(join(data, 'shop/t.isl'), '/disk2/t.ibd');
  assert.throws(() => check(), { code: 'UNSUPPORTED', message: /shop\/t\.isl/ });
  unlinkSync(join(data, 'shop/t.isl'));
  symlinkSync('nowhere', join(data, 'link-of-an-operator'));
  check();
});
