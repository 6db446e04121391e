// Proves: root keeps everything; an unprivileged user is told what was not kept, and keeps the rest. Needs root.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { close } from '../src/files/libc.ts';
import type { NotKept } from '../src/files/not-kept.ts';
import { openDirectory } from '../src/files/open.ts';
import { removeTree } from '../src/files/remove.ts';
import { freeSpace } from '../src/files/space.ts';
import type { WalkReport } from '../src/files/walk.ts';
import { addRootOnly, describeTree, makePlainTree } from './files.awkward-tree.ts';
import { copyTree, walkAll } from './files.copy-tree.ts';

const nobody = 65534;
let scratch = '';
before(() => {
  assert.equal(process.geteuid?.(), 0, 'these tests need root: they make devices and foreign files');
  scratch = mkdtempSync(join(tmpdir(), 'baton-root-'));
  chmodSync(scratch, 0o755);
});
after(() => rmSync(scratch, { recursive: true, force: true }));

function place(name: string): string {
  const path = join(scratch, name);
  mkdirSync(path);
  return path;
}

type ChildResult = { readonly report: WalkReport; readonly changes: string[]; readonly notKept: NotKept[] };

/** Copies as a user without any right. */
function copyAsNobody(source: string, target: string): ChildResult {
  const child = join(import.meta.dirname, 'files.copy-child.ts');
  const parameters = [
    '--reuid',
    `${nobody}`,
    '--regid',
    `${nobody}`,
    '--clear-groups',
    process.execPath,
    '--conditions=batondb-source',
    '--disable-warning=ExperimentalWarning',
    child,
    source,
    target,
  ];
  const { status, stdout, stderr } = spawnSync('setpriv', parameters, { timeout: 60_000, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as ChildResult;
}

test('owners, setuid, devices, capabilities, ACLs and trusted attributes are the same field by field', async () => {
  const base = place('all');
  await makePlainTree(join(base, 'source'));
  addRootOnly(join(base, 'source'));
  const { accessTimes: _, ...expected } = describeTree(join(base, 'source'));
  const { notKept, changes } = copyTree(join(base, 'source'), join(base, 'copy'));
  const { accessTimes: __, ...kept } = describeTree(join(base, 'copy'));
  assert.deepEqual(kept, expected);
  assert.deepEqual([notKept, changes], [[], []]);
  const capability = execFileSync('getcap', [join(base, 'copy/capable')]).toString();
  assert.match(capability, /cap_net_raw[=+]ep/);
});

test('a directory above with default ACLs and setgid leaves no trace', () => {
  const base = place('inherited');
  mkdirSync(join(base, 'source/sub'), { recursive: true });
  writeFileSync(join(base, 'source/sub/file'), 'x');
  writeFileSync(join(base, 'single'), Buffer.alloc(700_000, 1));
  const target = place('inherited/target');
  chownSync(target, 0, 4321);
  chmodSync(target, 0o2775);
  execFileSync('setfacl', ['-m', 'd:u:4711:rwx', target]);
  for (const name of ['source', 'single']) copyTree(join(base, name), join(target, name));
  const list = (path: string): string =>
    execFileSync('bash', [
      '-c',
      'cd "$0"; find source single -printf "%p %m %U %G %T@\\n"; getfacl -R -P -n source single',
      path,
    ]).toString();
  assert.equal(list(target), list(base));
});

test('an unprivileged user keeps what it can and is told the rest once', async () => {
  const base = place('nobody');
  await makePlainTree(join(base, 'source'));
  addRootOnly(join(base, 'source'));
  writeFileSync(join(base, 'source/secret'), 'x', { mode: 0o600 });
  mkdirSync(join(base, 'source/closed'));
  writeFileSync(join(base, 'source/closed/inside'), 'x');
  chmodSync(join(base, 'source/closed'), 0o711);
  chmodSync(join(base, 'source/a/small'), 0o664);
  const target = place('nobody/target');
  chownSync(target, nobody, nobody);
  const { report, notKept, changes } = copyAsNobody(join(base, 'source'), join(target, 'copy'));
  assert.deepEqual(changes, []);
  const source = join(base, 'source');
  assert.deepEqual(report.unreadable, {
    first: [join(source, 'closed'), join(source, 'empty directory'), join(source, 'secret')],
    total: 3,
  });
  const byKind = Object.fromEntries(
    notKept.map(({ what, count, example, reason }) => [what, [count, example, reason]]),
  );
  assert.deepEqual(byKind['device'], [3, 'source/block', 'EPERM']);
  assert.deepEqual(byKind['capability'], [1, 'source/capable', 'EPERM']);
  assert.deepEqual(byKind['setuid'], [2, 'source/setuid', 'EPERM']);
  assert.equal(byKind['owner']?.[2], 'EPERM');
  assert.deepEqual(Object.keys(byKind).sort(), ['capability', 'device', 'owner', 'setuid']);
  const made = report.entries - 2 - 3;
  assert.equal(byKind['owner']?.[0], made, 'every thing that was made, without two hardlinks and three devices');
  assert.equal(statSync(join(target, 'copy/setuid')).mode & 0o7777, 0o755);
  for (const path of ['a/b/large', 'sparse', 'a/small', 'a/b/read only']) {
    execFileSync('cmp', [join(source, path), join(target, 'copy', path)]);
    const format = (root: string): string => execFileSync('stat', ['-c', '%a %s %y', join(root, path)]).toString();
    assert.equal(format(join(target, 'copy')), format(source));
  }
  const attributes = (root: string): string =>
    execFileSync('bash', ['-c', 'cd "$0/a"; getfattr -d small; getfacl -n -c small b', root]).toString();
  assert.equal(attributes(join(target, 'copy')), attributes(source));
});

test('other file systems are entered or not, and never emptied', () => {
  const base = place('mounts');
  mkdirSync(join(base, 'source/mounted'), { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'baton-test', join(base, 'source/mounted')]);
  try {
    writeFileSync(join(base, 'source/mounted/file'), 'x');
    assert.equal(walkAll(join(base, 'source')).entries.length, 3);
    const { entries, report } = walkAll(join(base, 'source'), { oneFileSystem: true });
    assert.deepEqual([entries.length, report.otherFileSystems.first], [2, [join(base, 'source/mounted')]]);
    const parent = openDirectory(Buffer.from(base));
    assert.throws(() => removeTree(parent, Buffer.from('source')), { code: 'BUSY', message: /mounted/ });
    close(parent);
    assert.ok(statSync(join(base, 'source/mounted/file')).isFile());
    const space = freeSpace(Buffer.from(join(base, 'source/mounted')));
    assert.equal(space.fileSystemType, 'tmpfs');
    assert.ok(space.freeBytes < 1_100_000 && space.totalBytes === 1_048_576 && !space.readOnly);
    execFileSync('mount', ['-o', 'remount,ro', join(base, 'source/mounted')]);
    assert.ok(freeSpace(Buffer.from(join(base, 'source/mounted'))).readOnly);
  } finally {
    execFileSync('umount', [join(base, 'source/mounted')]);
  }
});

test('a full disk is an error with a hint, and the same copy continues when there is space', () => {
  const base = place('full');
  mkdirSync(join(base, 'target'));
  mkdirSync(join(base, 'source'));
  for (const name of ['one', 'two', 'three']) writeFileSync(join(base, 'source', name), Buffer.alloc(600_000, name));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'baton-test', join(base, 'target')]);
  try {
    assert.throws(() => copyTree(join(base, 'source'), join(base, 'target/copy')), {
      name: 'SystemError',
      code: 'ENOSPC',
      path: /source\/(three|two)/,
    });
    execFileSync('mount', ['-o', 'remount,size=4m', join(base, 'target')]);
    copyTree(join(base, 'source'), join(base, 'target/copy'));
    execFileSync('diff', ['-r', join(base, 'source'), join(base, 'target/copy')]);
  } finally {
    execFileSync('umount', [join(base, 'target')]);
  }
});

test('a symlink put in place of a directory is never entered', () => {
  const base = place('swap');
  mkdirSync(join(base, 'source/directory'), { recursive: true });
  mkdirSync(join(base, 'elsewhere'));
  writeFileSync(join(base, 'elsewhere/file'), 'x');
  symlinkSync('../elsewhere', join(base, 'source/link'));
  const { entries } = walkAll(join(base, 'source'));
  assert.deepEqual(
    entries.map(({ kind }) => kind),
    ['directory', 'directory', 'symlink'],
  );
  const parent = openDirectory(Buffer.from(base));
  removeTree(parent, Buffer.from('source'));
  close(parent);
  assert.ok(statSync(join(base, 'elsewhere/file')).isFile());
});
