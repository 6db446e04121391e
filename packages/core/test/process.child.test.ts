// Proves: a child can be started, listened to and ended, with everything it started, whatever it does about it.
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { limits } from '../src/limits.ts';
import { childError, describeExit, spawnChild } from '../src/process/child.ts';
import { Tail } from '../src/process/tail.ts';

const timeout = 20_000;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('what goes into stdin comes out of stdout, and the exit is told', { timeout }, async () => {
  await using child = await spawnChild(['sh', '-c', 'cat; echo last words >&2; exit 3']);
  child.stdin.end('through');
  assert.equal(await text(child.stdout), 'through');
  const exit = await child.exited;
  assert.deepEqual(exit, { code: 3, signal: undefined, stderrTail: 'last words' });
  assert.equal(describeExit(['x', 'y z'], exit), `x 'y z' ended with exit code 3: last words`);
  assert.equal(childError(['x'], exit).code, 'CHILD_FAILED');
});

test('a program that is not there is an error with a hint', { timeout }, async () => {
  await assert.rejects(spawnChild(['/nowhere/baton-test-program']), {
    code: 'CHILD_FAILED',
    message: 'cannot start /nowhere/baton-test-program: there is no such program',
    hint: /whole path/,
  });
  await assert.rejects(spawnChild(['/etc/passwd']), { code: 'CHILD_FAILED', message: /may not be executed/ });
  await assert.rejects(spawnChild([]), { code: 'USAGE' });
});

test('a child that ends by SIGTERM ends at once', { timeout }, async () => {
  const child = await spawnChild(['sleep', '60']);
  const startMs = performance.now();
  await child.terminate(5_000);
  assert.ok(performance.now() - startMs < 2_500);
  assert.equal((await child.exited).signal, 'SIGTERM');
  await child.terminate(5_000);
});

test('a child that ignores SIGTERM is killed after its grace', { timeout }, async () => {
  const child = await spawnChild(['sh', '-c', `trap '' TERM; echo ready; while :; do sleep 0.05; done`]);
  child.stdout.once('data', () => {});
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await child.terminate(200);
  assert.equal((await child.exited).signal, 'SIGKILL');
});

test('a child in its own session takes its children with it', { timeout }, async () => {
  const child = await spawnChild(['sh', '-c', `sh -c 'trap "" TERM; echo $$; sleep 60' & wait`], { detached: true });
  const pid = await new Promise<number>((resolve) =>
    child.stdout.once('data', (data: Buffer) => resolve(Number(data))),
  );
  assert.ok(isRunning(pid));
  await child.terminate(1_000);
  // The kernel removes an orphan when init has waited for it.
  for (let tries = 0; tries < 100 && isRunning(pid); tries++) await sleep(20);
  assert.equal(isRunning(pid), false);
});

test('a daemon that keeps stderr open does not hide the end of its parent', { timeout }, async () => {
  const child = await spawnChild(['sh', '-c', 'sleep 3 <&- >/dev/null & echo gone >&2; exit 1']);
  const startMs = performance.now();
  assert.equal((await child.exited).stderrTail, 'gone');
  assert.ok(performance.now() - startMs < 2_500);
});

test('writing to a child that has ended fails silently', { timeout }, async () => {
  await using child = await spawnChild(['true']);
  await child.exited;
  for (let round = 0; round < 5; round++) child.stdin.write('x'.repeat(100_000));
  assert.equal((await child.exited).code, 0);
});

test('an endless stderr is bounded, and its tail begins with a whole line', { timeout }, async () => {
  await using child = await spawnChild(['sh', '-c', 'seq 1 200000 >&2']);
  const { stderrTail } = await child.exited;
  const lines = stderrTail.split('\n');
  assert.ok(stderrTail.length <= limits.stderrBytesMax);
  assert.equal(lines.at(-1), '200000');
  assert.equal(Number(lines[0]) + lines.length - 1, 200_000);
});

test('a tail keeps the end of what is shorter and longer than it', () => {
  const tail = new Tail(8);
  tail.append(Buffer.from('ab\n'));
  assert.equal(tail.text(), 'ab');
  tail.append(Buffer.from('cdef\ngh\n'));
  assert.equal(tail.text(), 'gh');
  tail.append(Buffer.from('0123456789'));
  assert.equal(tail.text(), '23456789');
});
