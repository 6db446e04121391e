import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { before, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { makeDeepPath } from '@batondb/testbed/awkward-files';
import { makeAwkwardTree } from '@batondb/testbed/awkward-tree';
import { compareTrees } from '@batondb/testbed/compare';
import { mustRun } from '@batondb/testbed/processes';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { requireRoot } from '@batondb/testbed/requirements';
import { makeSandbox } from '@batondb/testbed/sandbox';
import { makeLargeFiles, makeSmallFiles } from '@batondb/testbed/trees';
import fc from 'fast-check';

before(() => requireRoot('the test of the testbed'));

// Proves: a seed repeats its numbers, and a fork does not depend on how many were drawn.
test('the same seed gives the same numbers', () => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.nat(50), (seed, drawn) => {
      const [a, b] = [new Random(seed), new Random(seed)];
      for (let index = 0; index < drawn; index++) a.word();
      assert.equal(a.fork('x').word(), b.fork('x').word());
      const value = b.integer(3, 9);
      assert.ok(value >= 3 && value <= 9);
    }),
    // fast-check prints the seed when the property fails.
    { seed: seedOfRun() | 0 },
  );
});

// Proves: large files have the size and about the compressibility asked for, and do not repeat themselves.
test('large files are as compressible as asked', async () => {
  await using sandbox = makeSandbox();
  makeLargeFiles(sandbox.join('half'), { files: 2, bytesEach: 4 * 1024 * 1024 + 5, seed: 3 });
  makeLargeFiles(sandbox.join('again'), { files: 2, bytesEach: 4 * 1024 * 1024 + 5, seed: 3 });
  assert.deepEqual(await compareTrees(sandbox.join('half'), sandbox.join('again'), { modifyTime: false }), []);
  assert.equal(statSync(sandbox.join('half', 'large-1')).size, 4 * 1024 * 1024 + 5);
  const random = Buffer.alloc(100_000);
  new Random(1).fill(random);
  assert.ok(deflateSync(random).length > 99_000);
  const { stdout } = await mustRun(['sh', '-c', 'gzip -1 < half/large-0 | wc -c'], { cwd: sandbox.path });
  const ratio = Number(stdout) / (4 * 1024 * 1024);
  assert.ok(ratio > 0.5 && ratio < 0.75, `compressed to ${ratio}`);
});

// Proves: small files have the average size asked for, and comparing thousands of them takes seconds.
test('thousands of small files are made and compared in seconds', async () => {
  await using sandbox = makeSandbox();
  makeSmallFiles(sandbox.join('a'), 2000);
  const { stdout } = await mustRun(
    ['sh', '-c', 'find a -type f -printf "%s\\n" | awk \'{ n++; s += $1 } END { print n, s / n }\''],
    { cwd: sandbox.path },
  );
  const [count, average] = stdout.split(' ').map(Number);
  assert.equal(count, 2000);
  assert.ok(average !== undefined && average > 6000 && average < 8000, `average ${average}`);
  await mustRun(['cp', '-a', 'a', 'b'], { cwd: sandbox.path });
  const begin = performance.now();
  assert.deepEqual(await compareTrees(sandbox.join('a'), sandbox.join('b')), []);
  const durationMs = performance.now() - begin;
  assert.ok(durationMs < 10_000, `compared in ${durationMs} ms`);
});

// Proves: a path of 4,095 bytes below the tree's root is made, compared with its attributes, and removed.
test('a path that no system call takes in one piece', async () => {
  await using sandbox = makeSandbox();
  for (const name of ['a', 'b']) {
    await mustRun(['mkdir', name], { cwd: sandbox.path });
    assert.equal(await makeDeepPath(sandbox.join(name), 'deep', 4095), 4095);
  }
  assert.deepEqual(
    (await compareTrees(sandbox.join('a'), sandbox.join('b'))).filter((line) => !line.includes('mtime')),
    [],
  );
  const change =
    'my $d; while (!-e ($d = (grep { /^f/ } glob("*"))[0] // "")) { my ($n) = grep { -d } glob("*"); chdir $n or die } ';
  await mustRun(
    [
      'perl',
      '-e',
      `${change} open(F, ">", $d); print F "DEEP\\n"; close F; system("setfattr", "-x", "user.deep", "--", $d)`,
    ],
    { cwd: sandbox.join('b') },
  );
  const found = (await compareTrees(sandbox.join('a'), sandbox.join('b'), { modifyTime: false })).join('\n');
  assert.match(found, /\(4095 bytes\).*: content sha256/);
  assert.match(found, /\(4095 bytes\).*: xattr user\.deep 0x796573 ≠ missing/);
});

// Proves: the awkward tree has each awkward thing, and cp -a, an independent copier, reproduces what the comparer reads.
test('the awkward tree has one of everything', async () => {
  await using sandbox = makeSandbox();
  const tree = await makeAwkwardTree(sandbox.join('a'), { root: true });
  assert.equal(tree.longestPathBytes, 4095);
  await mustRun(['sh', '-c', 'mkdir b; cp -a --sparse=auto a/[!d]* a/devices b/; touch -r a b'], { cwd: sandbox.path });
  assert.deepEqual(await compareTrees(sandbox.join('a'), sandbox.join('b'), { ignore: ['deep'] }), []);
  const text = async (command: string): Promise<string> =>
    (await mustRun(['sh', '-c', command], { cwd: sandbox.join('a') })).stdout.trim();
  assert.match(await text('getcap attributes/capable'), /cap_net_admin,cap_net_raw=ep/);
  assert.match(await text('getfacl -n acl/default'), /default:user:12345:r-x/);
  assert.match(await text('getfacl -n acl/file'), /user:12345:rw-\s+#effective:r--/);
  assert.equal(await text('stat -c "%a %u %g" owners/setuid'), '6755 12345 54321');
  assert.equal(await text('stat -c %u owners/last'), '4294967294');
  assert.equal(await text('stat -c %Y times/old'), '-152391233');
  assert.match(await text('find times/newest -printf %T@'), /^4039372799\.0000000010$/);
  assert.equal(await text('stat -c %h links/file special/fifo links/absolute | tr "\\n" " "'), '4 2 2');
  assert.equal(await text('stat -c "%F %t:%T" devices/odd-block'), 'block special file 7:63');
  assert.equal(await text('stat -c %F special/socket'), 'socket');
  assert.match(await text('filefrag sparse/extents-3000'), /(29|30)\d\d extents found/);
  assert.match(await text('stat -c %b sparse/all-hole'), /^0$/);
  assert.ok(
    readdirSync(sandbox.join('a', 'names'), { encoding: 'buffer' }).some(
      (name) => name.length === 255 && name[0] === 0xfe,
    ),
  );
});

// Proves: a user without privileges gets the rest of the tree, and the 5 GiB file takes no space to speak of.
test('the awkward tree without root, with the huge file', async () => {
  await using sandbox = makeSandbox();
  await makeAwkwardTree(sandbox.join('a'), { root: false, huge: true });
  assert.equal(statSync(sandbox.join('a', 'sparse', 'huge')).size, 5 * 1024 ** 3);
  assert.ok(statSync(sandbox.join('a', 'sparse', 'huge')).blocks * 512 < 4 * 1024 ** 2);
  assert.ok(!readdirSync(sandbox.join('a')).includes('devices'));
});
