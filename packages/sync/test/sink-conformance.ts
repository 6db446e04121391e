import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OwnedSink, Position, Row, Sink, StreamEvent, Table } from '@batondb/sync';
import { nameOf } from '@batondb/sync';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { runs } from './property.ts';
import { randomStream, startingTables } from './sink-events.ts';
import { type Contents, contentsOf, SinkModel } from './sink-model.ts';
import { sinkTable as table } from './sink-tables.ts';

// What every sink has to keep (sink.ts, Y1, Y2, Y4, Y5, Y6), run against each of them.

/** A place for a sink that is used by one test. */
export type SinkPlace = AsyncDisposable & {
  /** The sink as one more process would have it. */
  sink(): Sink;
  /** What a reader by the sink's own rule sees who knows nothing of Baton's code. Columns of integers and texts are told as the source's text. */
  contents(): Promise<Contents>;
};

export type SinkKind = {
  readonly name: string;
  readonly place: () => Promise<SinkPlace>;
  /** It knows the rows that it has, so a load writes only what differs. */
  readonly comparesRows: boolean;
  /** Rows of a transaction: beyond what the sink takes in one step. */
  readonly manyRows: number;
  /** A second owner waits for the first. */
  readonly hasOneOwner: boolean;
  /** Random streams that are tried. */
  readonly rounds: number;
};

const silent = new AbortController().signal;

function own(sink: Sink, onWait: (owner: string) => void = () => {}, signal = silent): Promise<OwnedSink> {
  return sink.own(signal, onWait, () => {});
}

async function load(owned: OwnedSink, of: Table, rows: readonly Row[], position: Position): Promise<unknown> {
  await using one = await owned.load(of);
  const half = Math.ceil(rows.length / 2);
  await Promise.all([one.write(rows.slice(0, half)), one.write(rows.slice(half))]);
  return await one.finish(position);
}

let lastPosition = 0;
function transaction(...changes: readonly StreamEvent[]): readonly StreamEvent[] {
  const position = `p${++lastPosition}`;
  return [
    { kind: 'begin', transaction: position, commitsAt: position, committedAtMs: 0 },
    ...changes,
    { kind: 'commit', position, committedAtMs: 0 },
  ];
}

async function* streamOf(...batches: readonly (readonly StreamEvent[])[]): AsyncGenerator<readonly StreamEvent[]> {
  yield* batches;
}

async function apply(owned: OwnedSink, ...batches: readonly (readonly StreamEvent[])[]): Promise<Position[]> {
  const told: Position[] = [];
  for await (const position of owned.apply(streamOf(...batches))) told.push(position);
  return told;
}

/** Applies the events to a sink that has this table with these rows, and gives what it holds then. */
async function after(place: SinkPlace, of: Table, rows: readonly Row[], ...events: StreamEvent[]): Promise<Contents> {
  await using owned = await own(place.sink());
  await owned.begin('p0', [of], false);
  await load(owned, of, rows, 'p0');
  await apply(owned, transaction(...events));
  return await place.contents();
}

export function describeSink(kind: SinkKind): void {
  describeState(kind);
  describeLoads(kind);
  describeChanges(kind);
  describeStructure(kind);
  if (kind.hasOneOwner) describeOwners(kind);
  describeRepair(kind);
  describeRandom(kind);
}

function describeState({ name, place }: SinkKind): void {
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

function describeLoads({ name, place, comparesRows }: SinkKind): void {
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

function describeChanges({ name, place, manyRows }: SinkKind): void {
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

/** The place as its next owner finds it. */
async function reopened(at: SinkPlace, owned: OwnedSink): Promise<OwnedSink> {
  await owned[Symbol.asyncDispose]();
  return await own(at.sink());
}

function describeStructure({ name, place }: SinkKind): void {
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

function describeOwners({ name, place }: SinkKind): void {
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

function describeRepair({ name, place }: SinkKind): void {
  const a = table('a', ['id', 'x']);

  // Proves: keys of all rows are told, where a sink has them.
  test(`${name}: keys of rows`, async (t) => {
    await using at = await place();
    await using owned = await own(at.sink());
    await owned.begin('p0', [a], false);
    const rows = Array.from({ length: 2100 }, (_, number): Row => [String(number - 100), 'x']);
    await load(owned, a, rows, 'p0');
    if (owned.keys === undefined) return t.skip('it does not have them');
    const keys: Row[] = [];
    for await (const some of owned.keys(a)) keys.push(...some);
    assert.deepEqual(keys.map(String).toSorted(), rows.map(([id]) => String(id)).toSorted());
  });

  // Proves: after a failover the rows that were written beyond it are known, each once, and the position goes back.
  test(`${name}: what was written after a position`, async (t) => {
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
    if (owned.touchedAfter === undefined || owned.rewind === undefined) return t.skip('it does not know them');
    assert.equal(await owned.touchedAfter(() => false), undefined);
    const touched = await owned.touchedAfter((position) => known.includes(position));
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

function describeRandom({ name, place, rounds }: SinkKind): void {
  // Proves: whatever a stream tells, and wherever an owner is lost, the next one finds a state that the stream had, and goes on from there to the same end
  // (Y1, Y4): nothing twice, no hole.
  test(`${name}: owners that are lost at any point`, async () => {
    const random = new Random(seedOfRun());
    const { numRuns } = runs(rounds);
    for (let round = 0; round < numRuns; round++) {
      await using at = await place();
      try {
        await followWithLosses(at, random.fork(`round ${round}`));
      } catch (error) {
        throw new Error(`BATON_SEED=${random.seed}, round ${round}`, { cause: error });
      }
    }
  });
}

/** Owners of one stream that are lost. */
const lossesMax = 6;

async function followWithLosses(at: SinkPlace, random: Random): Promise<void> {
  const model = new SinkModel(startingTables);
  const transactions = randomStream(random, model, 40);
  {
    await using owned = await own(at.sink());
    await owned.begin('p0', startingTables, true);
  }
  const last = transactions[transactions.length - 1]!.position;
  for (let losses = 0; ; losses++) {
    await using owned = await own(at.sink());
    const { position } = owned.state;
    const done = transactions.findIndex((each) => each.position === position) + 1;
    if (position !== 'p0') assert.deepEqual(await at.contents(), model.at(position!).contents, `at ${position}`);
    if (position === last) break;
    assert.ok(losses < 200, 'the stream comes to its end');
    const isLost = losses < lossesMax;
    await followSome(
      owned,
      transactions.slice(done).flatMap(({ events }) => events),
      random,
      isLost,
    );
  }
}

/** Reads the events in batches cut anywhere, and leaves somewhere when the owner is to be lost: by a stream that fails, or by not going on. */
async function followSome(
  owned: OwnedSink,
  events: readonly StreamEvent[],
  random: Random,
  isLost: boolean,
): Promise<void> {
  const end = isLost ? random.integer(0, events.length) : events.length;
  let positionsLeft = isLost && random.integer(0, 1) === 0 ? random.integer(1, 5) : Number.POSITIVE_INFINITY;
  async function* batches(): AsyncGenerator<readonly StreamEvent[]> {
    for (let from = 0; from < end; ) {
      const to = Math.min(end, from + random.integer(1, 12));
      yield events.slice(from, to);
      from = to;
      if (random.integer(0, 3) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (isLost) throw new Error('the stream broke');
  }
  try {
    for await (const _position of owned.apply(batches())) if (--positionsLeft <= 0) return;
  } catch (error) {
    if (!(error instanceof Error) || error.message !== 'the stream broke') throw error;
  }
}
