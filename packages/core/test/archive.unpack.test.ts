import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type RawMember, rawArchive } from '@batondb/testbed/archives';
import { makeSandbox, type Sandbox } from '@batondb/testbed/sandbox';
import fc from 'fast-check';
import { type ArchiveFormat, archiveFormatOf } from '../src/archive/decompress.ts';
import { checkSymlink } from '../src/archive/member-place.ts';
import { BatonError } from '../src/errors.ts';
import { toBatonError } from '../src/files/system-error.ts';
import { unpackInto } from './archive.events.ts';
import { runs } from './property.ts';

// What is made of an archive on the disk, and what is not.

let sandbox: Sandbox;
before(() => {
  sandbox = makeSandbox();
});
after(async () => {
  await sandbox[Symbol.asyncDispose]();
});

/** Unpacks bytes in a directory of its own; returns that. */
async function unpack(bytes: Uint8Array, format: ArchiveFormat = 'tar', membersMax?: number): Promise<string> {
  const place = sandbox.join(randomUUID());
  mkdirSync(place);
  writeFileSync(join(place, 'archive'), bytes);
  await unpackInto(join(place, 'archive'), format, place, 'copy', membersMax);
  return join(place, 'copy');
}

/** The message with which bytes are refused; fails the test when they are not, or not for what they are. */
async function refusal(bytes: Uint8Array, format: ArchiveFormat = 'tar', membersMax?: number): Promise<string> {
  try {
    await unpack(bytes, format, membersMax);
  } catch (error) {
    const { code, message } = toBatonError(error);
    assert.equal(code, 'BAD_ARCHIVE', message);
    return message;
  }
  return assert.fail('the archive was not refused');
}

const file: RawMember = { path: 'd/file', content: 'content' };
const link = (linkPath: string, path = 'd/link'): RawMember => ({ path, type: '2', linkPath });
const hard = (linkPath: string): RawMember => ({ path: 'd/hard', type: '1', linkPath });

const hostile: readonly (readonly [string, readonly RawMember[], RegExp])[] = [
  ['an absolute path', [{ path: '/etc/evil' }], /member '\/etc\/evil' has an absolute path/],
  ['a path that goes up', [{ path: 'd/../../evil' }], /'d\/\.\.\/\.\.\/evil' goes up with '\.\.'/],
  ['a path that begins above', [{ path: '../d/evil' }], /goes up with '\.\.'/],
  ['a NUL in a name', [{ path: 'x', pax: { path: 'd/a\0b' } }], /has a NUL in its name/],
  ['an empty name', [{ path: '' }], /has no name/],
  ['a long name', [{ path: `d/${'x'.repeat(256)}` }], /has a name of 256 bytes, and the limit is 255/],
  ['a long path', [{ path: `d/${'x/'.repeat(20_000)}y` }], /has a path of 40003 bytes, and the limit is 32768/],
  ['an absolute symlink', [link('/etc/passwd')], /is a symlink to '\/etc\/passwd', which is an absolute path/],
  ['a symlink out', [link('../file')], /is a symlink to '\.\.\/file', which leads out of the archive/],
  ['a deeper symlink out', [link('../../x', 'd/sub/link')], /which leads out of the archive/],
  ['a symlink that turns back', [link('a/../b')], /which goes up with '\.\.' behind a name/],
  ['an empty symlink', [link('')], /which cannot be a target/],
  [
    'a hard link to an absolute path',
    [hard('/etc/passwd')],
    /has an absolute path in what it links to, '\/etc\/passwd'/,
  ],
  ['a hard link up', [hard('d/../../etc/passwd')], /goes up with '\.\.' in what it links to/],
  ['a hard link to nothing', [hard('d/none')], /is a hard link to 'd\/none', which is no file before it/],
  ['a hard link to a later file', [hard('d/file'), file], /which is no file before it/],
  ['a hard link to a directory', [{ path: 'd/sub/', type: '5' }, hard('d/sub')], /which is no file before it/],
  ['a hard link through a symlink', [{ path: 'd/s/f' }, link('s', 'd/l'), hard('d/l/f')], /which is no file before it/],
  ['a file through a symlink', [link('.'), { path: 'd/link/file' }], /goes through 'link', which is a symlink/],
  [
    'a directory over a symlink',
    [link('.'), { path: 'd/link/', type: '5' }],
    /goes through 'link', which is a symlink/,
  ],
  ['a file through a file', [file, { path: 'd/file/x' }], /goes through 'file', which is a file of the archive/],
  ['a file twice', [file, file], /'d\/file' comes twice/],
  ['a file over a directory', [{ path: 'd/a/b' }, { path: 'd/a' }], /'d\/a' comes twice/],
  [
    'a directory twice',
    [
      { path: 'd/a/', type: '5' },
      { path: 'e/a/', type: '5' },
    ],
    /'e\/a\/' comes twice/,
  ],
  ['a file over a symlink', [link('file'), { path: 'd/link', content: 'x' }], /'d\/link' comes twice/],
  ['nothing below the first component', [{ path: 'a' }, { path: 'b' }], /holds nothing below the first component/],
];

