import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Row, StreamEvent } from '@batondb/sync';
import { contentsOf } from './sink-model.ts';
import { after, apply, own, reopened, type SinkKind, transaction } from './sink-place.ts';
import { sinkTable as table } from './sink-tables.ts';

// Of every sink: rows of a stream, and transactions as wholes.

export function describeChanges({ name, place, manyRows, keepsUnkeyed }: SinkKind): void {
  const a = table('a', ['id', 'x', 'y']);
  const rows: Row[] = [
    ['1', 'x', 'y'],
    ['2', null, 'z'],
  ];

  // Proves: a row that comes again takes the place of the one that was, and what an update left as it was stays so (Y5).
  test(`${name}: inserts, updates and deletes`, async () => {
    await using at = await place();
    const found = await after(
      at,
      a,
      rows,
      { kind: 'insert', table: a, row: ['3', 'new', null] },
      { kind: 'insert', table: a, row: ['1', 'again', 'y'] },
      { kind: 'update', table: a, row: ['2', undefined, 'only y'] },
      { kind: 'update', table: a, row: ['3', 'x', undefined], old: ['3', 'new', null] },
      { kind: 'delete', table: a, old: ['7', undefined, undefined] },
      { kind: 'delete', table: a, old: ['1', undefined, undefined] },
    );
    assert.deepEqual(
      found,
      contentsOf([
        {
          table: a,
          rows: [
            ['2', null, 'only y'],
            ['3', 'x', null],
          ],
        },
      ]),
    );
  });

  // Proves: a row whose key changes is one row, with what was not sent again, and takes the place of another that had the key.
  test(`${name}: keys that change`, async () => {
    await using at = await place();
    const found = await after(
      at,
      a,
      rows,
      { kind: 'update', table: a, row: ['5', undefined, 'moved'], old: ['1', undefined, undefined] },
      { kind: 'update', table: a, row: ['6', undefined, undefined], old: ['2', undefined, undefined] },
      { kind: 'insert', table: a, row: ['1', 'another', null] },
      { kind: 'update', table: a, row: ['1', 'on top', 'of it'], old: ['6', undefined, undefined] },
    );
    assert.deepEqual(
      found,
      contentsOf([
        {
          table: a,
          rows: [
            ['1', 'on top', 'of it'],
            ['5', 'x', 'moved'],
          ],
        },
      ]),
    );
  });

  // Proves: keys with everything that is awkward in a path, a quotation or a line stay what they are.
  test(`${name}: awkward keys and texts`, async () => {
    await using at = await place();
    const two = table('awkward " table', ['id', 'key', 'x "y"'], { key: [1, 0] });
    const texts = [
      '',
      ' ',
      '/',
      '%',
      '%2F',
      '..',
      '"',
      "'",
      '\\',
      '\n',
      '\t',
      'ä',
      '𝄞',
      '\u0085',
      '\u2028',
      'null',
      '%N',
      'k'.repeat(300),
    ];
    const many = texts.map((each): Row => ['1', each, each]);
    const found = await after(
      at,
      two,
      many,
      ...texts.map((each): StreamEvent => ({ kind: 'update', table: two, row: ['1', each, `${each}!`] })),
      ...texts.map((each): StreamEvent => ({ kind: 'insert', table: two, row: ['2', each, null] })),
      ...texts.slice(8).map((each): StreamEvent => ({ kind: 'delete', table: two, old: ['1', each, undefined] })),
    );
    const kept = texts.slice(0, 8).map((each): Row => ['1', each, `${each}!`]);
    const added = texts.map((each): Row => ['2', each, null]);
    assert.deepEqual(found, contentsOf([{ table: two, rows: [...kept, ...added] }]));
  });

  // Proves: of rows that are equal, one changes and one goes.
  if (keepsUnkeyed)
    test(`${name}: rows that nothing tells apart`, async () => {
      await using at = await place();
      const none = table('none', ['id', 'x'], { key: [], hasWholeOldRows: true });
      const equal: Row[] = [
        ['1', null],
        ['1', null],
        ['1', null],
        ['2', 'x'],
      ];
      const found = await after(
        at,
        none,
        equal,
        { kind: 'delete', table: none, old: ['1', null] },
        { kind: 'update', table: none, row: ['1', 'changed'], old: ['1', null] },
        { kind: 'insert', table: none, row: ['2', 'x'] },
      );
      assert.deepEqual(
        found,
        contentsOf([
          {
            table: none,
            rows: [
              ['1', null],
              ['1', 'changed'],
              ['2', 'x'],
              ['2', 'x'],
            ],
          },
        ]),
      );
    });

  // Proves: a transaction of any size is not seen by halves (Y4), and one that is not told to its end never is.
  test(`${name}: a large transaction is seen whole or not at all`, async () => {
    await using at = await place();
    await using owned = await own(at.sink());
    const small = table('small', ['id']);
    await owned.begin('p0', [a, small], true);
    await apply(owned, transaction({ kind: 'insert', table: small, row: ['1'] }));
    const before = contentsOf([
      { table: a, rows: [] },
      { table: small, rows: [['1']] },
    ]);
    const large = Array.from({ length: manyRows }, (_, row): Row => [String(row), `row ${row}`, null]);
    const inserts = large.map((row): StreamEvent => ({ kind: 'insert', table: a, row }));
    async function* untold(): AsyncGenerator<readonly StreamEvent[]> {
      yield transaction({ kind: 'insert', table: small, row: ['2'] }).slice(0, -1);
      for (let from = 0; from < inserts.length; from += 1000) yield inserts.slice(from, from + 1000);
      assert.deepEqual(await at.contents(), before);
      throw new Error('the stream broke');
    }
    await assert.rejects(async () => {
      for await (const position of owned.apply(untold())) assert.fail(`${position} was told`);
    }, /the stream broke/);
    assert.deepEqual(await at.contents(), before);
    await using next = await reopened(at, owned);
    await apply(next, transaction(...inserts));
    assert.equal((await at.contents()).get('public.a')?.length, manyRows);
  });

  // Proves: positions come in order, the last one is the stream's, and none waits for more to come.
  test(`${name}: positions are told when nothing more comes`, async () => {
    await using at = await place();
    await using owned = await own(at.sink());
    await owned.begin('p0', [a], true);
    const ended = new AbortController();
    async function* stalling(): AsyncGenerator<readonly StreamEvent[]> {
      for (let number = 1; number <= 20; number++) {
        yield [
          { kind: 'begin', transaction: '', commitsAt: '', committedAtMs: undefined },
          { kind: 'insert', table: a, row: [String(number), null, null] },
          { kind: 'commit', position: String(number), committedAtMs: undefined },
        ];
      }
      await new Promise<void>((resolve) => ended.signal.addEventListener('abort', () => resolve()));
    }
    const told: number[] = [];
    for await (const position of owned.apply(stalling())) {
      told.push(Number(position));
      if (position === '20') ended.abort();
    }
    assert.deepEqual(
      told,
      told.toSorted((one, other) => one - other),
    );
    assert.equal(owned.state.position, '20');
  });
}
