// Proves: values become valid JSON or PROTOCOL, whatever their text; arrays and composites keep every character; SQLite gets what it can hold.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import fc from 'fast-check';
import type { TypeDescription } from '../src/postgres/types.ts';
import { valueCodecs } from '../src/postgres/values.ts';
import { rowJson, rowJsonOf } from '../src/row-json.ts';
import type { Row, Table } from '../src/table.ts';
import { runs } from './property.ts';

const base = { schema: 'public', name: 't', delimiter: ',' } as const;
const types: readonly TypeDescription[] = [
  { ...base, oid: 1009, kind: 'base', element: 25 },
  { ...base, oid: 1020, kind: 'base', element: 603, delimiter: ';' },
  {
    ...base,
    oid: 9001,
    kind: 'composite',
    attributes: [
      { name: 'a', type: 25 },
      { name: 'b "', type: 1009 },
    ],
  },
  { ...base, oid: 9002, kind: 'base', element: 9001 },
  { ...base, oid: 9003, kind: 'domain', base: 20 },
  { ...base, oid: 9004, kind: 'enum' },
  { ...base, oid: 9005, kind: 'range' },
  { ...base, oid: 9006, kind: 'composite', attributes: [] },
  { ...base, oid: 9010, kind: 'composite', attributes: [{ name: 'itself', type: 9010 }] },
];
const codecOf = valueCodecs(new Map(types.map((type) => [type.oid, type])));
const builtIn = [16, 17, 20, 21, 23, 25, 26, 700, 701, 790, 1042, 1082, 1114, 1184, 1700, 2950, 3614];
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom('"', '\\', ',', '{', '}', '(', ')', ' ', 'NULL', '\n', 'é', '🐎'),
      fc.string({ unit: 'grapheme', maxLength: 4 }),
    ),
  )
  .map((parts) => parts.join(''));
const value = fc.option(text);

