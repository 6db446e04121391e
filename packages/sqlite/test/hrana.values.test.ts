// Values, conditions and statements on the wire.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SqlValue } from '../src/engine/values.ts';
import { decodeCondition, holds } from '../src/hrana/conditions.ts';
import type { Fields } from '../src/hrana/fields.ts';
import { limits } from '../src/hrana/limits.ts';
import { decodeBatch, decodeStatement } from '../src/hrana/statements.ts';
import { StoredSql } from '../src/hrana/stored-sql.ts';
import { decodeValue, encodeValue } from '../src/hrana/values.ts';
import { runs } from './property.ts';

const place = { key: 'value', within: undefined };
const noSql = (): string => assert.fail('no text is stored');
const decode = (text: string): SqlValue => decodeValue(JSON.parse(text) as Fields, place);

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const text = fc.string({ unit: 'binary' });
const sqlValue: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  int64,
  fc.double({ noNaN: true }),
  text,
  fc.uint8Array(),
);

// Proves: every value that SQLite can hold crosses the wire and back unchanged: all 64 bits, infinities, -0, any text, any bytes.
test('values survive the wire', () => {
  fc.assert(
    fc.property(sqlValue, (value) => {
      const back = decode(encodeValue(value));
      if (value instanceof Uint8Array) assert.deepEqual(Buffer.from(value), back);
      else assert.ok(Object.is(back, value), `${String(value)} came back as ${String(back)}`);
    }),
    runs(1000),
  );
  assert.equal(encodeValue(Number.NaN), '{"type":"null"}');
});

// Proves: a value that is not what it says is refused with the field's name, and never becomes another value.
test('values that are none', () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{}, /value\.type must be null, integer/],
    [{ type: 'integer', value: 1 }, /value\.value must be an integer as a string of digits, and is a number/],
    [{ type: 'integer', value: '1.5' }, /value\.value must be an integer/],
    [{ type: 'integer', value: '9223372036854775808' }, /value\.value must be an integer of 64 bits/],
    [{ type: 'integer', value: '1'.repeat(100_000) }, /value\.value must be an integer/],
    [{ type: 'float', value: '1' }, /value\.value must be a number, and is a string/],
    [{ type: 'text', value: '\ud800' }, /value\.value must be text without halves/],
    [{ type: 'text' }, /value\.value must be a string/],
    [{ type: 'blob', base64: 'a' }, /value\.base64 must be base64/],
    [{ type: 'blob', base64: 'ab c' }, /value\.base64 must be base64/],
    [{ type: 'blob', base64: 'ab=c' }, /value\.base64 must be base64/],
    [{ type: 'blob', base64: 'a===' }, /value\.base64 must be base64/],
  ];
  for (const [fields, message] of cases)
    assert.throws(() => decodeValue(fields as Fields, place), { code: 'PROTOCOL', message }, JSON.stringify(fields));
});

// Proves: judging a long text takes time in proportion to its length, whatever is in it.
test('long texts that are no base64 cost no more than they weigh', () => {
  const padding = '='.repeat(8_000_000);
  const startMs = performance.now();
  assert.throws(() => decodeValue({ type: 'blob', base64: `${padding}a` }, place), { code: 'PROTOCOL' });
  assert.throws(() => decodeValue({ type: 'blob', base64: `aaaa${padding}` }, place), { code: 'PROTOCOL' });
  assert.ok(performance.now() - startMs < 5000);
});

const outcome = fc.constantFrom('done' as const, 'failed' as const, 'skipped' as const);

/** A condition and what it means, put together side by side. */
const conditions = (
  steps: number,
): fc.Arbitrary<{ wire: unknown; expected: (o: readonly string[], a: boolean) => boolean }> =>
  fc.letrec<{ node: { wire: unknown; expected: (o: readonly string[], a: boolean) => boolean } }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      fc
        .nat(steps - 1)
        .map((step) => ({ wire: { type: 'ok', step }, expected: (o: readonly string[]) => o[step] === 'done' })),
      fc
        .nat(steps - 1)
        .map((step) => ({ wire: { type: 'error', step }, expected: (o: readonly string[]) => o[step] === 'failed' })),
      fc.constant({ wire: { type: 'is_autocommit' }, expected: (_: readonly string[], a: boolean) => a }),
      tie('node').map((cond) => ({
        wire: { type: 'not', cond: cond.wire },
        expected: (o: readonly string[], a: boolean) => !cond.expected(o, a),
      })),
      fc.array(tie('node'), { maxLength: 3 }).map((conds) => ({
        wire: { type: 'and', conds: conds.map(({ wire }) => wire) },
        expected: (o: readonly string[], a: boolean) => !conds.some((cond) => !cond.expected(o, a)),
      })),
      fc.array(tie('node'), { maxLength: 3 }).map((conds) => ({
        wire: { type: 'or', conds: conds.map(({ wire }) => wire) },
        expected: (o: readonly string[], a: boolean) => conds.some((cond) => cond.expected(o, a)),
      })),
    ),
  })).node;

