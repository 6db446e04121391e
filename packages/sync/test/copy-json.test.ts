// Proves: COPY's text as JSON is, byte for byte, what the decoder and the codecs of all others make of it, wherever its chunks are cut; and it is refused when they refuse it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatonError } from '@batondb/core/errors';
import fc from 'fast-check';
import { CopyJsonDecoder } from '../src/postgres/copy-json.ts';
import type { CopyDecoder } from '../src/postgres/copy-rows.ts';
import { CopyTextDecoder } from '../src/postgres/text.ts';
import { valueCodecs } from '../src/postgres/values.ts';
import { rowJsonOf } from '../src/row-json.ts';
import type { Table } from '../src/table.ts';
import { runs } from './property.ts';

const frame = { head: '{"é":', tail: '}\n' };
const codecOf = valueCodecs(new Map());
// bool, bytea, int8, int4, text, json, float8, date, timestamp, timestamptz, numeric, and one that nobody knows.
const oids = [16, 17, 20, 23, 25, 114, 701, 1082, 1114, 1184, 1700, 99_999];

function tableOf(types: readonly number[]): Table {
  const columns = types.map((oid, place) => ({
    name: place === 0 ? 'first "é"' : `column_${place}`,
    type: '',
    isNullable: true,
    codec: codecOf(oid),
  }));
  return { schema: 'public', name: 't', id: '1', columns, key: [], hasWholeOldRows: false };
}

const two = fc.integer({ min: 0, max: 99 }).map((number) => String(number).padStart(2, '0'));
const fraction = fc.constantFrom('', '.5', '.000001', '.123456', '.1234567', '.');
const zone = fc.constantFrom('+00', '', '+01', '-00', '+00:30', '+00 BC');
const time = fc
  .tuple(fc.constantFrom('2026', '0001', '12026', '202'), two, two, two, two, two, fraction, zone)
  .map(([year, month, day, hour, minute, second, part, at]) => {
    return `${year}-${month}-${day} ${hour}:${minute}:${second}${part}${at}`;
  });
const number = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }).map(String),
  fc.integer({ min: -11, max: 11 }).map(String),
  fc.constantFrom('00', '-', '-0', '-01', '1.50', 'NaN', '1e+300', '', ' 1', '1 ', '１'),
);
/** As it stands in COPY's text. */
const field = fc.oneof(
  fc.constantFrom(
    '\\N',
    't',
    'f',
    '\\\\x00ff',
    '2026-11-21',
    'infinity',
    '\\N1',
    '\\x',
    '\\\\N',
    '\u007f',
    '\u0001',
    '"',
    '\u2028',
  ),
  number,
  time,
  fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replace(/[\\\t\n\r\0]/g, '\\t')),
);
const texts = fc.array(fc.constantFrom(...oids), { minLength: 1, maxLength: 4 }).chain((types) =>
  fc.record({
    types: fc.constant(types),
    // Now and then a row has a field too many or too few.
    rows: fc.array(
      fc.oneof(
        { weight: 20, arbitrary: fc.array(field, { minLength: types.length, maxLength: types.length }) },
        fc.array(field, { minLength: 1, maxLength: 6 }),
      ),
      { maxLength: 5 },
    ),
  }),
);

/** What a decoder tells of chunks, or what it throws. */
function told<T extends { readonly length: number }>(
  chunks: readonly Buffer[],
  decoder: CopyDecoder<T>,
  textOf: (rows: T) => string,
): string {
  try {
    const text = chunks.map((chunk) => textOf(decoder.decode(Buffer.from(chunk)))).join('');
    decoder.finish();
    return text;
  } catch (error) {
    // Of two things that are wrong with a row, either may be named.
    return `throws ${(error as BatonError).code}`;
  }
}

function expectSame(types: readonly number[], chunks: readonly Buffer[]): string {
  const table = tableOf(types);
  const json = rowJsonOf(table);
  const rows = new CopyTextDecoder({ columns: types.length });
  const expected = told(chunks, rows, (batch) => batch.map((row) => `${frame.head}${json(row)}${frame.tail}`).join(''));
  const found = told(chunks, new CopyJsonDecoder(table, frame), ({ length, bytes }) => {
    const text = bytes.toString();
    assert.equal(text.split(frame.head).length - 1, length);
    return text;
  });
  assert.equal(found, expected);
  return found;
}

test('rows as JSON are what the long way makes of them', () => {
  const property = fc.property(texts, fc.array(fc.nat()), ({ types, rows }, cuts) => {
    const bytes = Buffer.from(rows.map((row) => `${row.join('\t')}\n`).join(''));
    const places = [0, ...cuts.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
    const whole = expectSame(types, [bytes]);
    const decoder = new CopyJsonDecoder(tableOf(types), frame);
    const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
    if (!whole.startsWith('throws'))
      assert.equal(
        told(chunks, decoder, (batch) => batch.bytes.toString()),
        whole,
      );
  });
  fc.assert(property, runs(2000));
});

test('every value of one field goes the same way', () => {
  const odd = ['-0', '0', '-', '', '10', '01', 'a"b', '\\"', '\\\\', '\\t', '\\v', '\\q', 'é', '\u0085', '\u001f'];
  const times = [
    '2026-01-01 00:00:00+00',
    '2026-01-01 00:00:00.1+00',
    '2026-01-01 00:00:00.123456+00',
    '10000-01-01 00:00:00+00',
  ];
  for (const oid of oids) for (const text of [...odd, ...times, '\\N']) expectSame([oid], [Buffer.from(`${text}\n`)]);
});

test('a row that is many times its text is written whole', () => {
  const text = `${'\\N\t'.repeat(1599)}\\N\n`;
  const found = expectSame(
    Array.from({ length: 1600 }, () => 25),
    [Buffer.from(text.repeat(3))],
  );
  assert.ok(found.length > 50_000);
});