/** As array_out and record_out write them, with quotes around everything. */
const quote = (one: string) => `"${one.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
const arrayText = (values: readonly (string | null)[]) =>
  `{${values.map((one) => (one === null ? 'NULL' : quote(one))).join(',')}}`;
const compositeText = (fields: readonly (string | null)[]) =>
  `(${fields.map((one) => (one === null ? '' : `"${one.replaceAll('\\', '\\\\').replaceAll('"', '""')}"`)).join(',')})`;

test('arrays and composites keep every character', () => {
  fc.assert(
    fc.property(fc.array(value), (values) => {
      assert.deepEqual(JSON.parse(codecOf(1009).json(arrayText(values))), values);
    }),
    runs(500),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(value, fc.option(fc.array(value)))), (values) => {
      const composites = values.map(([a, b]) => compositeText([a, b === null ? null : arrayText(b)]));
      const expected = values.map(([a, b]) => ({ a, 'b "': b }));
      assert.deepEqual(JSON.parse(codecOf(9002).json(arrayText(composites))), expected);
    }),
    runs(300),
  );
});

test('any text is JSON or PROTOCOL, for every type but json', () => {
  const texts = fc.oneof(
    text,
    fc.string({ unit: fc.constantFrom(...'0123456789-+.: eENaInfityBC{}(),"\\[]=xTtf'.split('')), maxLength: 24 }),
  );
  const oids = fc.constantFrom(...builtIn, ...types.map(({ oid }) => oid), 77777);
  fc.assert(
    fc.property(oids, texts, (oid, given) => {
      const codec = codecOf(oid);
      try {
        const json = codec.json(given);
        JSON.parse(json);
        if (codec.quoted !== undefined) assert.equal(`"${codec.quoted(given)}"`, json);
        codec.sqlite(given);
      } catch (error) {
        assert(error instanceof BatonError && error.code === 'PROTOCOL', `${oid} ${given}: ${String(error)}`);
      }
    }),
    runs(5000),
  );
});

test('what a type cannot have is refused with its name', () => {
  const wrong: readonly (readonly [oid: number, text: string])[] = [
    [16, 'true'],
    [23, ''],
    [23, '-'],
    [23, '1.0'],
    [23, '01'],
    [20, '1e5'],
    [701, 'nan'],
    [701, '.5'],
    [701, '0x1'],
    [17, 'AQ=='],
    [17, '\\x0'],
    [17, '\\xzz'],
    [1184, '2026-11-21 12:00:00+02'],
    [1184, '2026-11-21'],
    [1114, 'Sat Nov 21 12:00:00 2026'],
    [1009, ''],
    [1009, '{'],
    [1009, '{a'],
    [1009, '{a,}'],
    [1009, '{a}b'],
    [1009, '{"a}'],
    [1009, '{{{{{{{a}}}}}}}'],
    [9001, 'a'],
    [9001, '(a'],
    [9001, '(a,"b)'],
    [9001, '(a,{})x'],
  ];
  for (const [oid, given] of wrong) {
    const error = { code: 'PROTOCOL', message: /is no value of the type/ };
    assert.throws(() => codecOf(oid).json(given), error, `${oid} ${given}`);
    assert.throws(() => codecOf(oid).sqlite(given), error, `${oid} ${given}`);
  }
});

test('a composite of another shape than is known, and a type that contains itself, are told as they are printed', () => {
  assert.equal(codecOf(9001).json('(a,{},new)'), '"(a,{},new)"');
  assert.equal(codecOf(9001).json('(a)'), '"(a)"');
  assert.equal(codecOf(9006).json('()'), '{}');
  assert.equal(codecOf(9006).json('(1)'), '"(1)"');
  assert.equal(codecOf(9010).json('()'), '{"itself":null}');
});

test('SQLite takes numbers where it has them, bytes, 0 and 1, and text', () => {
  const expected: readonly (readonly [oid: number, text: string, value: unknown])[] = [
    [16, 't', 1],
    [16, 'f', 0],
    [23, '-5', -5],
    [20, '9007199254740991', 9007199254740991],
    [20, '9007199254740993', 9007199254740993n],
    [9003, '-9223372036854775808', -9223372036854775808n],
    [701, '1.5e-07', 1.5e-7],
    [701, 'NaN', 'NaN'],
    [701, '-Infinity', -Infinity],
    [1700, '1.10', '1.10'],
    [17, '\\x00ff', Buffer.from([0, 255])],
    [114, '{"a": 1}', '{"a": 1}'],
    [1184, '2026-11-21 12:00:00.5+00', '2026-11-21T12:00:00.500000Z'],
    [1009, '{a,NULL}', '["a",null]'],
    [9004, 'ok', 'ok'],
    [9005, '[1,2)', '[1,2)'],
    [1082, '0044-03-15 BC', '0044-03-15 BC'],
  ];
  for (const [oid, given, value] of expected) assert.deepEqual(codecOf(oid).sqlite(given), value, `${oid} ${given}`);
  assert.deepEqual(
    [16, 20, 23, 700, 25, 17, 114, 1082, 1184, 1700, 1009, 9001, 9005, 9004].map((oid) => codecOf(oid).kind),
    [
      'boolean',
      'bigint',
      'integer',
      'float',
      'text',
      'binary',
      'json',
      'date',
      'timestamp',
      'decimal',
      'array',
      'composite',
      'other',
      'text',
    ],
  );
});

test('a row is an object of what is known, in the order of columns', () => {
  const oids = [20, 23, 25, 16, 1009, 1184];
  const names = ['id', 'n"', '\\', 'is', 'list', '__proto__'];
  const columns = names.map((name, place) => ({ name, type: '', isNullable: true, codec: codecOf(oids[place] ?? 0) }));
  const table: Table = { schema: 's', name: 't', id: '1', columns, key: [0], hasWholeOldRows: false };
  const values: Row = ['7', '8', 'a"\\\n', 't', '{x}', '2026-01-01 00:00:00+00'];
  const told = ['"7"', '8', '"a\\"\\\\\\n"', 'true', '["x"]', '"2026-01-01T00:00:00.000000Z"'];
  for (let mask = 0; mask < 3 ** names.length; mask++) {
    const states = names.map((_, place) => Math.floor(mask / 3 ** place) % 3);
    const row = values.map((one, place) => [undefined, null, one][states[place] ?? 0]);
    const members = states.flatMap((state, place) =>
      state === 0 ? [] : [`${JSON.stringify(names[place])}:${state === 1 ? 'null' : told[place]}`],
    );
    assert.equal(rowJson(table, row), `{${members.join(',')}}`);
  }
  assert.equal(rowJsonOf(table), rowJsonOf(table));
  assert.equal(rowJson({ ...table, columns: [] }, []), '{}');
});
