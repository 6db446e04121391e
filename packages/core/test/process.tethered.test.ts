// Proves: a tethered program runs as any other, and does not outlive whoever started it, whatever happened to that.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { killProcess, listProcesses, type ProcessInfo, waitUntil } from '@batondb/testbed/process-table';
import { spawnChild } from '../src/process/child.ts';
import { spawnTethered } from '../src/process/tethered.ts';

const timeout = 20_000;
let names = 0;

/** A word by which the processes of one test are found. */
function makeName(): string {
  return `tethered-${process.pid}-${++names}`;
}

function named(name: string): ProcessInfo[] {
  return listProcesses().filter(({ argv, pid }) => pid !== process.pid && argv.includes(name));
}

async function waitForNone(name: string): Promise<void> {
  await waitUntil('nothing of it runs', () => named(name).length === 0);
}

test('its input, output and end are its own, and nothing is left', { timeout }, async () => {
  const name = makeName();
  const script = 'cat; echo last words >&2; exit 3';
  await using child = await spawnTethered(['sh', '-c', script, name]);
  child.stdin.end('through');
  assert.equal(await text(child.stdout), 'through');
  assert.deepEqual(await child.exited, { code: 3, signal: undefined, stderrTail: 'last words' });
  await waitForNone(name);
});

test('it is ended, with its children', { timeout }, async () => {
  const name = makeName();
  const child = await spawnTethered(['sh', '-c', `sh -c 'sleep 60; :' ${name} & wait`, name]);
  await waitUntil('both run', () => named(name).length >= 2);
  assert.ok(named(name).some(({ pid }) => pid === child.pid));
  await child.terminate(1_000);
  assert.equal((await child.exited).signal, 'SIGTERM');
  await waitForNone(name);
});

test('it is killed with whoever started it', { timeout }, async () => {
  const name = makeName();
  const module = JSON.stringify(new URL('../src/process/tethered.ts', import.meta.url).href);
  // It ignores every signal that it can, and nobody reads what it says.
  const script = `trap '' HUP INT TERM PIPE; sh -c 'sleep 60; :' ${name} & wait`;
  const program = `import { spawnTethered } from ${module}; await spawnTethered(['sh', '-c', ${JSON.stringify(script)}, '${name}']);`;
  await using parent = await spawnChild([process.execPath, ...process.execArgv, '--input-type=module', '-e', program]);
  parent.stdout.resume();
  await waitUntil('both run', () => named(name).filter(({ argv }) => argv[0] === 'sh').length >= 2);
  await Promise.all([once(parent.stdout, 'close'), killProcess(parent.pid)]);
  await waitForNone(name);
});

test('a program that is not there is an exit code', { timeout }, async () => {
  await using child = await spawnTethered(['/nowhere/baton-test-program']);
  const { code, stderrTail } = await child.exited;
  assert.equal(code, 127);
  assert.match(stderrTail, /not found/);
});
