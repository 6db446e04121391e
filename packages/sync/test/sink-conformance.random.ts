import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OwnedSink, StreamEvent } from '@batondb/sync';
import { Random, seedOfRun } from '@batondb/testbed/random';
import { runs } from './property.ts';
import { randomStream, startingTables } from './sink-events.ts';
import { SinkModel } from './sink-model.ts';
import { own, type SinkKind, type SinkPlace } from './sink-place.ts';

// Of every sink: streams at random, and owners that are lost.

export function describeRandom(kind: SinkKind): void {
  const { name, place, rounds } = kind;
  // Proves: whatever a stream tells, and wherever an owner is lost, the next one finds a state that the stream had, and goes on from there to the same end
  // (Y1, Y4): nothing twice, no hole.
  test(`${name}: owners that are lost at any point`, async () => {
    const random = new Random(seedOfRun());
    const { numRuns } = runs(rounds);
    for (let round = 0; round < numRuns; round++) {
      await using at = await place();
      try {
        await followWithLosses(at, kind, random.fork(`round ${round}`));
      } catch (error) {
        throw new Error(`BATON_SEED=${random.seed}, round ${round}`, { cause: error });
      }
    }
  });
}

/** Owners of one stream that are lost. */
const lossesMax = 6;

async function followWithLosses(at: SinkPlace, kind: SinkKind, random: Random): Promise<void> {
  const tables = startingTables.filter(({ key }) => kind.keepsUnkeyed || key.length > 0);
  const model = new SinkModel(tables);
  const transactions = randomStream(random, model, { count: 40, hasRenames: kind.followsRenames });
  {
    await using owned = await own(at.sink());
    await owned.begin('p0', tables, true);
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
