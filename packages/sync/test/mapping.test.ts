import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamEvent } from '@batondb/sync';
import { mapEvent } from '@batondb/sync/mapping/map-event';
import { everything, expectDistinct, Mapping, type MappingOptions } from '@batondb/sync/mapping/mapping';
import { parsePattern, parseTableName } from '@batondb/sync/mapping/patterns';
import { textTable } from './tables.ts';

const mapping = (options: Partial<MappingOptions>): Mapping => new Mapping({ ...everything, ...options });
const failsWith = (pattern: RegExp) => (error: Error) => pattern.test(error.message);

// Proves: patterns choose what they say, `*` crosses no dot, and quotes take everything as it is.
test('patterns', () => {
  const cases: readonly (readonly [string, string, string, boolean])[] = [
    ['public.orders', 'public', 'orders', true],
    ['public.orders', 'sales', 'orders', false],
    ['orders', 'sales', 'orders', true],
    ['public.*', 'public', 'a.b', true],
    ['*.order*', 'sales', 'order_lines', true],
    ['*', 'any', 'thing', true],
    ['"odd.schema"."a*b"', 'odd.schema', 'a*b', true],
    ['"odd.schema"."a*b"', 'odd.schema', 'axb', false],
    ['a.b', 'a', 'bc', false],
    ['"say ""hi"""', 'x', 'say "hi"', true],
  ];
  for (const [pattern, schema, name, expected] of cases) {
    assert.equal(parsePattern(pattern).matches({ schema, name }), expected, `${pattern} and ${schema}.${name}`);
  }
  for (const wrong of ['', '.', 'a.', 'a.b.c', '"a', 'a"b']) {
    assert.throws(() => parsePattern(wrong), failsWith(/is no name of a table/), wrong);
  }
  assert.throws(() => parseTableName('a.*', 'public'), failsWith(/is no name/));
  assert.deepEqual(parseTableName('t', 'public'), { schema: 'public', name: 't' });
});

// Proves: exclusion wins, and what is excluded leaves nothing of its events behind but the transaction.
test('tables that are not wanted', () => {
  const wanted = mapping({ include: [parsePattern('public.*')], exclude: [parsePattern('*.secret')] });
  const [open, secret] = [textTable('open', ['id']), textTable('secret', ['id'])];
  const told: readonly StreamEvent[] = [
    { kind: 'begin', transaction: '1', commitsAt: '1', committedAtMs: undefined },
    { kind: 'insert', table: open, row: ['1'] },
    { kind: 'insert', table: secret, row: ['1'] },
    { kind: 'truncate', tables: [open, secret] },
    { kind: 'truncate', tables: [secret] },
    { kind: 'commit', position: '2', committedAtMs: undefined },
  ];
  const kept = told.flatMap((event) => mapEvent(event, wanted) ?? []);
  assert.deepEqual(kept, [told[0], told[1], { kind: 'truncate', tables: [open] }, told[5]]);
  assert.equal(kept[1], told[1], 'what is not changed is not copied');
});

// Proves: chosen columns keep the key and the table's order, rows and old rows alike; a new name says what the old one was.
test('columns, keys and names', () => {
  const table = textTable('people', ['id', 'name', 'mail', 'city'], { hasWholeOldRows: true });
  const chosen = mapping({
    columns: [{ table: parsePattern('people'), columns: ['city', 'name'] }],
    renames: [{ from: { schema: 'public', name: 'people' }, to: { schema: 'crm', name: 'persons' } }],
  });
  const event = mapEvent(
    { kind: 'update', table, row: ['1', 'A', 'a@', undefined], old: ['1', 'B', 'b@', 'Bern'] },
    chosen,
  );
  assert.ok(event?.kind === 'update');
  assert.deepEqual(
    [event.row, event.old],
    [
      ['1', 'A', undefined],
      ['1', 'B', 'Bern'],
    ],
  );
  assert.deepEqual(
    event.table.columns.map(({ name }) => name),
    ['id', 'name', 'city'],
  );
  assert.deepEqual([event.table.schema, event.table.name, event.table.key], ['crm', 'persons', [0]]);
  assert.deepEqual(event.table.original, { schema: 'public', name: 'people' });
  const declared = mapping({ keys: [{ table: parsePattern('people'), columns: ['mail', 'city'] }] });
  assert.deepEqual(declared.map(table)?.table.key, [2, 3]);
});

// Proves: what cannot be meant is refused with what there is.
test('choices that do not fit', () => {
  const table = textTable('people', ['id', 'mail']);
  const columns = mapping({ columns: [{ table: parsePattern('people'), columns: ['Mail'] }] });
  assert.throws(() => columns.map(table), failsWith(/no column "Mail".*id, mail/));
  const keys = mapping({ keys: [{ table: parsePattern('people'), columns: ['mail'] }] });
  assert.throws(() => keys.map(table), failsWith(/does not come with its updates and deletes/));
  const renamed = { ...textTable('b', ['id']), name: 'people', original: { schema: 'public', name: 'b' } };
  assert.throws(
    () => expectDistinct([table, renamed]),
    failsWith(/public\.people and public\.b would both be public\.people/),
  );
});
