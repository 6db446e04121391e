// Proves: directories are made with those above them, what is there stays, and where none can be made there is an error and no endless try.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { makeDirectories } from '../src/files/make-directories.ts';

test('directories and those above them', async () => {
  await using sandbox = makeSandbox();
  makeDirectories(sandbox.join('a/b/c'), 0o700);
  assert.equal(statSync(sandbox.join('a/b/c')).mode & 0o777, 0o700);
  mkdirSync(sandbox.join('open'));
  chmodSync(sandbox.join('open'), 0o755);
  makeDirectories(sandbox.join('open'), 0o700);
  assert.equal(statSync(sandbox.join('open')).mode & 0o777, 0o755);
});

test('where none can be made', async () => {
  await using sandbox = makeSandbox();
  writeFileSync(sandbox.join('file'), '');
  assert.throws(() => makeDirectories(sandbox.join('file/below'), 0o700), { name: 'BatonError' });
  assert.throws(() => makeDirectories('/proc/nowhere/below', 0o700), { name: 'BatonError' });
});
