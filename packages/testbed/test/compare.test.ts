import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { before, test } from 'node:test';
import { compareFingerprints, compareTrees, fingerprintDirectory } from '@batondb/testbed/compare';
import { mustRun } from '@batondb/testbed/processes';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';

before(() => requireRoot('the test of the testbed'));

/** A small tree `a` and its exact copy `b`. */
async function makePair(sandbox: Sandbox): Promise<{ a: string; b: string }> {
  const [a, b] = [sandbox.join('a'), sandbox.join('b')];
  mkdirSync(`${a}/d`, { recursive: true });
  writeFileSync(`${a}/file`, 'content\n');
  writeFileSync(`${a}/d/other`, 'other\n');
  linkSync(`${a}/file`, `${a}/second`);
  symlinkSync('file', `${a}/link`);
  await mustRun(['setfattr', '-n', 'user.note', '-v', 'one', `${a}/file`]);
  await mustRun(['setfacl', '-m', 'u:12345:r--', `${a}/d/other`]);
  await mustRun(['mknod', `${a}/device`, 'c', '1', '3']);
  writeFileSync(`${a}/large`, Buffer.alloc(20 * 1024 * 1024, 7));
  await mustRun(['truncate', '-s', '8M', `${a}/sparse`]);
  await mustRun(['cp', '-a', a, b]);
  return { a, b };
}

// Each changes one thing in the copy, and gives the one difference that must be told.
const changes: readonly { readonly name: string; readonly change: (b: string) => unknown; readonly told: RegExp }[] = [
  {
    name: 'content of the same size',
    change: (b) => writeFileSync(`${b}/d/other`, 'OTHER\n'),
    told: /^d\/other: content sha256/,
  },
  {
    name: 'content of a large file',
    change: (b) => flipByte(`${b}/large`, 17_000_000),
    told: /^large: content of 20971520 bytes differs from byte 17000000 on$/,
  },
  { name: 'a missing file', change: (b) => unlinkSync(`${b}/device`), told: /^device: missing in/ },
  { name: 'a file too many', change: (b) => writeFileSync(`${b}/d/new`, ''), told: /^d\/new: only in/ },
  { name: 'mode', change: (b) => chmodSync(`${b}/large`, 0o600), told: /^large: mode 644 ≠ 600$/ },
  { name: 'owner', change: (b) => mustRun(['chown', '-h', '77:0', `${b}/link`]), told: /^link: uid 0 ≠ 77$/ },
  { name: 'group', change: (b) => mustRun(['chown', ':78', `${b}/large`]), told: /^large: gid 0 ≠ 78$/ },
  {
    name: 'a nanosecond',
    change: (b) => mustRun(['touch', '-h', '-d', '2020-01-01 00:00:00.000000001 UTC', `${b}/d`]),
    told: /^d: mtime .* ≠ 1577836800\.0000000010$/,
  },
  {
    name: 'attribute value',
    change: (b) => mustRun(['setfattr', '-n', 'user.note', '-v', 'two', `${b}/large`]),
    told: /^large: xattr user\.note missing ≠ 0x74776f$/,
  },
  {
    name: 'access list',
    change: (b) => mustRun(['setfacl', '-m', 'u:12345:rw-', '-n', `${b}/d/other`]),
    told: /^d\/other: xattr system\.posix_acl_access 0x.* ≠ 0x/,
  },
  {
    name: 'capability',
    change: (b) => mustRun(['setcap', 'cap_net_raw+ep', `${b}/large`]),
    told: /^large: xattr security\.capability missing ≠ 0x/,
  },
  {
    name: 'filled hole',
    change: (b) => writeFileSync(`${b}/sparse`, Buffer.alloc(8 * 1024 * 1024)),
    told: /^sparse: blocks 0 ≠ 16384$/,
  },
  {
    name: 'device number',
    change: (b) => mustRun(['sh', '-c', 'rm device; mknod device c 1 5'], { cwd: b }),
    told: /^device: device 1:3 ≠ 1:5$/,
  },
  {
    name: 'symlink target',
    change: (b) => mustRun(['sh', '-c', 'rm link; ln -s fil2 link'], { cwd: b }),
    told: /^link: target file ≠ fil2$/,
  },
];

function flipByte(path: string, offset: number): void {
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.from([8]), 0, 1, offset);
  closeSync(file);
}

for (const { name, change, told } of changes) {
  // Proves: the comparer tells this difference, by path, field and both values.
  test(`compareTrees tells: ${name}`, async () => {
    await using sandbox = makeSandbox();
    const { a, b } = await makePair(sandbox);
    assert.deepEqual(await compareTrees(a, b), []);
    await change(b);
    // Most changes change a time too; the one that is about times must be seen with them.
    const found = await compareTrees(a, b, { modifyTime: name === 'a nanosecond' });
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', told);
  });
}

// Proves: a hardlink that became a file of its own is told for every name of the group.
test('compareTrees tells a broken hardlink', async () => {
  await using sandbox = makeSandbox();
  const { a, b } = await makePair(sandbox);
  await mustRun(['sh', '-c', 'cp -a second third; mv third second'], { cwd: b });
  const found = (await compareTrees(a, b)).filter((line) => !line.startsWith('.: mtime'));
  assert.deepEqual(found, ['file: hardlinks file, second ≠ none', 'second: hardlinks file, second ≠ none']);
});

// Proves: options leave out what they name and nothing else, and single files can be compared.
test('compareTrees leaves out what it is told to', async () => {
  await using sandbox = makeSandbox();
  const { a, b } = await makePair(sandbox);
  chmodSync(`${b}/large`, 0o600);
  assert.deepEqual(await compareTrees(a, b, { mode: false }), []);
  assert.deepEqual(await compareTrees(a, b, { ignore: ['large'] }), []);
  assert.deepEqual(await compareTrees(`${a}/file`, `${b}/file`), []);
  assert.equal((await compareTrees(`${a}/large`, `${b}/large`)).length, 1);
});

// Proves: the fingerprint sees a rewrite with the same bytes, a new name and a missing one, and nothing when nothing happened.
test('fingerprintDirectory sees what changed', async () => {
  await using sandbox = makeSandbox();
  const { a } = await makePair(sandbox);
  const before = await fingerprintDirectory(a);
  assert.deepEqual(compareFingerprints(before, await fingerprintDirectory(a)), []);
  mkdirSync(`${a}/copy`);
  writeFileSync(`${a}/copy/inside`, '');
  assert.deepEqual(compareFingerprints(before, await fingerprintDirectory(a), ['copy']), []);
  writeFileSync(`${a}/large`, readFileSync(`${a}/large`));
  truncateSync(`${a}/sparse`, 8 * 1024 * 1024);
  unlinkSync(`${a}/device`);
  const found = compareFingerprints(before, await fingerprintDirectory(a), ['copy']);
  assert.deepEqual(
    found.map((line) => line.split(':')[0] ?? '').sort((one, other) => (one < other ? -1 : 1)),
    ['device', 'large', 'sparse'],
  );
});
