import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { BatchQueue } from '../src/agent/batch-queue.ts';
import { Outlet } from '../src/verify/outlet.ts';
import { SharedStream } from '../src/verify/shared-stream.ts';
import { runs } from './property.ts';
import { collect } from './verify.trees.ts';

/** Numbers from 0 on, one for each call, and how many were asked for. */
function numbers(count: number): { readonly pull: () => Promise<number | undefined>; readonly asked: () => number } {
  let next = 0;
  return { pull: async () => (next < count ? next++ : undefined), asked: () => next };
}

// Proves: every reader gets every value in order, whoever reads when, and no more than 8 are ever held for the slowest.
test('a shared stream', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(60),
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.nat(3)),
      async (count, readers, pauses) => {
        const source = numbers(count);
        const stream = new SharedStream(source.pull, readers);
        const taken = Array.from({ length: readers }, () => 0);
        const read = async (number: number): Promise<number[]> => {
          const values: number[] = [];
          const reader = stream.reader(number);
          for (let value = await reader.next(); value !== undefined; value = await reader.next()) {
            values.push(value);
            taken[number] = values.length;
            assert.ok(source.asked() - Math.min(...taken) <= 9);
            for (let pause = pauses[(value + number) % pauses.length] ?? 0; pause > 0; pause--) await turn();
          }
          taken[number] = Number.POSITIVE_INFINITY;
          return values;
        };
        const all = await Promise.all(Array.from({ length: readers }, (_, number) => read(number)));
        for (const values of all)
          assert.deepEqual(
            values,
            Array.from({ length: count }, (_, index) => index),
          );
      },
    ),
    runs(60),
  );
});

// Proves: a reader that stands still holds the others up only so far, and no longer than until it leaves.
test('a reader that leaves', async () => {
  const source = numbers(100);
  const stream = new SharedStream(source.pull, 2);
  const [busy, idle] = [stream.reader(0), stream.reader(1)];
  const all = (async () => {
    let taken = 0;
    while ((await busy.next()) !== undefined) taken += 1;
    return taken;
  })();
  for (let index = 0; index < 50; index++) await turn();
  assert.equal(source.asked(), 8);
  idle.leave();
  assert.equal(await all, 100);
  assert.equal(await idle.next(), undefined);
});

// Proves: a stream that breaks tells every reader why.
test('a stream that breaks', async () => {
  const stream = new SharedStream<number>(() => Promise.reject(new Error('broken')), 2);
  for (const number of [0, 1, 0]) await assert.rejects(stream.reader(number).next(), /broken/);
});

// Proves: those who make values wait for the reader, and are let go when it wants no more.
test('an outlet', async () => {
  const outlet = new Outlet<number>();
  let made = 0;
  const making = (async () => {
    for (; made < 1000; made++) await outlet.put(made);
  })();
  for (let index = 0; index < 50; index++) await turn();
  assert.equal(made, 64);
  const reader = outlet.read();
  for (let index = 0; index < 100; index++) assert.equal((await reader.next()).value, index);
  outlet.close(new Error('enough'));
  await making;
  await assert.rejects(collect(reader), /enough/);
});

// Proves: groups come out in their order whichever is ready first, the maker waits for room, and a failure reaches whoever asks.
test('a queue of batches', async () => {
  const queue = new BatchQueue<number>(() => 12_800);
  const groups = Array.from({ length: 100 }, () => Promise.withResolvers<number[]>());
  let put = 0;
  const putting = (async () => {
    for (const { promise } of groups) {
      put += 1;
      await queue.put(promise);
    }
    queue.end();
  })();
  await turn();
  assert.equal(put, 24);
  const first = [queue.next(), queue.next()];
  for (const [index, { resolve }] of [...groups.entries()].reverse()) resolve([index]);
  const values: number[] = [];
  for (const { values: some } of await Promise.all(first)) values.push(...some);
  for (let isLast = false; !isLast; ) {
    const batch = await queue.next();
    assert.ok(batch.values.length <= 10);
    values.push(...batch.values);
    isLast = batch.isLast;
  }
  await putting;
  assert.deepEqual(
    values,
    groups.map((_, index) => index),
  );
  const failing = new BatchQueue<number>(() => 1);
  const waiting = failing.next();
  await failing.put(Promise.reject(new Error('no disk')));
  await assert.rejects(waiting, /no disk/);
  await assert.rejects(failing.next(), /no disk/);
});
