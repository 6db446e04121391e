import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { Replicator, type Sink, type Source } from '@batondb/sync';
import { everything } from '@batondb/sync/mapping/mapping';

// Proves: a source that has to be let go is let go while the sink is away and nothing is read; what time may heal ends nothing.
test('a source is looked after while the sink is away', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const answers = [
    new BatonError('UNREACHABLE', 'no host answers', { retryable: true }),
    new BatonError('HISTORY_LOST', 'the slot kept too much'),
  ];
  let looks = 0;
  const source: Source = {
    address: 'memory',
    open: async () => await Promise.reject(new Error('nothing is read without a sink')),
    guard: async () => await Promise.reject(answers[looks++]!),
  };
  const sink: Sink = {
    address: 'memory',
    own: (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  };
  const options = {
    name: 'guard',
    source,
    sink,
    mapping: everything,
    phases: 'both',
    until: undefined,
    jobs: 1,
  } as const;
  const replicator = new Replicator({ ...options, onEvent: () => undefined });
  const ended = assert.rejects(replicator.run(new AbortController().signal), { code: 'HISTORY_LOST' });
  t.mock.timers.tick(30_000);
  await new Promise(setImmediate);
  assert.equal(replicator.status().phase, 'connecting');
  t.mock.timers.tick(30_000);
  await ended;
  assert.equal(looks, 2);
  assert.equal(replicator.status().lastError?.code, 'HISTORY_LOST');
});
