import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Row } from '@batondb/sync';
import { contentsOf } from './sink-model.ts';
import { apply, load, own, reopened, type SinkKind, transaction } from './sink-place.ts';
import { sinkTable as table } from './sink-tables.ts';

// Of every sink: what it remembers, who may write, and what it knows for a repair.

export function describeState({ name, place }: SinkKind): void {
  // Proves: what a sink remembers outlives its owner, and a new beginning drops the tables that are not in it.
  test(`${name}: state outlives its owner`, async () => {
    await using at = await place();
    const [a, b] = [table('a', ['id', 'x']), table('b', ['id'], { schema: 'other' })];
    {
      await using owned = await own(at.sink());
      assert.equal(owned.state.position, undefined);
      await owned.begin('p0', [a, b], false);
      assert.ok(owned.state.isOpen);
      await load(owned, a, [['1', 'x']], 'p1');
    }
    {
      await using owned = await own(at.sink());
      const { position, isOpen, tables } = owned.state;
      assert.deepEqual([position, isOpen, [...tables.keys()].toSorted()], ['p0', true, ['other.b', 'public.a']]);
      assert.equal(tables.get('public.a')?.dumpedAt, 'p1');
      assert.equal(tables.get('other.b')?.dumpedAt, undefined);
      assert.deepEqual(tables.get('public.a')?.key, ['id']);
      await owned.begin('p2', [a], true);
      assert.equal(owned.state.tables.get('public.a')?.dumpedAt, 'p2');
    }
    await using owned = await own(at.sink());
    assert.deepEqual([...owned.state.tables.keys()], ['public.a']);
    await apply(owned, [{ kind: 'reached', position: 'p3' }]);
    assert.deepEqual(await at.contents(), contentsOf([{ table: a, rows: [['1', 'x']] }]));
  });

  // Proves: a sink that is open stays so until an end says that it is closed, also through a new owner.
  test(`${name}: it is open until its stream says otherwise`, async () => {
    await using at = await place();
    const a = table('a', ['id']);
    {
      await using owned = await own(at.sink());
      await owned.begin('p0', [a], false);
      await load(owned, a, [], 'p5');
      await apply(owned, [{ kind: 'reached', position: 'p1', isOpen: true }]);
      assert.ok(owned.state.isOpen);
    }
    await using owned = await own(at.sink());
    assert.deepEqual([owned.state.position, owned.state.isOpen], ['p1', true]);
    await apply(owned, [{ kind: 'reached', position: 'p6' }]);
    assert.deepEqual([owned.state.position, owned.state.isOpen], ['p6', false]);
  });
}

export function describeOwners({ name, place }: SinkKind): void {
  const a = table('a', ['id']);

  // Proves: of two owners one works and the other waits, is told of whom once, and takes over.
  test(`${name}: two owners`, async () => {
    await using at = await place();
    const first = await own(at.sink());
    await first.begin('p0', [a], true);
    const waits: string[] = [];
    const { promise: isWaiting, resolve } = Promise.withResolvers<void>();
    let isOwned = false;
    const second = own(at.sink(), (owner) => {
      waits.push(owner);
      resolve();
    }).then((owned) => {
      isOwned = true;
      return owned;
    });
    await isWaiting;
    await apply(first, transaction({ kind: 'insert', table: a, row: ['1'] }));
    assert.equal(isOwned, false);
    const { position } = first.state;
    await first[Symbol.asyncDispose]();
    await using next = await second;
    assert.equal(next.state.position, position);
    assert.equal(waits.length, 1);
  });

  // Proves: who waits can give it up.
  test(`${name}: a wait is given up`, async () => {
    await using at = await place();
    await using _first = await own(at.sink());
    const given = new AbortController();
    await assert.rejects(own(at.sink(), () => given.abort(), given.signal));
  });
}

export function describeRepair({ name, place }: SinkKind): void {
  const a = table('a', ['id', 'x']);

  // Proves: keys of all rows are told.
  test(`${name}: keys of rows`, async () => {
    await using at = await place();
    await using owned = await own(at.sink());
    await owned.begin('p0', [a], false);
    const rows = Array.from({ length: 2100 }, (_, number): Row => [String(number - 100), 'x']);
    await load(owned, a, rows, 'p0');
    assert.ok(owned.keys !== undefined);
    const keys: Row[] = [];
    for await (const some of owned.keys(a)) keys.push(...some);
    assert.deepEqual(keys.map(String).toSorted(), rows.map(([id]) => String(id)).toSorted());
  });

  // Proves: after a failover the rows that were written beyond it are known, each once, and the position goes back.
  test(`${name}: what was written after a position`, async () => {
    await using at = await place();
    await using owned = await own(at.sink());
    await owned.begin('p0', [a], false);
    await load(owned, a, [['1', 'x']], 'p0');
    const known = await apply(owned, transaction({ kind: 'insert', table: a, row: ['2', 'x'] }));
    await apply(owned, transaction({ kind: 'insert', table: a, row: ['3', 'x'] }));
    await apply(
      owned,
      transaction(
        { kind: 'update', table: a, row: ['3', 'y'] },
        { kind: 'update', table: a, row: ['5', undefined], old: ['2', undefined] },
        { kind: 'delete', table: a, old: ['1', undefined] },
      ),
    );
    assert.ok(owned.touchedAfter !== undefined && owned.rewind !== undefined);
    assert.equal(await owned.touchedAfter(() => false), undefined);
    const touched = await owned.touchedAfter((position) => position === 'p0' || known.includes(position));
    assert.ok(touched !== undefined);
    const keys: string[] = [];
    for await (const some of touched) keys.push(...(some.keys ?? []).map((key) => JSON.stringify(key)));
    assert.deepEqual(keys.toSorted(), ['["1"]', '["2"]', '["3"]', '["5"]']);
    await owned.rewind(known[0]!, [a]);
    await using next = await reopened(at, owned);
    assert.deepEqual([next.state.position, next.state.isOpen], [known[0], true]);
    assert.ok(next.state.tables.get('public.a')?.isResyncing);
  });
}
