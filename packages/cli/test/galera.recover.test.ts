// Proves: the command that runs before a server finishes a swap that was cut short, or undoes it, says so in words and by its exit code, and does nothing the second time.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type BatonResult, runBaton } from '@batondb/testbed/run-baton';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { contentOf, makeCutSwap } from './galera.cut-swap.ts';

const timeout = 60_000;

async function recover(directory: string, json = false): Promise<BatonResult> {
  return await runBaton(['galera', 'recover', ...(json ? ['--json'] : []), '--', `--datadir=${directory}`], {
    json: false,
  });
}

test('a swap that was cut short is finished', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('data');
  await makeCutSwap(directory);
  assert.ok(lstatSync(join(directory, 'ibdata1')).isDirectory(), 'no server starts on it');
  const { code, stdout, stderr } = await recover(directory);
  assert.deepEqual([code, stderr], [0, '']);
  assert.equal(
    stdout,
    `${directory}: a swap was cut short while the new data came in: it is finished, and the new data is in place\n`,
  );
  assert.equal(contentOf(directory), 'new');
  assert.equal(readFileSync(join(directory, 'notes.txt'), 'utf8'), 'kept');
  assert.ok(!existsSync(join(directory, '.sst')));
  const again = await recover(directory);
  assert.deepEqual([again.code, again.stdout], [0, `${directory}: there was nothing to do\n`]);
  const other = sandbox.join('other');
  await makeCutSwap(other);
  const told = await recover(other, true);
  const { type, swap, position } = JSON.parse(told.stdout) as { type: string; swap: string; position: unknown };
  assert.deepEqual([told.code, type, swap, position], [0, 'recovered', 'finished', { kind: 'none' }]);
});

test('a swap whose new data is gone is undone, and one that has lost both is left alone', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const [undone, lost] = [sandbox.join('undone'), sandbox.join('lost')];
  await makeCutSwap(undone);
  rmSync(join(undone, '.sst/new/undo001'));
  const { code, stdout } = await recover(undone);
  assert.equal(code, 0);
  assert.match(stdout, /a part of the new data is gone: it is undone, and the old data is in place/);
  assert.equal(contentOf(undone), 'old');
  await makeCutSwap(lost);
  rmSync(join(lost, '.sst/new/undo001'));
  rmSync(join(lost, '.sst/old/aria_log_control'));
  const refused = await recover(lost);
  assert.deepEqual([refused.code, refused.stdout], [40, '']);
  assert.match(
    refused.stderr,
    /can neither be finished nor undone: of the new data undo001 is gone, of the old data aria_log_control/,
  );
  assert.ok(lstatSync(join(lost, 'ibdata1')).isDirectory(), 'no server starts on it');
});

test('a transfer that is at work is not disturbed', { timeout }, async () => {
  await using sandbox = makeSandbox();
  const directory = sandbox.join('data');
  await makeCutSwap(directory);
  const holder = spawn('flock', ['--exclusive', join(directory, '.sst'), 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(holder, 'exit');
  await once(holder.stdout, 'data');
  const { code, stderr } = await recover(directory);
  holder.stdin.end();
  await ended;
  assert.equal(code, 40);
  assert.match(stderr, /another state transfer is at work in .*\.sst\n {2}hint: wait for it to end; fuser/);
  assert.equal((await recover(directory)).code, 0);
  assert.equal(contentOf(directory), 'new');
});

test('words that are no options of a server', { timeout }, async () => {
  const { code, stderr } = await runBaton(['galera', 'recover', '--', 'data'], { json: false });
  assert.equal(code, 2);
  assert.match(stderr, /'data' is not an option of a server/);
});
