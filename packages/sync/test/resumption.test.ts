// Proves: where a stream goes on, has diverged, or is lost, from a stored position, a server's history and its slot; and what a snapshot sees across the wraparound of numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatonError } from '@batondb/core/errors';
import { parsePosition } from '../src/postgres/position.ts';
import { resume, type ServerState } from '../src/postgres/resumption.ts';
import type { Slot } from '../src/postgres/slot.ts';
import { parseTimelineHistory } from '../src/postgres/timeline.ts';
import { parseVisibility } from '../src/postgres/visibility.ts';

const history = parseTimelineHistory('1\t0/1000\tno recovery target specified\n\n2\t0/2000\tbefore 2026-11-21\n');
const server: ServerState = { systemId: '7', timeline: 3, newest: 0x3000n, history };
const slot: Slot = {
  plugin: 'pgoutput',
  database: 'app',
  isTemporary: false,
  activePid: undefined,
  walStatus: 'reserved',
  confirmed: 0x500n,
  restart: 0x400n,
  safeBytes: undefined,
  retainedBytes: 0,
};
const where = { node: 'db1:5432', slot: 'baton', database: 'app' };

test('positions on the present timeline and on those before', () => {
  const at = (position: string, slotNow = slot): unknown => {
    const { kind, position: goesOn } = resume(parsePosition(position), server, slotNow, where);
    return `${kind} ${goesOn}`;
  };
  assert.equal(at('7/3/0/2800'), 'continues 7/3/0/2800');
  assert.equal(at('7/1/0/1000'), 'continues 7/3/0/1000');
  assert.equal(at('7/2/0/1800'), 'continues 7/3/0/1800');
  assert.equal(at('7/1/0/1001'), 'diverged 7/3/0/1000');
  assert.equal(at('7/2/0/2800'), 'diverged 7/3/0/2000');
  assert.equal(at('7/3/0/3001'), 'diverged 7/3/0/3000');
  assert.equal(at('7/2/0/1800', { ...slot, confirmed: 0x1801n }), 'lost 7/3/0/1801');
  assert.equal(at('7/2/0/2800', { ...slot, confirmed: 0x2001n }), 'lost 7/3/0/2001');
});

test('what cannot go on is said, and what may go on later is retryable', () => {
  const fails = (position: string, slotNow: Slot | undefined, code: string, retryable = false): void =>
    assert.throws(
      () => resume(parsePosition(position), server, slotNow, where),
      (error) =>
        error instanceof BatonError && error.code === code && error.retryable === retryable && error.hint !== undefined,
    );
  fails('8/3/0/2800', slot, 'DIVERGED');
  fails('7/4/0/2800', slot, 'UNAVAILABLE', true);
  fails('7/3/0/2800', undefined, 'NOT_FOUND');
  fails('7/2/0/1800', undefined, 'UNAVAILABLE', true);
  fails('7/3/0/2800', { ...slot, walStatus: 'lost' }, 'HISTORY_LOST');
  fails('7/3/0/2800', { ...slot, plugin: 'wal2json' }, 'HISTORY_LOST');
  fails('7/3/0/2800', { ...slot, database: 'other' }, 'HISTORY_LOST');
});

test('what a snapshot sees', () => {
  const plain = parseVisibility('100:110:103,105');
  assert.deepEqual(
    [99, 100, 103, 104, 105, 109, 110, 200].filter((xid) => plain.isInvisible(xid)),
    [103, 105, 110, 200],
  );
  const wrapped = parseVisibility(`${2n ** 32n - 5n}:${2n ** 32n + 10n}:${2n ** 32n - 2n},${2n ** 32n + 4n}`);
  assert.deepEqual(
    [2 ** 32 - 6, 2 ** 32 - 2, 2 ** 32 - 1, 3, 4, 9, 10].filter((xid) => wrapped.isInvisible(xid)),
    [2 ** 32 - 2, 4, 10],
  );
});