for (const [what, members, message] of hostile) {
  // Proves: this is refused with a message that names the member, and nothing outside of the directory is made.
  test(`refused: ${what}`, async () => {
    assert.match(await refusal(rawArchive(members)), message);
    assert.ok(!existsSync('/etc/evil') && !existsSync(sandbox.join('evil')));
  });
}

// Proves: control characters of a member's name do not reach a terminal by way of the message.
test('a name that would move the cursor', async () => {
  assert.match(await refusal(rawArchive([{ path: '/\u001b[2J' }])), /member '\/\\x1b\[2J' has/);
});

// Proves: more members than the limit are refused.
test('too many members', async () => {
  const members = Array.from({ length: 11 }, (_, index) => ({ path: `d/${index}` }));
  assert.equal(readdirSync(await unpack(rawArchive(members.slice(1)), 'tar', 10)).length, 10);
  assert.match(await refusal(rawArchive(members), 'tar', 10), /'d\/10' is one member more than the limit of 10/);
});

// Proves: what is not hostile is not refused: `./` as the first component, links inside, directories that come late or never, device
// numbers, and a first component that has no name of its own.
test('what is allowed', async () => {
  const copy = await unpack(
    rawArchive([
      { path: './', type: '5' },
      { path: './a/b/file', content: 'content' },
      { path: './a/', type: '5', mode: 0o700 },
      { path: './a/././hard', type: '1', linkPath: './a/b/file' },
      { path: './a/b/up', type: '2', linkPath: '../hard' },
      { path: './a/b/top', type: '2', linkPath: '../..' },
      { path: './a/nowhere', type: '2', linkPath: 'no/such/file' },
      { path: './empty/', type: '5', mode: 0o755 },
    ]),
  );
  assert.equal(readFileSync(join(copy, 'a/b/up'), 'utf8'), 'content');
  assert.equal(realpathSync(join(copy, 'a/b/top')), realpathSync(copy));
  assert.equal(lstatSync(join(copy, 'a')).mode & 0o7777, 0o700);
  assert.equal(lstatSync(join(copy, 'a/b')).mode & 0o7777, 0o755);
  assert.equal(lstatSync(join(copy, 'a')).mtimeMs, 1_600_000_000_000);
  assert.deepEqual(readdirSync(copy).sort(), ['a', 'empty']);
});

// Proves: a tree of symlinks that the check lets pass has none by which anybody gets out, whichever way they lead through one another.
test('symlinks that are allowed stay inside', async () => {
  const part = fc.constantFrom('..', '..', '.', 'a', 'b', 'c');
  const links = fc.uniqueArray(
    fc.record({
      place: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }),
      target: fc.array(part, { minLength: 1, maxLength: 5 }),
    }),
    { minLength: 1, maxLength: 8, selector: ({ place }) => place.join('/') },
  );
  let allowed = 0;
  await fc.assert(
    fc.asyncProperty(links, async (made) => {
      // Every place is a link or a directory of links: those below another link are left out.
      const chosen = made.filter(({ place, target }) => {
        const isBelow = made.some(
          (other) => other.place.length < place.length && other.place.every((name, at) => name === place[at]),
        );
        const isAbove = made.some(
          (other) => other.place.length > place.length && place.every((name, at) => name === other.place[at]),
        );
        return !isBelow && !isAbove && isAllowed(target.join('/'), place.length - 1);
      });
      if (chosen.length === 0) return;
      allowed += chosen.length;
      const members = chosen.map(({ place, target }) => ({
        path: `d/${place.join('/')}`,
        type: '2',
        linkPath: target.join('/'),
      }));
      const copy = realpathSync(await unpack(rawArchive(members)));
      for (const { place } of chosen) {
        const end = whereItLeads(join(copy, ...place));
        assert.ok(!relative(copy, end ?? copy).startsWith('..'), `${place.join('/')} leads to ${end}`);
      }
    }),
    runs(40),
  );
  assert.ok(allowed > 20, `only ${allowed} links were allowed`);
});

