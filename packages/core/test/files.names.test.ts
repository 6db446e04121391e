// Proves: people see every name as text that moves no cursor, and unsafe names are told from safe ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isSafeName, printable } from '../src/files/names.ts';

const seed = Number(process.env['BATON_SEED'] ?? 1);

test('text stays, everything else is escaped', () => {
  assert.equal(printable(Buffer.from('grün 日本 🎉')), 'grün 日本 🎉');
  assert.equal(printable(Buffer.from([0x61, 0xff, 0xfe, 0x62])), 'a\\xff\\xfeb');
  assert.equal(printable(Buffer.from('new\nline\u001b[31m\u007f')), 'new\\x0aline\\x1b[31m\\x7f');
  assert.equal(printable(Buffer.from('x\u202egpj')), 'x\\xe2\\x80\\xaegpj');
  assert.equal(printable(Buffer.from([0xe2, 0x82])), '\\xe2\\x82');
});

test('no control character gets through', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = printable(bytes);
      // biome-ignore lint: control characters are the point
      assert.doesNotMatch(text, /[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/u);
      // What decoders write in place of bytes that are no UTF-8; a name can hold it, too.
      assert.equal(text.includes('\ufffd'), Buffer.from(bytes).includes('\ufffd'));
    }),
    { seed, numRuns: 1_000 },
  );
});

test('a safe name is one component that stays in its directory', () => {
  for (const name of ['a', '...', '.x', 'a b', '\u0001', 'x'.repeat(255)])
    assert.ok(isSafeName(Buffer.from(name)), name);
  for (const name of ['', '.', '..', 'a/b', '/', 'a\0', 'x'.repeat(256)])
    assert.ok(!isSafeName(Buffer.from(name)), name);
});
