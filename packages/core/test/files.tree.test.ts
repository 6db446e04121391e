// Proves: a tree that any user can make is copied with everything that belongs to it, and again after a crash.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { close, flags, mkdirat, openat } from '../src/files/libc.ts';
import { openDirectory } from '../src/files/open.ts';
import { removeTree } from '../src/files/remove.ts';
import { describeTree, makePlainTree } from './files.awkward-tree.ts';
import { copyTree, openTree, walkAll } from './files.copy-tree.ts';

let scratch = '';
before(() => {
  scratch = mkdtempSync(join(tmpdir(), 'baton-files-'));
});
after(() => {
  // Copies have directories that keep their owner out, too.
  execFileSync('chmod', ['-R', 'u+rwX', scratch]);
  rmSync(scratch, { recursive: true, force: true });
});

function place(name: string): string {
  const path = join(scratch, name);
  mkdirSync(path);
  return path;
}

test('an awkward tree is the same field by field', async () => {
  const base = place('awkward');
  await makePlainTree(join(base, 'source'));
  const expected = describeTree(join(base, 'source'));
  // Describing read the files: their access times are what the walk finds now.
  const { report, changes, notKept, entries } = copyTree(join(base, 'source'), join(base, 'copy'));
  const { accessTimes: _, ...kept } = describeTree(join(base, 'copy'));
  const { accessTimes: __, ...wanted } = expected;
  assert.deepEqual(kept, wanted);
  assert.deepEqual([changes, notKept], [[], []]);
  assert.deepEqual(report.sockets, { first: [join(base, 'source/socket')], total: 1 });
  assert.equal(report.entries, entries.length);
  assert.ok(statSync(join(base, 'copy/sparse')).blocks * 512 < 1_000_000, 'the copy is sparse');
  assert.ok(report.contentBytes < 4_000_000, 'holes are no content');
  assert.equal(entries.filter(({ kind }) => kind === 'hardlink').length, 2);
});

test('access times are kept, and reading does not move them', async () => {
  const base = place('access');
  writeFileSync(join(base, 'source'), 'content');
  execFileSync('touch', ['-a', '-d', '2001-02-03 04:05:06.789 UTC', join(base, 'source')]);
  copyTree(join(base, 'source'), join(base, 'copy'));
  for (const name of ['source', 'copy'])
    assert.equal(statSync(join(base, name)).atimeMs, Date.parse('2001-02-03T04:05:06.789Z'), name);
});

test('a root of any kind is copied', async () => {
  const base = place('roots');
  writeFileSync(join(base, 'file'), 'x'.repeat(600_000));
  writeFileSync(join(base, 'empty'), '');
  execFileSync('ln', ['-s', 'nowhere', join(base, 'link')]);
  execFileSync('mkfifo', [join(base, 'fifo')]);
  for (const name of ['file', 'empty', 'link', 'fifo']) {
    copyTree(join(base, name), join(base, `${name} copy`));
    const format = (path: string): string =>
      execFileSync('stat', ['-c', '%F %a %s %y %N', path], { cwd: base })
        .toString()
        .replace(/'[^']*'/, '');
    assert.equal(format(`${name} copy`), format(name));
  }
  execFileSync('cmp', [join(base, 'file'), join(base, 'file copy')]);
});

test('everything can be repeated: a finished tree is finished again, a damaged one mended', async () => {
  const base = place('again');
  await makePlainTree(join(base, 'source'));
  chmodSync(join(base, 'source/a/b'), 0o555);
  const { entries } = copyTree(join(base, 'source'), join(base, 'copy'));
  using tree = openTree(join(base, 'copy'), entries, false);
  assert.deepEqual(tree.writer.finish({ applyAllFiles: true }), []);
  const large = entries.findIndex((entry) => entry.kind === 'file' && entry.sizeBytes === 3_000_001);
  const sparse = entries.findIndex((entry) => entry.kind === 'file' && entry.sizeBytes === 40_000_000);
  writeFileSync(join(base, 'copy/sparse'), Buffer.alloc(50_000_000, 1));
  using source = openTree(join(base, 'source'), entries);
  tree.writer.makeDirectories();
  for (const [index, offset] of [
    [large, 1_000_000],
    [sparse, 0],
    [sparse, 12_300_000],
    [sparse, 39_900_000],
  ] as const) {
    const content = new Uint8Array(100_000);
    source.reader.readPiece(index, offset, content);
    tree.writer.writePiece(index, offset, content);
  }
  tree.writer.finish({ applyAllFiles: false });
  const at = new Uint8Array(100_000);
  tree.reader.readPiece(sparse, 12_300_000, at);
  assert.deepEqual(at.subarray(45_678, 45_687), new Uint8Array(Buffer.from('some data')));
  assert.ok(
    at.subarray(0, 45_678).every((byte) => byte === 0),
    'older bytes in a hole are taken out',
  );
  const { accessTimes: _, content: __, ...kept } = describeTree(join(base, 'copy'));
  const { accessTimes: ___, content: ____, ...wanted } = describeTree(join(base, 'source'));
  assert.deepEqual(kept, wanted);
});

