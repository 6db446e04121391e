// Proves: nothing existing is ever replaced, a lock has one holder, and free space is what df says.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { close } from '../src/files/libc.ts';
import { lockDirectory } from '../src/files/lock.ts';
import { openDirectory, splitPath } from '../src/files/open.ts';
import { renameNoReplace, renameWithPlaceholder, syncDirectory, syncFileSystem } from '../src/files/publish.ts';
import { removeTree } from '../src/files/remove.ts';
import { freeSpace } from '../src/files/space.ts';
import { toBatonError } from '../src/files/system-error.ts';

let base = '';
let fd = -1;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'baton-publish-'));
  fd = openDirectory(Buffer.from(base));
});
afterEach(() => {
  close(fd);
  rmSync(base, { recursive: true, force: true });
});

const name = (text: string): Buffer => Buffer.from(text);

for (const rename of [renameNoReplace, renameWithPlaceholder]) {
  test(`${rename.name}: each kind gets its name, and none replaces another`, () => {
    const make: Record<string, (path: string) => void> = {
      file: (path) => writeFileSync(path, 'mine'),
      directory: (path) => (mkdirSync(path), writeFileSync(join(path, 'inside'), 'mine')),
      link: (path) => symlinkSync('nowhere', path),
      fifo: (path) => void execFileSync('mkfifo', [path]),
    };
    for (const [kind, create] of Object.entries(make)) {
      create(join(base, 'staged'));
      const { ino } = lstatSync(join(base, 'staged'));
      rename(fd, name('staged'), fd, name(`final ${kind}`));
      assert.equal(lstatSync(join(base, `final ${kind}`)).ino, ino, kind);
      for (const taken of Object.keys(make)) {
        make[taken]!(join(base, 'taken'));
        const before = lstatSync(join(base, 'taken')).ino;
        assert.throws(
          () => rename(fd, name(`final ${kind}`), fd, name('taken')),
          { code: 'EEXIST' },
          `${kind} over ${taken}`,
        );
        assert.equal(lstatSync(join(base, 'taken')).ino, before);
        rmSync(join(base, 'taken'), { recursive: true });
      }
    }
    assert.equal(readFileSync(join(base, 'final directory/inside'), 'utf8'), 'mine');
    assert.equal(readlinkSync(join(base, 'final link')), 'nowhere');
    assert.equal(readdirSync(base).length, 4);
    syncDirectory(fd);
    syncFileSystem(fd);
  });
}

test('a rename that died between its two names is finished by the next', () => {
  writeFileSync(join(base, 'staged'), 'mine');
  execFileSync('ln', ['staged', 'final'], { cwd: base });
  renameWithPlaceholder(fd, name('staged'), fd, name('final'));
  assert.deepEqual(readdirSync(base), ['final']);
});

test('a lock has one holder, also between processes, and dies with it', () => {
  const other = openDirectory(Buffer.from(base));
  {
    using _ = lockDirectory(fd);
    assert.throws(() => lockDirectory(other), { code: 'BUSY', retryable: true });
    assert.equal(spawnSync('flock', ['-n', base, 'true']).status, 1);
  }
  assert.equal(spawnSync('flock', ['-n', base, 'true']).status, 0);
  lockDirectory(other)[Symbol.dispose]();
  close(other);
});

test('free space is what df says', () => {
  const space = freeSpace(Buffer.from(base));
  const [type, size, avail, inodes] = execFileSync('df', ['--output=fstype,size,avail,iavail', '-B1', base])
    .toString()
    .trim()
    .split('\n')[1]!
    .trim()
    .split(/\s+/);
  assert.equal(space.fileSystemType, type);
  assert.equal(space.totalBytes, Number(size));
  assert.ok(space.freeBytes > Number(avail) * 0.9 - 1e8, 'root may use more than df says');
  assert.ok(space.freeInodes === undefined || Math.abs(space.freeInodes - Number(inodes)) < 100_000);
  assert.equal(space.device, BigInt(execFileSync('stat', ['-c', '%d', base]).toString().trim()));
  assert.throws(() => freeSpace(Buffer.from('/nowhere/at all')), { code: 'ENOENT' });
});

test('a tree is removed whatever its modes; what does not exist is no error', () => {
  mkdirSync(join(base, 'tree/closed/inner'), { recursive: true });
  writeFileSync(join(base, 'tree/closed/inner/file'), 'x');
  execFileSync('chmod', ['-R', 'a-w', join(base, 'tree')]);
  execFileSync('chmod', ['000', join(base, 'tree/closed')]);
  removeTree(fd, name('tree'));
  removeTree(fd, name('tree'));
  assert.deepEqual(readdirSync(base), []);
});

test('paths are split as the shell reads them', () => {
  const split = (path: string): string[] =>
    Object.values(splitPath(Buffer.from(path))).map((part) => Buffer.from(part).toString());
  assert.deepEqual(split('/a/b'), ['/a', 'b']);
  assert.deepEqual(split('/a//'), ['/', 'a']);
  assert.deepEqual(split('a'), ['.', 'a']);
  assert.deepEqual(split('/'), ['/', '.']);
});

test('errors say what happened to what, and what to do', () => {
  const caught = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      return error;
    }
  };
  const missing = toBatonError(
    caught(() => openDirectory(Buffer.from('/nowhere'))),
    { host: 'db1' },
  );
  assert.deepEqual(
    [missing.code, missing.message, missing.host],
    ['NOT_FOUND', '/nowhere: does not exist (openat: ENOENT)', 'db1'],
  );
  assert.equal(toBatonError(caught(() => openDirectory(Buffer.from('/etc/passwd')))).code, 'NOT_A_DIRECTORY');
  assert.equal(
    toBatonError(
      caught(() => readFileSync('/nowhere')),
      { path: 'x' },
    ).message,
    'x: does not exist (open: ENOENT)',
  );
  assert.equal(toBatonError(caught(() => readFileSync('/'))).code, 'SYSTEM');
  assert.equal(toBatonError(new TypeError('oops')).code, 'BUG');
  assert.equal(toBatonError(missing), missing);
});
