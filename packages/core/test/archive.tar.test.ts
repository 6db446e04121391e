import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { rawArchive, rawMember, rawPax } from '@batondb/testbed/archives';
import { compareTrees } from '@batondb/testbed/compare';
import { mustRun } from '@batondb/testbed/processes';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import fc from 'fast-check';
import { BatonError } from '../src/errors.ts';
import { readMembers, unpackInto } from './archive.events.ts';
import { runs } from './property.ts';

// Tar archives as GNU tar makes them, as others do, and as nobody does.

let sandbox: Sandbox;
before(() => {
  sandbox = makeSandbox();
});
after(async () => {
  await sandbox[Symbol.asyncDispose]();
});

/** A name of a file that is text for `tar -T`: no slash, no NUL, no newline; a backslash would be an escape. */
const names = fc
  .stringMatching(/^[^/\0\n\\]{1,60}$/)
  .filter((name) => Buffer.byteLength(name) <= 120 && name !== '.' && name !== '..' && name.isWellFormed());
const trees = fc.uniqueArray(
  fc.record({
    name: names,
    depth: fc.integer({ min: 0, max: 6 }),
    bytes: fc.oneof(fc.constantFrom(0, 1, 511, 512, 513, 1024, 70_000), fc.nat(3000)),
    hole: fc.boolean(),
    time: fc.integer({ min: -2_000_000_000, max: 4_000_000_000 }),
    nanoseconds: fc.nat(999_999_999),
    mode: fc.integer({ min: 0o400, max: 0o777 }),
    kind: fc.constantFrom('file', 'file', 'directory', 'symlink', 'hardlink', 'fifo'),
  }),
  { minLength: 1, maxLength: 12, selector: ({ name }) => name },
);
type Thing = Parameters<Parameters<typeof trees.map>[0]>[0][number];

/** Makes a tree of random things; a script, since Node sets no nanoseconds. */
async function makeTree(root: string, things: readonly Thing[]): Promise<void> {
  mkdirSync(root);
  const lines = things.map(({ name, depth, bytes, hole, time, nanoseconds, mode, kind }, index) => {
    const directory = Array.from({ length: depth }, (_, level) => `level ${level} of ${'long '.repeat(5)}`).join('/');
    const path = join(root, directory, name);
    writeFileSync(join(root, `.script-${index}`), Buffer.alloc(bytes, `${index} is the content of it.`));
    const make: Record<Thing['kind'], string> = {
      file: `cat "$content" > "$path"; ${hole ? 'truncate -s +200000 "$path"; printf end >> "$path"; truncate -s +100000 "$path";' : ''} chmod ${mode.toString(8)} "$path"`,
      directory: 'mkdir -p -- "$path"; chmod 755 "$path"',
      symlink: 'ln -s -- "no/such place" "$path"',
      hardlink: 'echo one > "$path"; ln -- "$path" "$path~"',
      fifo: 'mkfifo -- "$path"',
    };
    return `path=${quote(path)}; content=${quote(join(root, `.script-${index}`))}
      mkdir -p -- "$(dirname -- "$path")"; ${make[kind]}; touch -h -d '@${time}.${String(nanoseconds).padStart(9, '0')}' -- "$path"`;
  });
  await mustRun(['sh', '-euc', `${lines.join('\n')}\nrm -f ${quote(root)}/.script-*`]);
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

const formats = [
  { options: ['--format=posix', '--xattrs'], keepsNanoseconds: true },
  { options: ['--format=posix', '--sparse'], keepsNanoseconds: true },
  { options: ['--format=gnu'], keepsNanoseconds: false },
  { options: ['--format=gnu', '--sparse'], keepsNanoseconds: false },
  { options: ['--format=gnu', '--blocking-factor=1'], keepsNanoseconds: false },
] as const;

for (const { options, keepsNanoseconds } of formats) {
  // Proves: whatever tree GNU tar puts into an archive comes out of it again, with lengths, holes, modes, links and times.
  test(`round trip: tar ${options.join(' ')}`, async () => {
    await fc.assert(
      fc.asyncProperty(trees, async (things) => {
        const place = sandbox.join(randomUUID());
        mkdirSync(place);
        const source = join(place, 'source');
        await makeTree(source, things);
        const archive = join(place, 'archive.tar');
        await mustRun(['tar', '-C', place, '--numeric-owner', ...options, '-cf', archive, 'source']);
        const report = await unpackInto(archive, 'tar', place, 'copy');
        assert.equal(report.skipped, 0);
        assert.deepEqual(report.notKept, []);
        const differences = await compareTrees(source, join(place, 'copy'), {
          modifyTime: keepsNanoseconds,
          blocks: options.includes('--sparse' as never),
        });
        // The top itself is the caller's directory.
        assert.deepEqual(
          differences.filter((line) => !/^\.?: /.test(line)),
          [],
        );
      }),
      runs(6),
    );
  });
}

// Proves: how an archive is cut on its way to the reader changes nothing of what is read.
test('pieces of any length', () => {
  const archive = rawArchive([
    { path: 'd/', type: '5' },
    { path: 'd/short', content: 'content' },
    { path: `d/${'long/'.repeat(60)}name`, content: Buffer.alloc(5000, 'abc'), pax: { mtime: '1.5' } },
    { path: 'd/link', type: '2', linkPath: 'short' },
  ]);
  const whole = readMembers(archive);
  assert.deepEqual(
    whole.map(({ content }) => content.length),
    [0, 7, 5000, 0],
  );
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 8 }), (lengths) => {
      assert.deepEqual(readMembers(archive, lengths), whole);
    }),
    runs(50),
  );
});

