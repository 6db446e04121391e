// The sample database, dumped and followed into every kind of sink while it is written to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seedOfRun } from '@batondb/testbed/random';
import { codeOf, isSoak, isStreaming, type SinkKind, SyncBed, type SyncTarget } from './sync-bed.ts';
import { expectLinesOnce, expectPutsOnce } from './sync-once.ts';

const kinds: readonly SinkKind[] = ['etcd', 'sqlite', 'ndjson', 'exec'];
const scale = isSoak ? 20_000 : 100;
const loadMs = isSoak ? 120_000 : 3000;

// Proves: a dump and the stream after it, taken while clients write, leave in each sink exactly the rows of the source, each change told once (Y1, Y4, Y5).
test('every sink has every row', async (t) => {
  const seed = seedOfRun();
  t.diagnostic(`BATON_SEED=${seed}`);
  await using bed = await SyncBed.start({ scale });
  await using load = await bed.load(seed);
  await using stack = new AsyncDisposableStack();
  const targets: SyncTarget[] = [];
  for (const kind of kinds) targets.push(await bed.target(kind));
  const runs = targets.map((target) => stack.use(target.start()));
  await Promise.all(runs.map((run) => run.until(isStreaming, 300_000)));
  await sleep(loadMs);
  const counts = await load.stop();
  t.diagnostic(JSON.stringify(counts));
  for (const [place, target] of targets.entries()) {
    await target.caughtUp();
    const run = runs[place]!;
    run.kill('SIGTERM');
    const { code, stderr } = await run.finished;
    assert.equal(code, 0, stderr);
    // A table that was emptied while it was dumped is dumped once more; nothing else may fail.
    const failures = run.events.filter((event) => event.type === 'retry' && codeOf(event) !== 'SOURCE_CHANGED');
    assert.deepEqual(failures, []);
    await target.expectEqual();
    if (target.kind === 'ndjson' || target.kind === 'exec') expectLinesOnce(target, load.acknowledged);
    if (target.kind === 'etcd') await expectPutsOnce(target, load.acknowledged);
  }
});
