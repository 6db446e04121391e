import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { type Change, Replicator, type Row, type Table } from '@batondb/sync';
import { everything } from '@batondb/sync/mapping/mapping';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { MemorySink } from './memory-sink.ts';
import { type Contents, type Fault, indexOf, MemorySource } from './memory-source.ts';

import { runs } from './property.ts';
import { textTable } from './tables.ts';

// The loop against a source and a sink that remember every state they had, with failures at any step.

const scenarios = runs(60).numRuns;
const seed = seedOfRun();
const tables = [textTable('a', ['id', 'x']), textTable('b', ['id', 'n', 'x'], { keys: 2 })];

type Scenario = {
  readonly source: MemorySource;
  readonly sink: MemorySink;
  readonly random: Random;
  readonly total: number;
};

function makeScenario(random: Random): Scenario {
  let faultsLeft = random.integer(0, 12);
  const fault: Fault = (step) => {
    if (faultsLeft === 0 || random.integer(0, 15) > 0) return;
    faultsLeft--;
    throw new BatonError('CONNECTION_LOST', `injected at ${step}`, { retryable: true });
  };
  const source = new MemorySource(tables, fault);
  const sink = new MemorySink(fault);
  const total = random.integer(1, 40);
  const grow = (): void =>
    void source.history.push(randomTransaction(random, source.contentsAt(source.history.length)));
  for (let count = random.integer(0, total); count > 0; count--) grow();
  source.meanwhile = () => {
    if (source.history.length < total && random.integer(0, 2) === 0) grow();
  };
  return { source, sink, random, total };
}

function randomTransaction(random: Random, contents: Contents): readonly Change[] {
  const changes: Change[] = [];
  const rows = new Map([...contents].map(([name, all]) => [name, new Map(all)]));
  for (let left = random.integer(0, 4); left > 0; left--) {
    const table = random.pick(tables);
    const there = rows.get(table.name)!;
    const some = there.size === 0 ? undefined : random.pick([...there.values()]);
    const row = table.columns.map(() => String(random.integer(0, 5)));
    const key = (of: Row): string => JSON.stringify(table.key.map((place) => of[place]));
    if (random.integer(0, 30) === 0) {
      changes.push({ kind: 'truncate', tables: [table] });
      there.clear();
    } else if (some !== undefined && random.integer(0, 2) === 0) {
      changes.push({ kind: 'delete', table, old: keyOnly(table, some) });
      there.delete(key(some));
    } else if (some !== undefined && (random.integer(0, 1) === 0 || there.has(key(row)))) {
      const isMoved = !there.has(key(row));
      const now = isMoved ? row : some.map((field, place) => (table.key.includes(place) ? field : row[place]));
      changes.push({ kind: 'update', table, row: now, ...(isMoved ? { old: keyOnly(table, some) } : {}) });
      there.delete(key(some));
      there.set(key(now), now);
    } else if (!there.has(key(row))) {
      changes.push({ kind: 'insert', table, row });
      there.set(key(row), row);
    }
  }
  return changes;
}

function keyOnly(table: Table, row: Row): Row {
  return row.map((field, place) => (table.key.includes(place) ? field : undefined));
}

/** The sink's readers are shown nothing but states that the source had (Y4). */
function expectConsistent({ source }: Scenario): (sink: MemorySink) => void {
  return (sink) => {
    const { position, isOpen } = sink.state;
    if (!isOpen) assert.deepEqual(sink.rows, source.contentsAt(indexOf(position!)), `at ${position}`);
  };
}

async function run({ source, sink, total }: Scenario): Promise<readonly string[]> {
  const kinds: string[] = [];
  const replicator = new Replicator({
    name: 'model',
    source,
    sink,
    mapping: everything,
    phases: 'both',
    until: String(total),
    jobs: 2,
    onEvent: ({ kind }) => kinds.push(kind),
    retry: { msMin: 0, msMax: 0 },
  });
  await replicator.run(AbortSignal.timeout(60_000));
  return kinds;
}

async function eachScenario(
  t: { diagnostic(text: string): void },
  prove: (scenario: Scenario) => Promise<void>,
): Promise<void> {
  const random = new Random(seed);
  for (let round = 0; round < scenarios; round++) {
    const scenario = makeScenario(random.fork(String(round)));
    scenario.sink.onStep = expectConsistent(scenario);
    try {
      await prove(scenario);
    } catch (error) {
      t.diagnostic(`BATON_SEED=${seed}, scenario ${round}`);
      throw error;
    }
  }
}

