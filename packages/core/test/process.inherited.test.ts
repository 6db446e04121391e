// Proves: a process closes what its parent has left open for it and nothing else: not the standard descriptors, none of its own, and no word that is no number ends it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { closeInherited } from '../src/process/inherited.ts';

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

test('numbers of a list are closed, and no others', () => {
  const [first, second, own] = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
  closeInherited(` ${first}  ${second} `);
  assert.deepEqual([isOpen(first), isOpen(second), isOpen(own)], [false, false, true]);
  // What is closed already is passed over.
  closeInherited(`${first} ${second}`);
  closeSync(own);
});

test('standard descriptors and words that are no numbers are passed over', () => {
  const own = openSync('/dev/null', 'r');
  for (const list of [
    '',
    ' ',
    '0 1 2',
    `-${own}`,
    `+${own}`,
    `${own}x`,
    `${own}.0`,
    `0x${own.toString(16)}`,
    `${own},`,
    '99999999',
    '9999999',
  ]) {
    closeInherited(list);
    assert.ok(isOpen(own) && isOpen(0) && isOpen(1) && isOpen(2), list);
  }
  closeSync(own);
});

test("a program's own descriptors stay, whatever its parent has left open", () => {
  const inherited = openSync('/dev/null', 'r');
  const program = `
    import { closeInherited } from ${JSON.stringify(new URL('../src/process/inherited.ts', import.meta.url).href)};
    import { fstatSync } from 'node:fs';
    closeInherited(process.env.LIST);
    let isClosed = false;
    try { fstatSync(9) } catch (error) { isClosed = error.code === 'EBADF' }
    // Node itself goes on: its event loop and its threads have descriptors, too.
    setTimeout(() => process.stdout.write(String(isClosed)), 1);`;
  const argv = ['--conditions=batondb-source', '--input-type=module', '--eval', program];
  const stdio = [
    'ignore',
    'pipe',
    'inherit',
    ...Array.from({ length: 6 }, () => 'ignore' as const),
    inherited,
  ] as const;
  const { stdout, status } = spawnSync(process.execPath, argv, {
    stdio: [...stdio],
    env: { ...process.env, LIST: '9' },
  });
  assert.deepEqual([status, stdout.toString()], [0, 'true']);
  closeSync(inherited);
});