/** Undefined for a link that leads nowhere, or in a circle: nobody gets out by it. */
function whereItLeads(path: string): string | undefined {
  try {
    return realpathSync.native(path);
  } catch {
    return undefined;
  }
}

function isAllowed(target: string, depth: number): boolean {
  try {
    checkSymlink(Buffer.from(target), depth, Buffer.from('link'));
    return true;
  } catch (error) {
    assert.ok(error instanceof BatonError);
    return false;
  }
}

const tar = rawArchive([file, { path: 'd/large', content: Buffer.alloc(3_000_000, 'some content that repeats') }]);
const compress = { gzip: (bytes: Uint8Array) => gzipSync(bytes), zstd: (bytes: Uint8Array) => zstdCompressSync(bytes) };

for (const format of ['gzip', 'zstd'] as const) {
  const whole = compress[format](tar);
  const half = tar.length >> 1;
  const frames = Buffer.concat([compress[format](tar.subarray(0, half)), compress[format](tar.subarray(half))]);

  // Proves: one compressed file of several frames is all of them, wherever the reader's pieces end.
  test(`${format}: frames one after the other`, async () => {
    for (const bytes of [whole, frames]) {
      const copy = await unpack(bytes, format);
      assert.equal(lstatSync(join(copy, 'large')).size, 3_000_000);
    }
  });

  // Proves: a compressed file that is cut off, damaged, followed by something, or not one at all is refused, and says so.
  test(`${format}: damaged files`, async () => {
    for (const bytes of [whole, frames]) {
      for (const end of [1, 5, bytes.length >> 1, bytes.length - 1])
        assert.match(
          await refusal(bytes.subarray(0, end), format),
          /^the archive is cut off|^the archive is damaged at about byte/,
        );
      assert.match(
        await refusal(Buffer.concat([bytes, Buffer.from('behind')]), format),
        /damaged at about byte|goes on behind/,
      );
      const zerosThenMore = Buffer.concat([bytes, Buffer.alloc(100), Buffer.from('behind')]);
      assert.match(await refusal(zerosThenMore, format), /damaged at about byte|goes on behind its compressed end/);
    }
    assert.match(await refusal(tar, format), /damaged at about byte 0/);
    assert.match(await refusal(Buffer.alloc(0), format), /is cut off/);
    const bad = Buffer.from(whole);
    bad[bad.length - 3]! ^= 1;
    if (format === 'gzip')
      assert.match(await refusal(bad, format), /damaged at about byte \d+ of the gzip file: incorrect/);
  });

  // Proves: what is behind the end mark of the tar is refused also when it is well compressed.
  test(`${format}: two archives in one file`, async () => {
    assert.match(await refusal(Buffer.concat([whole, whole]), format), /goes on after its end mark/);
  });
}

// Proves: gzip files padded with zeros to the block of a tape are whole.
test('gzip: zeros behind', async () => {
  assert.equal(readdirSync(await unpack(Buffer.concat([gzipSync(tar), Buffer.alloc(9000)]), 'gzip')).length, 2);
});

// Proves: only the four endings are archives, and an ending alone is none.
test('endings', () => {
  const said = ['a.tar', 'a.tar.gz', 'a.tgz', 'a.tar.zst', '.tgz', 'a.gz', 'a.zip', 'a.tar.xz', 'atar', 'a.TGZ'];
  assert.deepEqual(
    said.map((name) => archiveFormatOf(Buffer.from(name))),
    ['tar', 'gzip', 'gzip', 'zstd', ...Array.from({ length: 6 }, () => undefined)],
  );
});