// Proves: whatever fails, the sink comes to what the source has, and shows no state on the way that the source never had (Y1, Y3, Y4).
test('a dump, then the stream, through failures', async (t) => {
  await eachScenario(t, async (scenario) => {
    await run(scenario);
    assert.deepEqual(scenario.sink.rows, scenario.source.contentsAt(scenario.total));
    assert.equal(scenario.sink.state.isOpen, false);
  });
});

// Proves: a source that does not reach back to the sink's position is read anew, and rows that went meanwhile go from the sink (Y6, Y7).
test('a history that was lost', async (t) => {
  await eachScenario(t, async (scenario) => {
    const { source, random, sink } = scenario;
    await run(scenario);
    const more = random.integer(1, 10);
    for (let left = more; left > 0; left--)
      source.history.push(randomTransaction(random, source.contentsAt(source.history.length)));
    source.trimmed = source.history.length - random.integer(0, more - 1);
    const kinds = await run({ ...scenario, total: source.history.length });
    assert.ok(kinds.includes('history-lost'));
    assert.deepEqual(sink.rows, source.contentsAt(source.history.length));
  });
});

// Proves: rows of transactions that a failover lost are put right, without a dump unless that was lost, too, and shown to nobody on the way (Y4).
test('a failover that lost transactions', async (t) => {
  await eachScenario(t, async (scenario) => {
    const { source, random, sink } = scenario;
    await run(scenario);
    const kept = random.integer(source.trimmed, scenario.total);
    source.failOver(kept);
    source.meanwhile = () => {};
    for (let left = random.integer(1, 10); left > 0; left--)
      source.history.push(randomTransaction(random, source.contentsAt(source.history.length)));
    const dumps = tables.map(({ name }) => sink.state.tables.get(`public.${name}`)!.dumpedAt!);
    await run({ ...scenario, total: source.history.length });
    assert.deepEqual(sink.rows, source.contentsAt(source.history.length));
    const isBeyond = dumps.some((dumpedAt) => indexOf(dumpedAt) > kept);
    if (!isBeyond)
      assert.deepEqual(
        tables.map(({ name }) => sink.state.tables.get(`public.${name}`)!.dumpedAt),
        dumps,
      );
  });
});

// Proves: a dump that is ahead of the stream when a failover loses what it has is not taken for the new primary's, though the position where the stream goes on is.
test('a failover that lost what was dumped, and nothing that was streamed', async (t) => {
  await eachScenario(t, async (scenario) => {
    const { source, sink, random } = scenario;
    const total = source.history.length;
    let isStopped = false;
    sink.onStep = ({ state }) => {
      if (
        isStopped ||
        random.integer(0, 2) > 0 ||
        [...state.tables.values()].every(({ dumpedAt }) => dumpedAt === undefined)
      )
        return;
      isStopped = true;
      throw new BatonError('SYSTEM', 'stopped in the middle of a dump');
    };
    source.meanwhile = () => {};
    await run({ ...scenario, total }).catch((error: unknown) => assert.ok(isStopped, String(error)));
    sink.onStep = expectConsistent(scenario);
    source.failOver(random.integer(indexOf(sink.state.position!), total));
    for (let left = random.integer(1, 10); left > 0; left--)
      source.history.push(randomTransaction(random, source.contentsAt(source.history.length)));
    await run({ ...scenario, total: source.history.length });
    assert.deepEqual(sink.rows, source.contentsAt(source.history.length));
  });
});

// Proves: a repair that another failover cuts short is done to its end, also of rows that the second one did not touch.
test('a failover in the middle of a repair', async (t) => {
  await eachScenario(t, async (scenario) => {
    const { source, sink, random } = scenario;
    await run(scenario);
    const grow = (): void =>
      void source.history.push(randomTransaction(random, source.contentsAt(source.history.length)));
    source.meanwhile = () => {};
    for (let round = 0; round < 3; round++) {
      source.failOver(Math.max(source.trimmed, source.history.length - random.integer(0, 4)));
      for (let left = random.integer(5, 10); left > 0; left--) grow();
      if (round === 2) break;
      let steps = random.integer(4, 16);
      sink.onStep = (now) => {
        expectConsistent(scenario)(now);
        if (--steps <= 0) throw new BatonError('SYSTEM', 'stopped in the middle of a repair');
      };
      await run({ ...scenario, total: source.history.length }).catch((error: unknown) =>
        assert.ok(steps <= 0, String(error)),
      );
    }
    sink.onStep = expectConsistent(scenario);
    await run({ ...scenario, total: source.history.length });
    assert.deepEqual(sink.rows, source.contentsAt(source.history.length));
  });
});