// Proves: what a header's fields and an extended header say is read as their specifications have it.
test('fields', () => {
  const header = rawMember({ path: 'd/negative', content: 'x' });
  // GNU: a time before 1970 is a negative number in base-256.
  Buffer.from('fffffffffffffffffffffffe', 'hex').copy(header, 136);
  header.fill(' ', 148, 156);
  header.write(
    `${header
      .subarray(0, 512)
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  );
  const pax = {
    mtime: '-1.25',
    atime: '12345.123456789999',
    uid: '4000000000',
    'SCHILY.xattr.user.a%3Db%25': 'v=\0\xff',
    'SCHILY.acl.access': 'user::rw-',
  };
  const [negative, said] = readMembers(
    rawArchive([header, rawPax('g', { comment: 'made by somebody' }), { path: 'd/said', pax }]),
  );
  assert.equal(negative?.member.modifyTimeNs, -2_000_000_000n);
  assert.deepEqual(said?.member, {
    kind: 'file',
    path: new Uint8Array(Buffer.from('d/said')),
    linkPath: new Uint8Array(0),
    sizeBytes: 0,
    storedBytes: 0,
    extents: undefined,
    mode: 0o644,
    uid: 4_000_000_000,
    gid: process.getegid?.() ?? 0,
    modifyTimeNs: -1_250_000_000n,
    accessTimeNs: 12_345_123_456_789n,
    xattrs: [{ name: Buffer.from('user.a=b%'), value: new Uint8Array(Buffer.from('v=\0\xff', 'latin1')) }],
    notUnderstood: ['acl'],
    major: 0,
    minor: 0,
  });
});

/** The message with which an archive is refused; fails the test when it is not, or with another code. */
function refusal(archive: Uint8Array): string {
  try {
    readMembers(archive);
  } catch (error) {
    assert.ok(error instanceof BatonError, String(error));
    assert.equal(error.code, 'BAD_ARCHIVE');
    return error.message;
  }
  return assert.fail('the archive was not refused');
}

// Proves: an archive that is cut off, goes on after its end, or lies about lengths is refused, and the message has the place.
test('archives that are no archives', () => {
  const good = rawArchive([
    { path: 'd/a', content: 'a' },
    { path: 'd/b', content: 'b' },
  ]);
  assert.equal(readMembers(Buffer.concat([good, Buffer.alloc(10_000)])).length, 2, 'zeros fill up blocks of a tape');
  assert.match(refusal(good.subarray(0, -1024)), /is cut off: it ends without an end mark, after 'd\/b'/);
  assert.match(refusal(good.subarray(0, -512)), /is cut off/);
  assert.match(refusal(good.subarray(0, 1000)), /is cut off/);
  assert.match(refusal(Buffer.concat([good, Buffer.from('more')])), /goes on after its end mark, after 'd\/b'/);
  assert.match(refusal(Buffer.concat([good, good])), /goes on after its end mark/);
  assert.match(refusal(Buffer.from('no archive at all'.repeat(100))), /has no header at byte 0/);
  const lies = (sizeBytes: number): Buffer =>
    rawArchive([{ path: 'd/liar', content: Buffer.alloc(2000, 'x'), sizeBytes }]);
  assert.match(refusal(lies(600)), /has no header at byte 1536, after 'd\/liar'/);
  assert.match(refusal(lies(100_000)), /is cut off: it ends without an end mark, after 'd\/liar'/);
  assert.match(
    refusal(rawArchive([{ path: 'd/l', type: '2', linkPath: 'a', content: 'x' }])),
    /'d\/l' is a symlink and says that 1 bytes/,
  );
  assert.match(refusal(rawArchive([{ path: 'd/f/', content: 'x' }])), /'d\/f\/' is a file whose name ends in a slash/);
  assert.match(refusal(rawArchive([{ path: 'd/m', type: 'M' }])), /'d\/m' is of type "M", which is not supported/);
  assert.match(refusal(rawArchive([rawPax('g', { path: 'd/all' }), { path: 'd/x' }])), /a global header with "path"/);
  assert.match(refusal(rawArchive([rawPax('x', { path: 'd/x' })])), /ends after half a header/);
  assert.match(refusal(rawArchive([{ path: 'd/x', pax: { size: '12x' } }])), /whose size is "12x", and not a number/);
  assert.match(
    refusal(rawArchive([{ path: 'd/x', pax: { uid: '99999999999' } }])),
    /belongs to user or group 99999999999/,
  );
  const sparse = { 'GNU.sparse.major': '0', 'GNU.sparse.minor': '1', 'GNU.sparse.map': '0,1' };
  assert.match(refusal(rawArchive([{ path: 'd/x', pax: sparse }])), /is a sparse file of format 0.1, and only 1.0/);
  const huge = rawMember({ path: 'd/x', type: 'L', sizeBytes: 3_000_000 });
  assert.match(refusal(rawArchive([huge])), /a header of type "L" with 3000000 bytes, and the limit is 2097152/);
});

// Proves: maps of holes that overlap, point behind the end, or do not fit what is stored are refused.
test('maps of holes that lie', () => {
  const sparse = (map: string, realsize: number, stored: string): Buffer => {
    const block = Buffer.alloc(512);
    block.write(map);
    const content = Buffer.concat([block, Buffer.from(stored)]);
    const pax = {
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.name': 'd/s',
      'GNU.sparse.realsize': `${realsize}`,
    };
    return rawArchive([{ path: 'd/GNUSparseFile.0/s', content, pax }]);
  };
  const [good] = readMembers(sparse('2\n0\n3\n100\n2\n', 200, 'abcde'));
  assert.deepEqual(good?.member.extents, [
    { offset: 0, length: 3 },
    { offset: 100, length: 2 },
  ]);
  assert.equal(good?.member.sizeBytes, 200);
  assert.match(refusal(sparse('2\n0\n3\n2\n2\n', 200, 'abcde')), /'d\/s' has a map of holes that goes from 3 to 2/);
  assert.match(refusal(sparse('1\n0\n3\n', 2, 'abc')), /a map of holes for 3 bytes up to 3, but stores 3 of 2/);
  assert.match(refusal(sparse('1\n0\n3\n', 200, 'abcde')), /but stores 5 of 200/);
  assert.match(refusal(sparse('99999999\n0\n3\n', 200, 'abcde')), /has 99999999 stretches of data/);
  assert.match(refusal(sparse('x', 200, 'abcde')), /not made of numbers/);
  assert.match(refusal(sparse('5\n0\n1\n', 200, '')), /a map of holes that/);
});

// Proves: whatever an archive is made of, reading it ends with members or with BAD_ARCHIVE, and takes no more memory than it has bytes.
test('archives with bytes changed, cut out and put in', async () => {
  const place = sandbox.join(randomUUID());
  mkdirSync(join(place, 'source', 'directory'), { recursive: true });
  const hole =
    'truncate -s 1M source/sparse; printf end >> source/sparse; printf "x%.0s" $(seq 3000) > source/directory/file';
  await mustRun([
    'sh',
    '-euc',
    `cd ${place}; ${hole}; ln source/sparse source/second; ln -s x source/$(printf 'n%.0s' $(seq 200))`,
  ]);
  const archives: Buffer[] = [];
  for (const options of [
    ['--format=posix', '-S'],
    ['--format=gnu', '-S'],
    ['--format=ustar', '--exclude=n*'],
  ]) {
    const path = join(place, `${archives.length}.tar`);
    await mustRun(['tar', '-C', place, ...options, '-cf', path, 'source']);
    archives.push(readFileSync(path));
  }
  const steps = fc.array(
    fc.record({
      how: fc.constantFrom('set', 'set', 'cut', 'double', 'end'),
      at: fc.nat(),
      byte: fc.nat(255),
      length: fc.integer({ min: 1, max: 600 }),
    }),
    { minLength: 1, maxLength: 4 },
  );
  fc.assert(
    fc.property(fc.constantFrom(...archives), steps, fc.boolean(), (archive, changes, isSummed) => {
      let bytes = Buffer.from(archive);
      for (const { how, at, byte, length } of changes) {
        const start = at % Math.max(1, bytes.length);
        if (how === 'set') bytes[start] = byte;
        else if (how === 'cut') bytes = Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + length)]);
        else if (how === 'double') bytes = Buffer.concat([bytes.subarray(0, start + length), bytes.subarray(start)]);
        else bytes = bytes.subarray(0, start);
      }
      if (isSummed) sumHeaders(bytes);
      try {
        readMembers(bytes, [777]);
      } catch (error) {
        assert.ok(error instanceof BatonError, String(error));
        assert.equal(error.code, 'BAD_ARCHIVE');
        assert.ok(error.message.length < 700, error.message);
      }
    }),
    runs(1500),
  );
});

/** Gives every block that looks like a header the checksum it needs, so that changes get past the first check. */
function sumHeaders(bytes: Buffer): void {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.fill(' ', 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
  }
}
