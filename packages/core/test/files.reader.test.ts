// Proves: whatever happens to a source file while it is copied is told, and nothing outside the tree is ever read.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { walkTree } from '../src/files/walk.ts';
import { openTree, walkAll } from './files.copy-tree.ts';

let base = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'baton-reader-'));
  mkdirSync(join(base, 'source/sub'), { recursive: true });
  writeFileSync(join(base, 'source/sub/file'), 'content of the file');
  mkdirSync(join(base, 'outside'));
  writeFileSync(join(base, 'outside/file'), 'SECRET of the file!');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** Walks, lets something happen, then reads the file in one piece and again in two. */
function readAfter(happening: () => void): string[] {
  const { entries } = walkAll(join(base, 'source'));
  const index = entries.findIndex(({ kind }) => kind === 'file');
  happening();
  const seen = [0, 10].map((offset) => {
    using tree = openTree(join(base, 'source'), entries);
    const into = new Uint8Array(19 - offset).fill(0x7a);
    const { readBytes, change } = tree.reader.readPiece(index, offset, into);
    assert.ok(
      into.subarray(readBytes).every((byte) => byte === 0),
      'what is missing is zeros',
    );
    assert.ok(!Buffer.from(into).includes('SECRET'), 'nothing outside the tree is read');
    return `${change} ${readBytes}`;
  });
  return seen;
}

const file = (): string => join(base, 'source/sub/file');

test('each change has its name', () => {
  assert.deepEqual(
    readAfter(() => {}),
    ['undefined 19', 'undefined 9'],
  );
  assert.deepEqual(
    readAfter(() => appendFileSync(file(), '!')),
    ['grew 19', 'grew 9'],
  );
  assert.deepEqual(
    readAfter(() => truncateSync(file(), 15)),
    ['shrank 15', 'shrank 5'],
  );
  assert.deepEqual(
    readAfter(() => writeFileSync(file(), 'another content now')),
    ['shrank 19', 'shrank 9'].map((text) => text.replace('shrank', 'grew')),
  );
  assert.deepEqual(
    readAfter(() => utimesSync(file(), 1, 2)),
    ['changed 19', 'changed 9'],
  );
});

test('the same size and the same time is still a change', () => {
  const before = execFileSync('stat', ['-c', '%y', file()]).toString().trim();
  const happening = (): void => {
    writeFileSync(file(), 'CONTENT of the file');
    execFileSync('touch', ['-d', before, file()]);
  };
  assert.deepEqual(readAfter(happening), ['changed 19', 'changed 9']);
  const replace = (): void => {
    writeFileSync(join(base, 'new'), 'CONTENT of the file');
    renameSync(join(base, 'new'), file());
  };
  assert.deepEqual(readAfter(replace), ['changed 19', 'changed 9']);
});

test('a file that is gone, or whose name something else has, has vanished', () => {
  const happenings = [
    () => unlinkSync(file()),
    () => symlinkSync('../../outside/file', file()),
    () => (unlinkSync(file()), mkdirSync(file())),
    () => (rmSync(file(), { recursive: true }), execFileSync('mkfifo', [file()])),
    () => (rmSync(join(base, 'source/sub'), { recursive: true }), symlinkSync('../outside', join(base, 'source/sub'))),
    () => rmSync(join(base, 'source'), { recursive: true }),
  ];
  const { entries } = walkAll(join(base, 'source'));
  const index = entries.findIndex(({ kind }) => kind === 'file');
  for (const happening of happenings) {
    happening();
    using tree = openTree(join(base, 'source'), entries);
    const into = new Uint8Array(19).fill(0x7a);
    assert.deepEqual(tree.reader.readPiece(index, 0, into), { readBytes: 0, change: 'vanished' }, happening.toString());
    assert.deepEqual(into, new Uint8Array(19));
  }
});

test('a file unlinked between its pieces has vanished', () => {
  const { entries } = walkAll(join(base, 'source'));
  using tree = openTree(join(base, 'source'), entries);
  assert.equal(tree.reader.readPiece(2, 0, new Uint8Array(5)).change, undefined);
  unlinkSync(file());
  assert.equal(tree.reader.readPiece(2, 5, new Uint8Array(5)).change, 'vanished');
});

test('a receiver reads its own files without comparing, and only misses what is not there', () => {
  const { entries } = walkAll(join(base, 'source'));
  utimesSync(file(), 1, 2);
  using tree = openTree(join(base, 'source'), entries, false);
  assert.equal(tree.reader.readPiece(2, 0, new Uint8Array(19)).change, undefined);
  tree.reader.dropCache(2);
  truncateSync(file(), 3);
  assert.deepEqual(tree.reader.readPiece(2, 0, new Uint8Array(19)), { readBytes: 3, change: 'shrank' });
});

test('after a rename the tree is read under its new name', () => {
  const { entries } = walkAll(join(base, 'source'));
  using tree = openTree(join(base, 'source'), entries, false);
  renameSync(join(base, 'source'), join(base, 'final'));
  tree.reader.relocate(tree.parent, Buffer.from('final'));
  assert.equal(tree.reader.readPiece(2, 0, new Uint8Array(19)).change, undefined);
});

test('what vanishes, or turns into a symlink, during the walk is told', () => {
  for (const name of ['a', 'b', 'c']) mkdirSync(join(base, 'source/sub', name));
  writeFileSync(join(base, 'source/z'), 'x');
  const walk = walkTree({ root: Buffer.from(join(base, 'source/')), exclude: ['/sub/file'], oneFileSystem: false });
  assert.equal(walk.next().done, false);
  assert.equal(walk.next().done, false, 'sub is listed now');
  rmSync(join(base, 'source/sub/a'), { recursive: true });
  rmSync(join(base, 'source/sub/c'), { recursive: true });
  symlinkSync('../../outside', join(base, 'source/sub/c'));
  unlinkSync(join(base, 'source/z'));
  const rest: string[] = [];
  for (let next = walk.next(); ; next = walk.next()) {
    if (next.done) {
      assert.deepEqual(next.value.vanished, { first: [join(base, 'source/sub/a'), join(base, 'source/z')], total: 2 });
      assert.equal(next.value.excluded, 1);
      break;
    }
    rest.push(`${next.value.kind} ${Buffer.from(next.value.name).toString()}`);
  }
  assert.deepEqual(rest, ['directory b', 'symlink c']);
});