test('what the source lost is left out, with its other names; a missing file is damage', () => {
  const base = place('omit');
  mkdirSync(join(base, 'source'));
  for (const name of ['gone', 'kept', 'missing']) writeFileSync(join(base, 'source', name), name);
  execFileSync('ln', ['gone', 'gone too'], { cwd: join(base, 'source') });
  const { entries } = walkAll(join(base, 'source'));
  const indexOf = (name: string): number =>
    entries.findIndex((entry) => Buffer.from(entry.name).equals(Buffer.from(name)));
  using tree = openTree(join(base, 'copy'), entries, false);
  tree.writer.makeDirectories();
  for (const name of ['gone', 'kept', 'missing']) tree.writer.writeWholeFile(indexOf(name), Buffer.from(name));
  tree.writer.discard(indexOf('missing'));
  assert.throws(() => tree.writer.finish({ applyAllFiles: false }), {
    code: 'STAGING_DAMAGED',
    message: /copy|source\/missing/,
  });
  tree.writer.finish({ applyAllFiles: false, omit: new Set([indexOf('gone'), indexOf('missing')]) });
  assert.deepEqual(readdirSync(join(base, 'copy')), ['kept']);
});

// Linux refuses paths above 4,096 bytes, but only whole: component by component there is no limit.
for (const [label, name, depth] of [
  ['long names', 'n'.repeat(255), 40],
  ['many levels', 'd', 2_500],
] as const) {
  test(`paths far above 4,096 bytes: ${label}`, { timeout: 60_000 }, () => {
    const base = place(label);
    const component = Buffer.from(name);
    let fd = openDirectory(Buffer.from(base));
    assert.equal(mkdirat(fd, Buffer.from('source'), 0o755), 0);
    let next = openat(fd, Buffer.from('source'), flags.O_DIRECTORY);
    for (let level = 0; level < depth; level += 1) {
      close(fd);
      fd = next;
      assert.equal(mkdirat(fd, component, 0o755), 0);
      next = openat(fd, component, flags.O_DIRECTORY);
    }
    const file = openat(next, Buffer.from('bottom'), flags.O_CREAT | flags.O_WRONLY, 0o644);
    for (const open of [fd, next, file]) close(open);
    const { entries, notKept } = copyTree(join(base, 'source'), join(base, 'copy'));
    assert.deepEqual([entries.length, notKept], [depth + 2, []]);
    const list = (root: string): string =>
      execFileSync('bash', ['-c', `cd "$0"; find . -printf '%d %f %y %m %T@\\n'`, join(base, root)], {
        maxBuffer: 1 << 26,
      }).toString();
    assert.equal(list('copy'), list('source'));
    const parent = openDirectory(Buffer.from(base));
    for (const tree of ['source', 'copy']) removeTree(parent, Buffer.from(tree));
    close(parent);
    assert.deepEqual(readdirSync(base), []);
  });
}

test('no descriptor is left open', () => {
  const base = place('descriptors');
  mkdirSync(join(base, 'source/x/y'), { recursive: true });
  writeFileSync(join(base, 'source/x/y/file'), Buffer.alloc(1_000_000));
  const before = readdirSync('/proc/self/fd').length;
  copyTree(join(base, 'source'), join(base, 'copy'));
  unlinkSync(join(base, 'source/x/y/file'));
  assert.throws(() => walkAll(join(base, 'nowhere')), { name: 'SystemError', code: 'ENOENT' });
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
