import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Row } from '@batondb/sync';
import { contentsOf } from './sink-model.ts';
import { apply, load, own, type SinkKind } from './sink-place.ts';
import { sinkTable as table } from './sink-tables.ts';

// Of every sink: dumps of tables.

export function describeLoads({ name, place, comparesRows, keepsUnkeyed }: SinkKind): void {
  const a = table('a', ['id', 'x']);

  // Proves: a load ends with exactly its rows, whatever was there (Y6), and writes only what differs where the sink can tell.
  test(`${name}: a second load leaves its own rows and no other`, async () => {
    await using at = await place();
    await using owned = await own(at.sink());
    await owned.begin('p0', [a], false);
    const first = await load(
      owned,
      a,
      [
        ['1', 'x'],
        ['2', 'y'],
        ['3', null],
      ],
      'p0',
    );
    assert.deepEqual(first, { rows: 3, written: 3, deleted: 0 });
    const second = await load(
      owned,
      a,
      [
        ['1', 'x'],
        ['3', 'z'],
        ['4', 'w'],
      ],
      'p1',
    );
    if (comparesRows) assert.deepEqual(second, { rows: 3, written: 2, deleted: 1 });
    await apply(owned, [{ kind: 'reached', position: 'p2' }]);
    assert.deepEqual(
      await at.contents(),
      contentsOf([
        {
          table: a,
          rows: [
            ['1', 'x'],
            ['3', 'z'],
            ['4', 'w'],
          ],
        },
      ]),
    );
  });

  // Proves: a load that was given up removes nothing, and its table does not count as dumped (Y6).
  test(`${name}: a load that was given up removes nothing`, async () => {
    await using at = await place();
    {
      await using owned = await own(at.sink());
      await owned.begin('p0', [a], false);
      await load(
        owned,
        a,
        [
          ['1', 'x'],
          ['2', 'y'],
        ],
        'p0',
      );
      const given = await owned.load(a);
      await given.write([['2', 'y']]);
      await given[Symbol.asyncDispose]();
    }
    await using owned = await own(at.sink());
    assert.equal(owned.state.tables.get('public.a')?.dumpedAt, undefined);
    await apply(owned, [{ kind: 'reached', position: 'p1' }]);
    assert.deepEqual(
      await at.contents(),
      contentsOf([
        {
          table: a,
          rows: [
            ['1', 'x'],
            ['2', 'y'],
          ],
        },
      ]),
    );
  });

  // Proves: several tables are loaded at a time, and rows that nothing tells apart are kept as often as they are there.
  if (keepsUnkeyed)
    test(`${name}: several tables at a time, one without a key`, async () => {
      await using at = await place();
      const none = table('none', ['id', 'x'], { key: [], hasWholeOldRows: true });
      await using owned = await own(at.sink());
      await owned.begin('p0', [a, none], false);
      const rows = Array.from({ length: 2500 }, (_, number): Row => [String(number), `row ${number}`]);
      const twice: Row[] = [
        ['1', null],
        ['1', null],
        ['2', 'x'],
      ];
      for (const round of [1, 2]) {
        await Promise.all([load(owned, a, rows, `p${round}`), load(owned, none, twice, `p${round}`)]);
      }
      await apply(owned, [{ kind: 'reached', position: 'p9' }]);
      assert.deepEqual(
        await at.contents(),
        contentsOf([
          { table: a, rows },
          { table: none, rows: twice },
        ]),
      );
    });
}
