// Proves: rows of COPY's text are what was written, wherever its chunks are cut; what is no such text ends in PROTOCOL or LIMIT.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import fc from 'fast-check';
import { CopyFrames } from '../src/postgres/copy-frames.ts';
import { CopyTextDecoder } from '../src/postgres/text.ts';
import type { Row } from '../src/table.ts';
import { runs } from './property.ts';

const special = fc.constantFrom(
  '\b',
  '\f',
  '\n',
  '\r',
  '\t',
  '\v',
  '\\',
  '\\N',
  '\\.',
  'N',
  'é',
  '€',
  '🚀',
  '\ufffd',
  '"',
  '',
);
const field = fc.oneof(
  fc
    .array(fc.oneof(special, fc.string({ unit: 'grapheme', maxLength: 5 })))
    .map((parts) => parts.join('').replaceAll('\0', '')),
  fc.string({ unit: 'grapheme-ascii' }),
  fc.constant(null),
);
const tables = fc
  .integer({ min: 0, max: 6 })
  .chain((columns) =>
    fc.record(
      { columns: fc.constant(columns), rows: fc.array(fc.array(field, { minLength: columns, maxLength: columns })) },
      { noNullPrototype: true },
    ),
  );
const letters: Readonly<Record<string, string>> = {
  '\b': 'b',
  '\f': 'f',
  '\n': 'n',
  '\r': 'r',
  '\t': 't',
  '\v': 'v',
  '\\': '\\',
};

function encode(rows: readonly Row[]): Buffer {
  const fieldText = (one: Row[number]) =>
    one === null || one === undefined ? '\\N' : one.replace(/[\b\f\n\r\t\v\\]/g, (c) => `\\${letters[c]}`);
  return Buffer.from(rows.map((row) => `${row.map(fieldText).join('\t')}\n`).join(''));
}

function decode(bytes: Buffer, columns: number, cuts: readonly number[]): Row[] {
  const decoder = new CopyTextDecoder({ columns });
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  const rows = places.slice(1).flatMap((end, place) => {
    const chunk = Buffer.from(bytes.subarray(places[place], end));
    const found = decoder.decode(chunk);
    chunk.fill(0x58);
    return found;
  });
  decoder.finish();
  return rows;
}

test('rows are what was written, wherever their bytes are cut', () => {
  fc.assert(
    fc.property(tables, fc.array(fc.nat()), ({ columns, rows }, cuts) => {
      assert.deepEqual(decode(encode(rows), columns, cuts), rows);
    }),
    runs(500),
  );
});

test('a cut in every place of an awkward row', () => {
  const row = ['é€🚀', null, 'a\tb\nc\\N', '', '\\N'];
  const bytes = encode([row, row]);
  for (let cut = 0; cut <= bytes.length; cut++) assert.deepEqual(decode(bytes, 5, [cut]), [row, row]);
  const each = Array.from({ length: bytes.length }, (_, place) => place);
  assert.deepEqual(decode(bytes, 5, each), [row, row]);
});

test('any bytes are rows or PROTOCOL', () => {
  const bytes = fc.array(fc.oneof(fc.constantFrom(0x09, 0x0a, 0x5c, 0x4e, 0x6e), fc.nat(255)));
  fc.assert(
    fc.property(bytes, fc.array(fc.nat()), fc.nat(3), (given, cuts, columns) => {
      try {
        decode(Buffer.from(given), columns, cuts);
      } catch (error) {
        assert(error instanceof BatonError && error.code === 'PROTOCOL', String(error));
      }
    }),
    runs(2000),
  );
});

test('a row beyond the limit, a row that does not end, a wrong number of fields, an unknown escape', () => {
  const long = new CopyTextDecoder({ columns: 1, rowBytesMax: 10 });
  assert.deepEqual(long.decode(Buffer.from('0123456789')), []);
  assert.throws(() => long.decode(Buffer.from('0')), { code: 'LIMIT' });
  const open = new CopyTextDecoder({ columns: 1 });
  assert.deepEqual(open.decode(Buffer.from('a\nb')), [['a']]);
  assert.throws(() => open.finish(), { code: 'PROTOCOL', message: /1 bytes/ });
  const decodeOne = (text: string, columns: number) => () => new CopyTextDecoder({ columns }).decode(Buffer.from(text));
  assert.throws(decodeOne('a\tb\n', 3), { code: 'PROTOCOL', message: /2 fields, but 3/ });
  assert.throws(decodeOne('a\n', 0), { code: 'PROTOCOL' });
  assert.throws(decodeOne('a\\x41\n', 1), { code: 'PROTOCOL' });
  assert.throws(decodeOne('\\N\\\n', 1), { code: 'PROTOCOL' });
  assert.deepEqual(decodeOne('\n\n', 0)(), [[], []]);
});

test('rows are taken out of the messages of a COPY, wherever these are cut; what ends it is given back', () => {
  const message = (letter: string, content: Buffer) => {
    const head = Buffer.alloc(5);
    head.write(letter, 'latin1');
    head.writeUInt32BE(content.length + 4, 1);
    return Buffer.concat([head, content]);
  };
  const content = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes));
  const inside = fc.array(fc.tuple(fc.constantFrom('d', 'd', 'd', 'H', 'N', 'S', 'A'), content), { maxLength: 20 });
  fc.assert(
    fc.property(inside, fc.constantFrom('c', 'E', 'C'), fc.array(fc.nat()), (given, last, cuts) => {
      const end = Buffer.concat([message(last, Buffer.from('end')), Buffer.from('more')]);
      const bytes = Buffer.concat([...given.map(([letter, data]) => message(letter, data)), end]);
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
      const frames = new CopyFrames();
      const data: Buffer[] = [];
      const rest: Buffer[] = [];
      for (const [place, to] of places.slice(1).entries()) {
        const chunk = Buffer.from(bytes.subarray(places[place], to));
        // After its end, the connection is the driver's again.
        const piece = rest.length > 0 ? { data: chunk.subarray(0, 0), rest: chunk } : frames.split(chunk);
        data.push(Buffer.from(piece.data));
        if (piece.rest !== undefined) rest.push(Buffer.from(piece.rest));
      }
      const rows = given.flatMap(([letter, bytesOf]) => (letter === 'd' ? [bytesOf] : []));
      assert.deepEqual(Buffer.concat(data), Buffer.concat(rows));
      assert.deepEqual(Buffer.concat(rest), end);
    }),
    runs(500),
  );
  assert.throws(() => new CopyFrames().split(Buffer.from([0x64, 0, 0, 0, 3, 0])), { code: 'PROTOCOL' });
});
