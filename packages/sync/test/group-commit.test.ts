import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Group, groupsOf } from '../src/group-commit.ts';
import type { StreamEvent } from '../src/stream.ts';

const limits = { eventsMax: 10, charactersMax: 1000 };
const table = { id: '1', schema: 'public', name: 't', columns: [], key: [0], hasWholeOldRows: false };

function transaction(number: number, rows: number): StreamEvent[] {
  const position = String(number);
  return [
    { kind: 'begin', transaction: position, commitsAt: position, committedAtMs: undefined },
    ...Array.from({ length: rows }, (_, row): StreamEvent => ({ kind: 'insert', table, row: [`${number}-${row}`] })),
    { kind: 'commit', position, committedAtMs: undefined },
  ];
}

/** Lets everything happen that waits for nothing. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function* of(...batches: StreamEvent[][]): AsyncGenerator<StreamEvent[]> {
  yield* batches;
}

// Proves: what comes while a group is written goes together in the next one, and nobody waits for more.
test('transactions that came during a write are one group', async () => {
  const groups: Group[] = [];
  for await (const group of groupsOf(of(transaction(1, 1), transaction(2, 1), transaction(3, 1)), limits)) {
    groups.push(group);
    await settle();
  }
  assert.deepEqual(
    groups.map(({ end }) => end?.position),
    ['1', '3'],
  );
});

// Proves: a transaction beyond the limits goes in parts, of which only the last has an end.
test('a large transaction goes in parts', async () => {
  const events = [...transaction(1, 25), ...transaction(2, 1)];
  const single = events.map((event) => [event]);
  const ends: (string | undefined)[] = [];
  const told: StreamEvent[] = [];
  for await (const group of groupsOf(of(...single), limits)) {
    ends.push(group.end?.position);
    told.push(...group.events);
    await settle();
  }
  assert.deepEqual(told, events);
  assert.deepEqual(ends, [undefined, undefined, '2']);
});

// Proves: reading ahead is bounded: a source is not read while what waits is beyond the limits.
test('reads ahead within the limits', async () => {
  let read = 0;
  let taken = 0;
  async function* endless(): AsyncGenerator<StreamEvent[]> {
    for (;;) yield transaction(++read, 3);
  }
  for await (const group of groupsOf(endless(), limits)) {
    taken += group.events.length;
    await settle();
    assert.ok(read * 5 - taken <= limits.eventsMax, `${read} transactions were read`);
    if (read > 20) break;
  }
});

// Proves: whole transactions before a failure are told, the failure comes after them, and half a transaction never.
test('a failure comes after the whole transactions before it', async () => {
  async function* broken(): AsyncGenerator<StreamEvent[]> {
    yield [...transaction(1, 1), ...transaction(2, 3).slice(0, -1)];
    throw new Error('the connection broke');
  }
  const ends: unknown[] = [];
  await assert.rejects(async () => {
    for await (const { end } of groupsOf(broken(), limits)) ends.push(end);
  }, /the connection broke/);
  assert.deepEqual(ends, [{ position: '1', isOpen: false }]);
});

// Proves: leaving does not wait for a stream in which nothing comes.
test('leaving does not wait for a read that is under way', async () => {
  async function* silent(): AsyncGenerator<StreamEvent[]> {
    yield transaction(1, 1);
    await new Promise<void>(() => {});
  }
  for await (const { end } of groupsOf(silent(), limits)) {
    assert.equal(end?.position, '1');
    await settle();
    break;
  }
});
