// Where rows are in etcd, and how what is there is read back. No server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapePart, unescapePart } from '@batondb/sync/etcd/key-parts';
import { expectApart, type LayoutChoice, layoutOf } from '@batondb/sync/etcd/layout';
import { planEtcdSink } from '@batondb/sync/etcd/settings';
import { TableIndex } from '@batondb/sync/etcd/table-index';
import { membersOf } from '@batondb/sync/json-members';
import fc from 'fast-check';
import { runs } from './property.ts';

const field = fc.oneof(
  fc.constantFrom(null, '', '/', '%', '%N', '%2F', 'a/b', '\n', 'ü', '\u0000'),
  fc.string({ unit: 'binary' }),
);
const orders = { schema: 'shop', name: 'orders', key: ['region', 'id'] };

// Proves: a part of a key has no slash and no blank, is read back as it was, and no two fields have the same.
test('parts of keys', () => {
  fc.assert(
    fc.property(field, field, (one, other) => {
      const part = escapePart(one);
      assert.match(part, /^[^/\u0000-\u0020\u007f]*$/);
      assert.equal(unescapePart(part), one);
      assert.equal(part === escapePart(other), one === other);
    }),
    runs(1_000),
  );
});

// Proves: every layout gives rows keys of their own, below a prefix of their table's own, and reads them back.
test('layouts', () => {
  const choices: readonly LayoutChoice[] = [
    'native',
    'contrail',
    { template: '/{schema}/{table}/{key}' },
    { template: '/v1/{table}/{id}/of/{region}' },
  ];
  for (const choice of choices) {
    const layout = layoutOf(choice, '/config/');
    const place = layout.place(orders);
    const other = layout.place({ ...orders, name: 'orders2' });
    assert.ok(!other.prefix.startsWith(place.prefix) && !place.prefix.startsWith(other.prefix));
    assert.ok(place.prefix.startsWith(layout.dataPrefix) && !place.prefix.startsWith(layout.metaPrefix));
    fc.assert(
      fc.property(fc.tuple(field, field), fc.tuple(field, field), (one, another) => {
        const key = place.key(one);
        assert.ok(key.startsWith(place.prefix));
        assert.deepEqual(place.fields(key), one);
        assert.equal(key === place.key(another), one[0] === another[0] && one[1] === another[1]);
      }),
      runs(200),
    );
  }
  assert.equal(layoutOf('native', '/b/').place(orders).key(['eu', '7']), '/b/d/shop/orders/eu/7');
  assert.equal(layoutOf('contrail', '/contrail/').place(orders).key(['eu', '7']), '/contrail/orders/eu/7');
  // Readers of that layout look below the path, and all of it is one range.
  const { metaPrefix, everything } = layoutOf('contrail', '/contrail/');
  assert.equal(metaPrefix, '/contrail.baton/');
  const end = Buffer.from(everything.end).toString();
  for (const key of ['/contrail.baton/pos', '/contrail/orders/7']) assert.ok(everything.key <= key && key < end);
});

// Proves: a template by which two rows could have one key is refused before anything is written.
test('templates that tell nothing apart', () => {
  for (const [template, why] of [
    ['{table}/{key}', /begin with a slash/],
    ['/{table}', /neither \{key\} nor a column/],
    ['/{schema}/{key}', /no \{table\}/],
    ['/{table}-{key}', /between two slashes/],
    ['/{table}//{key}', /between two slashes/],
    ['/{id}/{table}/{region}', /before its table/],
    ['/{table}/{key}/{key}', /twice/],
  ] as const) {
    assert.throws(() => layoutOf({ template }, '/p/'), { code: 'USAGE', message: why }, template);
  }
  const place = (template: string) => () => layoutOf({ template }, '/p/').place(orders);
  assert.throws(place('/{table}/{id}'), { code: 'USAGE', message: /leaves out region/ });
  assert.throws(place('/{table}/{region}/{id}/{note}'), {
    code: 'USAGE',
    message: /\{note\}, which is not in the key/,
  });
  const elsewhere = { ...orders, schema: 'archive' };
  expectApart(layoutOf('native', '/p/'), [orders, elsewhere]);
  assert.throws(() => expectApart(layoutOf('contrail', '/p/'), [orders, elsewhere]), {
    code: 'USAGE',
    message: /shop\.orders and archive\.orders would both be below \/p\/orders\//,
  });
});

// Proves: a key is found to be of its table, and of no other.
test('which table a key is of', () => {
  const layout = layoutOf('native', '/p/');
  const record = (schema: string, name: string) => ({
    schema,
    name,
    id: name,
    columns: [],
    key: ['id'],
    dumpedAt: undefined,
    isResyncing: false,
  });
  const tables = new TableIndex(layout, [record('a', 'b'), record('a', 'b/c'), record('a/b', 'c')]);
  const found = (key: string): string | undefined => {
    const table = tables.find(key);
    return table && `${table.record.schema}|${table.record.name}`;
  };
  assert.equal(found('/p/d/a/b/c'), 'a|b');
  assert.equal(found('/p/d/a/b%2Fc/1'), 'a|b/c');
  assert.equal(found('/p/d/a%2Fb/c/1'), 'a/b|c');
  assert.equal(found('/p/d/a/x/1'), undefined);
  assert.equal(found('/p/m/pos'), undefined);
  assert.equal(found('/p/d'), undefined);
});

// Proves: members of an object are found as the texts that they have, whatever is in them.
test('members of a row', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (object) => {
      const members = membersOf(JSON.stringify(object));
      assert.deepEqual(
        [...members].map(([name, text]) => [name, JSON.parse(text) as unknown]),
        Object.entries(JSON.parse(JSON.stringify(object)) as object),
      );
    }),
    runs(500),
  );
  const text = '{"a":1.0,"b":{"x": [1, "}"] },"c":12345678901234567890}';
  assert.deepEqual([...membersOf(text).values()], ['1.0', '{"x": [1, "}"] }', '12345678901234567890']);
  for (const wrong of ['', '[1]', '{"a"', '{"a":1', '{a:1}'])
    assert.throws(() => membersOf(wrong), { code: 'PROTOCOL' });
});

// Proves: what cannot be kept to is refused when it is asked for.
test('settings', () => {
  const url = 'etcd://host/p';
  assert.throws(() => planEtcdSink({ url, leaseSeconds: 0.5 }), { code: 'USAGE', message: /0\.5/ });
  assert.throws(() => planEtcdSink({ url, txnOperations: 1 }), { code: 'USAGE', message: /txnOperations is 1/ });
  assert.throws(() => planEtcdSink({ url, txnBytes: 1 }), { code: 'USAGE', message: /txnBytes is 1/ });
  assert.equal(planEtcdSink({ url: 'etcd://u:secret@host/p' }).address, 'etcd://host:2379/p');
});