// Proves: conditions mean what the specification says, however they are nested (H5).
test('conditions hold when they should', () => {
  fc.assert(
    fc.property(
      conditions(4),
      fc.array(outcome, { minLength: 4, maxLength: 4 }),
      fc.boolean(),
      (condition, types, isAutocommit) => {
        const decoded = decodeCondition(condition.wire as Fields, place, 4);
        const outcomes = types.map((type) => ({ type }));
        assert.equal(holds(decoded, { outcomes, isAutocommit }), condition.expected(types, isAutocommit));
      },
    ),
    runs(500),
  );
  assert.ok(holds(undefined, { outcomes: [], isAutocommit: true }));
});

// Proves: a condition can neither look ahead nor be nested so deep that it overflows our stack.
test('conditions that are refused', () => {
  const nested = (depth: number): Fields =>
    depth === 0 ? { type: 'is_autocommit' } : { type: 'not', cond: nested(depth - 1) };
  decodeCondition(nested(limits.conditionDepthMax - 1), place, 0);
  const message = /value has 33 conditions within conditions; the limit is 32/;
  assert.throws(() => decodeCondition(nested(limits.conditionDepthMax), place, 0), {
    code: 'LIMIT',
    message,
  });
  const ahead = {
    type: 'or',
    conds: [
      { type: 'ok', step: 0 },
      { type: 'error', step: 2 },
    ],
  };
  assert.throws(() => decodeCondition(ahead, place, 2), {
    code: 'PROTOCOL',
    message: 'value.conds[1].step must be the number of a step before this one, which is 2',
  });
  const wide = {
    type: 'and',
    conds: Array.from({ length: 3 }, () => ({
      type: 'or',
      conds: Array.from({ length: 2000 }, () => ({ type: 'is_autocommit' })),
    })),
  };
  assert.throws(() => decodeCondition(wide, place, 0), { code: 'LIMIT' });
});

// Proves: a statement's defaults and optional fields are those of the specification, and unknown fields are ignored.
test('statements', () => {
  const plain = { sql: 'SELECT 1', values: [], namedValues: [], wantRows: true };
  assert.deepEqual(decodeStatement({ sql: 'SELECT 1' }, place, noSql), plain);
  const nulls = {
    sql: 'SELECT 1',
    sql_id: null,
    args: null,
    named_args: null,
    want_rows: null,
    replication_index: '7',
  };
  assert.deepEqual(decodeStatement(nulls, place, noSql), plain);
  const full = {
    sql_id: 7,
    args: [{ type: 'null' }],
    named_args: [{ name: 'a', value: { type: 'text', value: 'x' } }],
    want_rows: false,
  };
  assert.deepEqual(
    decodeStatement(full, place, (id) => `text ${id}`),
    {
      sql: 'text 7',
      values: [null],
      namedValues: [{ name: 'a', value: 'x' }],
      wantRows: false,
    },
  );
  assert.throws(() => decodeStatement({}, place, noSql), { message: 'value.sql must be there, or sql_id' });
  assert.throws(() => decodeStatement({ sql: '', sql_id: 1 }, place, noSql), {
    message: 'value.sql_id must be left out beside sql',
  });
  assert.throws(
    () =>
      decodeStatement(
        { sql: 'x', args: Array.from({ length: limits.valuesMax + 1 }, () => ({ type: 'null' })) },
        place,
        noSql,
      ),
    {
      code: 'LIMIT',
      message: `value.args has ${limits.valuesMax + 1} members; the limit is ${limits.valuesMax}`,
    },
  );
  const steps = [{ stmt: { sql: 'a' } }, { stmt: { sql: 'b', args: [{ type: 'real' }] }, condition: null }];
  assert.throws(() => decodeBatch({ steps }, place, noSql), {
    message: /^value\.steps\[1\]\.stmt\.args\[0\]\.type must be/,
  });
});

// Proves: stored texts are found by number until they are closed, and can fill neither the map nor the memory.
test('stored texts', () => {
  const stored = new StoredSql();
  stored.store(-5, 'SELECT 5');
  assert.equal(stored.find(-5), 'SELECT 5');
  assert.throws(() => stored.store(-5, 'x'), { code: 'PROTOCOL' });
  stored.close(-5);
  stored.close(-5);
  assert.throws(() => stored.find(-5), { code: 'PROTOCOL', message: 'there is no stored SQL text -5' });
  const half = 'x'.repeat(limits.storedSqlCharactersMax / 2);
  stored.store(1, half);
  stored.store(2, half);
  assert.throws(() => stored.store(3, 'x'), { code: 'LIMIT' });
  stored.close(2);
  for (let id = 10; id < 10 + limits.storedSqlMax - 1; id++) stored.store(id, '');
  assert.throws(() => stored.store(9, ''), { code: 'LIMIT' });
});
