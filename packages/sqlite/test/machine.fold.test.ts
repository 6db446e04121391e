// Proves: after a crash at any step of a checkpoint, a log that does not reach as far any more as that checkpoint went is noticed: the node
// refuses to start, and never shows pages of two states at once (C5).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BatonError } from '@batondb/core/errors';
import { Random } from '@batondb/testbed/random';
import { FaultyLayer, PowerCut } from './faulty-layer.ts';
import { openHost, run } from './in-process.ts';

const stepsMax = 400;

/** Dies at a step of a checkpoint, and loses the log. Undefined: the checkpoint has fewer steps. */
async function crashAt(step: number): Promise<FaultyLayer | undefined> {
  const random = new Random(1);
  const setUp = new FaultyLayer(random);
  const first = await openHost(setUp);
  await first.openDatabase('main', 1024);
  await run(first, 'CREATE TABLE a (x)');
  await run(first, 'CREATE TABLE b (x)');
  await first.close();
  const layer = setUp.afterKill({ dieAt: step });
  try {
    const host = await openHost(layer);
    const statements = [
      { sql: 'INSERT INTO a VALUES (zeroblob(3000))' },
      { sql: 'INSERT INTO b VALUES (zeroblob(3000))' },
    ];
    for (let count = 0; count < 3; count++) await run(host, '', [], { statements, isAtomic: true });
    await host.checkpoint();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof PowerCut || /machine is off|nothing more is written/.test(String(error)), String(error));
  }
  const left = layer.afterKill();
  for (const name of left.list('/node/.baton/log')) left.remove(`/node/.baton/log/${name}`);
  return left;
}

test('a log that ends before an unfinished checkpoint is refused', async (t) => {
  const seen = { refused: 0, sound: 0 };
  for (let step = 1; step < stepsMax; step++) {
    const left = await crashAt(step);
    if (left === undefined) break;
    try {
      const host = await openHost(left);
      const [check, counts] = [
        await run(host, 'PRAGMA integrity_check'),
        await run(host, 'SELECT (SELECT count(*) FROM a) - (SELECT count(*) FROM b)'),
      ];
      assert.equal(check.results[0]?.rows[0]?.[0], 'ok', `step ${step}`);
      assert.equal(counts.results[0]?.rows[0]?.[0], 0, `step ${step}`);
      seen.sound += 1;
    } catch (error) {
      assert.equal((error as BatonError).code, 'DIVERGED', `step ${step}: ${String(error)}`);
      seen.refused += 1;
    }
  }
  t.diagnostic(`${seen.refused} refused, ${seen.sound} sound`);
  assert.ok(seen.refused > 0 && seen.sound > 0);
});
