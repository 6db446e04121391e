// The structure of a stream, without a tool: whatever way it is cut into chunks and wherever it ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { limits } from '../src/limits.ts';
import { StreamCheck, type StreamDialect, type StreamSummary } from '../src/xbstream.ts';
import { runs } from './property.ts';

function header(type: string, path: string): Buffer {
  const fixed = Buffer.alloc(14);
  fixed.write('XBSTCK01');
  fixed.write(type, 9, 'latin1');
  fixed.writeUInt32LE(Buffer.byteLength(path), 10);
  return Buffer.concat([fixed, Buffer.from(path)]);
}

function payload(path: string, content: Buffer, sparseEntries?: number): Buffer {
  const fields = Buffer.alloc(20);
  fields.writeBigUInt64LE(BigInt(content.length), 0);
  const count = Buffer.alloc(4);
  count.writeUInt32LE(sparseEntries ?? 0);
  return sparseEntries === undefined
    ? Buffer.concat([header('P', path), fields, content])
    : Buffer.concat([header('S', path), count, fields, Buffer.alloc(8 * sparseEntries), content]);
}

const close = (path: string): Buffer => header('E', path);

function check(dialect: StreamDialect, chunks: readonly Uint8Array[]): StreamSummary {
  const checker = new StreamCheck(dialect);
  for (const chunk of chunks) checker.push(chunk);
  return checker.end();
}

const name = fc.stringMatching(/^[a-z#@$_]{1,8}(\/[a-z.]{3,8})?$/).filter((path) => !/(^|\/)\.+(\/|$)/.test(path));
const file = fc.record({ path: name, contents: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 3 }) });

/** The files one after the other, then the one that the tools write last. */
function streamOf(files: readonly { path: string; contents: readonly Uint8Array[] }[]): Buffer {
  const parts = files.flatMap(({ path, contents }) => [
    ...contents.map((content) => payload(path, Buffer.from(content))),
    close(path),
  ]);
  return Buffer.concat([...parts, payload('xtrabackup_info', Buffer.from('uuid = 1\n')), close('xtrabackup_info')]);
}

// Proves: a whole stream is accepted however it is cut, and no part of it from its beginning is (M3).
test('a stream is whole, or it is not', () => {
  const files = fc.uniqueArray(file, { maxLength: 5, selector: ({ path }) => path });
  fc.assert(
    fc.property(files, fc.array(fc.nat(400)), fc.nat(), (list, cuts, end) => {
      const stream = streamOf(list);
      const ends = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
      const summary = check(
        'mariadb',
        ends.map((to, index) => stream.subarray(index === 0 ? 0 : ends[index - 1], to)),
      );
      const contentBytes = list.flatMap(({ contents }) => contents).reduce((sum, { length }) => sum + length, 9);
      assert.deepEqual(summary, { files: list.length + 1, contentBytes });
      assert.throws(() => check('mariadb', [stream.subarray(0, end % stream.length)]), { code: 'BACKUP_FAILED' });
    }),
    runs(300),
  );
});

// Proves: damaged bytes are refused or, where only a payload could tell, passed; nothing else happens.
test('no damage breaks the check', () => {
  const stream = streamOf([{ path: 'db/t.ibd', contents: [Buffer.alloc(30), Buffer.alloc(5)] }]);
  fc.assert(
    fc.property(fc.nat(stream.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const damaged = Buffer.from(stream);
      damaged[at]! ^= mask;
      try {
        check('mariadb', [damaged]);
      } catch (error) {
        assert.ok(['BACKUP_FAILED', 'PROTOCOL', 'LIMIT', 'NOT_TRUSTED'].includes((error as { code: string }).code));
      }
    }),
    runs(1000),
  );
});

// Proves: no path leaves the directory (M4).
test('paths stay inside of the directory', () => {
  for (const path of [
    '/etc/passwd',
    '../up',
    'a/../../up',
    'a//b',
    'a/./b',
    '.',
    '..',
    './../up',
    'a/',
    'nul\0',
    './',
    '',
  ]) {
    const chunk = header('E', path);
    assert.throws(() => check('mariadb', [chunk]), { code: path === '' ? 'LIMIT' : 'NOT_TRUSTED' }, path);
    if (path !== '') {
      const rename = Buffer.concat([header('R', 'fine'), header('E', path).subarray(10)]);
      assert.throws(() => check('mariadb', [rename]), { code: 'NOT_TRUSTED' }, path);
    }
  }
  const long = header('E', 'x'.repeat(limits.streamPathBytesMax + 1));
  assert.throws(() => check('mariadb', [long]), { code: 'LIMIT' });
});

// Proves: each dialect's own chunks are known in it, and not in the other; what is unknown is refused with its type.
test('dialects', () => {
  const tail = streamOf([]);
  const offset = Buffer.alloc(8);
  const mariadb = [
    Buffer.concat([header('S', 'a'), offset]),
    payload('a', Buffer.from('x')),
    close('a'),
    Buffer.concat([header('R', 'a'), Buffer.from([1, 0, 0, 0]), Buffer.from('b')]),
    header('D', 'b'),
  ];
  assert.equal(check('mariadb', [...mariadb, tail]).files, 2);
  assert.throws(() => check('percona', [header('R', 'a')]), { code: 'PROTOCOL', message: /0x52/ });
  assert.throws(() => check('percona', [header('D', 'a')]), { code: 'PROTOCOL', message: /0x44/ });
  assert.equal(check('percona', [payload('a', Buffer.from('xy'), 3), close('a'), tail]).contentBytes, 2 + 9);
  assert.throws(() => check('mariadb', [header('Z', 'a')]), { code: 'PROTOCOL', message: /0x5a/ });
});

// Proves: sizes from outside have limits, and many open files do not pile up.
test('limits', () => {
  const huge = payload('a', Buffer.alloc(0));
  huge.writeBigUInt64LE(BigInt(limits.chunkBytesMax) + 1n, 15);
  assert.throws(() => check('mariadb', [huge]), { code: 'LIMIT' });
  const many = payload('a', Buffer.alloc(0), 0);
  many.writeUInt32LE(limits.sparseEntriesMax + 1, 15);
  assert.throws(() => check('percona', [many]), { code: 'LIMIT' });
  const open = Array.from({ length: limits.openFilesMax + 1 }, (_, index) => payload(`f${index}`, Buffer.alloc(0)));
  assert.throws(() => check('mariadb', open), { code: 'LIMIT' });
});

// Proves: files that are not closed are told by name.
test('an open file is named', () => {
  const stream = [payload('db/t.ibd', Buffer.from('x')), streamOf([])];
  assert.throws(() => check('mariadb', stream), { code: 'BACKUP_FAILED', message: /db\/t\.ibd/ });
});
