import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Row } from '@batondb/sync';
import { nameOf } from '@batondb/sync';
import { contentsOf } from './sink-model.ts';
import { after, apply, own, type SinkKind, transaction } from './sink-place.ts';
import { sinkTable as table } from './sink-tables.ts';

// Of every sink: tables that get another shape, come and go.

export function describeStructure({ name, place, followsRenames }: SinkKind): void {
  const a = table('a', ['id', 'x']);
  const rows: Row[] = [
    ['1', 'x'],
    ['2', null],
  ];

  // Proves: a truncate in the middle of a transaction empties what was before it and nothing after.
  test(`${name}: a truncate between changes`, async () => {
    await using at = await place();
    const found = await after(
      at,
      a,
      rows,
      { kind: 'insert', table: a, row: ['3', 'before'] },
      { kind: 'truncate', tables: [a] },
      { kind: 'insert', table: a, row: ['1', 'after'] },
    );
    assert.deepEqual(found, contentsOf([{ table: a, rows: [['1', 'after']] }]));
  });

  // Proves: columns come and go while rows keep what they have, also through changes of the new shape in the same transaction.
  test(`${name}: columns that are added, removed and put elsewhere`, async () => {
    await using at = await place();
    const wider = table('a', ['id', 'x', 'added']);
    const narrower = table('a', ['id', 'added']);
    const turned = table('a', ['id', 'last', 'added']);
    const found = await after(
      at,
      a,
      rows,
      { kind: 'reshape', table: wider },
      { kind: 'update', table: wider, row: ['1', undefined, 'here'] },
      { kind: 'insert', table: wider, row: ['3', 'x', null] },
      { kind: 'reshape', table: narrower },
      { kind: 'update', table: narrower, row: ['2', 'too'] },
      { kind: 'reshape', table: turned },
      { kind: 'insert', table: turned, row: ['4', 'l', 'a'] },
    );
    assert.deepEqual(
      found,
      contentsOf([
        {
          table: turned,
          rows: [
            ['1', null, 'here'],
            ['2', null, 'too'],
            ['3', null, null],
            ['4', 'l', 'a'],
          ],
        },
      ]),
    );
  });

  // Proves: a table that is renamed keeps its rows, also when two tables change names; one that is dropped and made anew does not.
  if (followsRenames)
    test(`${name}: tables that are renamed, exchanged, dropped and made anew`, async () => {
      await using at = await place();
      const b = table('b', ['id', 'x'], { id: a.id });
      const newA = table('a', ['id', 'x'], { id: 'another' });
      const asB = table('b', ['id', 'x'], { id: 'another' });
      const asA = table('a', ['id', 'x'], { id: a.id });
      const found = await after(
        at,
        a,
        rows,
        { kind: 'reshape', table: b },
        { kind: 'reshape', table: newA },
        { kind: 'insert', table: newA, row: ['9', 'new'] },
        { kind: 'reshape', table: asB },
        { kind: 'reshape', table: asA },
        { kind: 'delete', table: asA, old: ['2', undefined] },
      );
      assert.deepEqual(
        found,
        contentsOf([
          { table: asA, rows: [['1', 'x']] },
          { table: asB, rows: [['9', 'new']] },
        ]),
      );
      await using owned = await own(at.sink());
      assert.deepEqual([...owned.state.tables.values()].map(({ id }) => id).toSorted(), ['another', a.id].toSorted());
      const other = table('a', ['id', 'x'], { id: 'a third' });
      await apply(
        owned,
        transaction({ kind: 'drop', table: asB }, { kind: 'drop', table: asA }, { kind: 'reshape', table: other }),
      );
      assert.deepEqual(await at.contents(), contentsOf([{ table: other, rows: [] }]));
      assert.equal(owned.state.tables.get('public.a')?.dumpedAt, undefined);
    });

  // Proves: a sink remembers what is being read anew; a table that came whole in the stream counts as dumped where that ended.
  test(`${name}: tables that are read anew`, async () => {
    await using at = await place();
    const fresh = table('fresh', ['id', 'x']);
    {
      await using owned = await own(at.sink());
      await owned.begin('p0', [a], true);
      await apply(
        owned,
        transaction(
          { kind: 'reshape', table: fresh },
          { kind: 'resync', table: fresh, state: 'begin', scope: 'table' },
        ),
        // Of a row that is still to come: nobody can say what it is now.
        transaction({ kind: 'update', table: fresh, row: ['2', undefined] }),
      );
    }
    await using owned = await own(at.sink());
    const record = owned.state.tables.get('public.fresh');
    assert.deepEqual([record?.isResyncing, record?.dumpedAt], [true, undefined]);
    const [position] = await apply(
      owned,
      transaction(
        { kind: 'insert', table: fresh, row: ['2', 'x'] },
        { kind: 'resync', table: fresh, state: 'end', scope: 'table' },
      ),
    );
    const done = owned.state.tables.get('public.fresh');
    assert.deepEqual([done?.isResyncing, done?.dumpedAt], [false, position]);
    assert.deepEqual(
      (await at.contents()).get(nameOf(fresh)),
      contentsOf([{ table: fresh, rows: [['2', 'x']] }]).get(nameOf(fresh)),
    );
  });
}
