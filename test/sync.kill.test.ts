// kill -9 of syncs at any point: while they dump, follow, read a table anew, or write a transaction that etcd does not take in one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '@batondb/testbed/ports';
import { waitUntil } from '@batondb/testbed/process-table';
import { Random, seedOfRun } from '@batondb/testbed/random';
import type { BatonRun } from '@batondb/testbed/run-baton';
import { isInPhase, isSoak, isStreaming, type SinkKind, SyncBed, type SyncTarget } from './sync-bed.ts';
import { expectLinesOnce, expectPutsOnce } from './sync-once.ts';

const rounds = isSoak ? 50 : 2;
const patienceMs = 120_000;
const random = new Random(seedOfRun());

let bed: SyncBed;

before(async () => {
  bed = await SyncBed.start({ scale: isSoak ? 400 : 60 });
});

after(async () => {
  await bed[Symbol.asyncDispose]();
});

/** What is going on when the sync is killed. */
type Moment = 'starting' | 'dumping' | 'streaming' | 'resyncing' | 'large';
const moments: readonly Moment[] = ['starting', 'dumping', 'streaming', 'streaming', 'resyncing', 'large'];

/** Starts a sync, and kills it at about such a moment. */
async function killAt(target: SyncTarget, moment: Moment, afterMs: number): Promise<void> {
  const listen = `127.0.0.1:${await freePort()}`;
  await using run = target.start('--listen', listen);
  if (moment === 'dumping') await run.until((event) => isInPhase('dumping')(event) || isStreaming(event));
  else if (moment !== 'starting') await advancing(run, `http://${listen}/status`);
  if (moment === 'resyncing') await order(run, `http://${listen}/resync?table=public.documents`);
  if (moment === 'large') await bed.large(2000);
  await sleep(afterMs);
  run.kill('SIGKILL');
  await run.finished;
  // A command that it has started may still be at its last lines.
  await run.waitForNoProcess();
  await target.endLease();
}

/** Waits until the sink holds more than it did when the sync began to stream: it is in the middle of its work. */
async function advancing(run: BatonRun, url: string): Promise<void> {
  await run.until(isStreaming, patienceMs);
  const position = async (): Promise<unknown> =>
    ((await (await fetch(url)).json()) as { readonly position?: string }).position;
  const first = await position();
  await waitUntil('the sink advances', async () => (await position()) !== first, patienceMs);
}

async function order(run: BatonRun, url: string): Promise<void> {
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' } });
  // A stream that has just failed is begun again; then there is nothing to be killed in the middle of.
  if (answer.status !== 200)
    assert.ok(
      run.events.some(({ type }) => type === 'retry'),
      `${url}: ${answer.status}`,
    );
}

async function killAgainAndAgain(kind: SinkKind, dice: Random): Promise<SyncTarget> {
  const target = await bed.target(kind);
  // The first is in the middle of the first dump.
  for (let round = 0; round < rounds; round++) {
    const moment = round === 0 ? 'dumping' : dice.pick(moments);
    await killAt(target, moment, dice.integer(0, 600));
  }
  return target;
}

const kinds: readonly SinkKind[] = ['etcd', 'sqlite', 'ndjson', 'exec'];

// Proves: whenever a sync is killed, the next one goes on so that the sink comes to what the source has, with nothing twice and no hole (Y1, Y2, Y3, Y6).
test('kill -9 of a sync', async (t) => {
  t.diagnostic(`BATON_SEED=${random.seed}`);
  await using load = await bed.load(random.seed);
  const targets = await Promise.all(kinds.map((kind) => killAgainAndAgain(kind, random.fork(kind))));
  t.diagnostic(JSON.stringify(await load.stop()));
  await Promise.all(targets.map((target) => target.finish()));
  for (const target of targets) {
    await target.expectEqual();
    // A command gets lines at least once; the example takes back what it had not acknowledged.
    if (target.kind === 'ndjson' || target.kind === 'exec') expectLinesOnce(target, load.acknowledged);
    if (target.kind === 'etcd') await expectPutsOnce(target, load.acknowledged);
  }
});

// Proves: of two syncs into one sink one works and the other waits, and takes over when the first is killed, however often (Y2).
test('two syncs into one sink', async () => {
  await using load = await bed.load(random.fork('two').seed);
  const work = async (kind: SinkKind): Promise<SyncTarget> => {
    const target = await bed.target(kind);
    await using stack = new AsyncDisposableStack();
    let working = stack.use(target.start());
    await working.until(isStreaming, patienceMs);
    for (let round = 0; round < (isSoak ? 5 : 1); round++) {
      const waiting = stack.use(target.start());
      await waiting.until(isInPhase('waiting'));
      await sleep(300);
      assert.ok(!waiting.events.some(isStreaming), `${target.slot}: two work`);
      working.kill('SIGKILL');
      await working.finished;
      await target.endLease();
      await waiting.until(isStreaming, patienceMs);
      working = waiting;
    }
    working.kill('SIGTERM');
    assert.equal((await working.finished).code, 0, working.stderr);
    return target;
  };
  const targets = await Promise.all((['etcd', 'sqlite', 'ndjson'] as const).map(work));
  await load.stop();
  for (const target of targets) {
    await target.finish();
    await target.expectEqual();
    if (target.kind === 'ndjson') expectLinesOnce(target, load.acknowledged);
    if (target.kind === 'etcd') await expectPutsOnce(target, load.acknowledged);
  }
});
